"""Limits by address, before anybody's credential is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gateway.admission import Step
from gateway.rate_limiting.context import LimitContext
from gateway.rate_limiting.deciding import EndpointLimits, decide
from gateway.rate_limiting.endpoints import setting_rules
from gateway.rate_limiting.failed_logins import FailedLogins
from gateway.rate_limiting.rules import Rule
from gateway.routes import UNMATCHED, Route
from settings import Settings

if TYPE_CHECKING:
    from gateway.authentication.authenticator import Judge


def limit_addresses(
    known: Mapping[str, EndpointLimits], context: LimitContext
) -> tuple[Step | None, list[str]]:
    """The step that counts requests by address, None where RATE_LIMIT_ADDRESS says nothing; and
    the faults. It comes before the one that authenticates. known: the limits of all endpoints that
    are not exempt."""
    faults: list[str] = []
    limits = address_limits(context.settings, faults)
    if not limits.rules:
        return None, faults

    def check_address(environ: dict[str, Any]) -> None:
        route: Route = environ.get("gateway.route", UNMATCHED)
        # Clients are told of the limits of who they are; these would be others.
        if route.endpoint in known and not context.exempt.cover(environ):
            decide(limits, context, environ, tell=False)

    return check_address, faults


def address_limits(settings: Settings, faults: list[str]) -> EndpointLimits:
    """The limits of RATE_LIMIT_ADDRESS; what is wrong with them is added to faults."""
    text, where = settings.RATE_LIMIT_ADDRESS, "RATE_LIMIT_ADDRESS"
    return EndpointLimits(tuple(setting_rules(text, "address", faults, where, "*address")), "")


def login_rules(settings: Settings, faults: list[str]) -> list[Rule]:
    """Those of RATE_LIMIT_FAILED_LOGINS, likewise."""
    text, where = settings.RATE_LIMIT_FAILED_LOGINS, "RATE_LIMIT_FAILED_LOGINS"
    return setting_rules(text, "logins", faults, where, "*logins")


def judge_by_address(context: LimitContext) -> tuple[Judge | None, list[str]]:
    """What judges credentials where RATE_LIMIT_FAILED_LOGINS bounds how many may be refused; None
    where it does not. Also the faults."""
    faults: list[str] = []
    rules = login_rules(context.settings, faults)
    if not rules:
        return None, faults
    dry = context.settings.RATE_LIMIT_DRY_RUN
    return FailedLogins(rules, context.windows, context.exempt, dry=dry).judge, faults
