"""Which limits apply to a request, what is left of them, and which one would refuse it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.cli.services import limit_words
from gateway.explaining.case import Case
from gateway.rate_limiting import limiter
from gateway.rate_limiting.addresses import address_limits, login_rules
from gateway.rate_limiting.concurrency.deciding import Concurrency, refusal_of
from gateway.rate_limiting.concurrency.limits import ConcurrencyLimit
from gateway.rate_limiting.context import LimitContext
from gateway.rate_limiting.deciding import EndpointLimits, applying, decide
from gateway.rate_limiting.keys import key_of
from gateway.rate_limiting.peeking import PeekedWindows, peeked
from gateway.rate_limiting.rules import Rule
from gateway.rate_limiting.windows import Hit, Window


class Limiting:
    """The limits of one request, which count nothing. found: what is told of each."""

    def __init__(self, case: Case, context: LimitContext) -> None:
        self._case = case
        self._context, self._windows = peeked(context)
        self.found: list[dict[str, Any]] = []

    def by_address(self) -> None:
        """Those that come before anybody is asked who it is."""
        case, settings = self._case, self._context.settings
        known = case.app.extensions["gateway_limits"]
        if case.route.endpoint not in known or self._context.exempt.cover(case.environ):
            return
        limits = address_limits(settings, [])
        if limits.rules:
            self._rules("address", limits)
            case.take(lambda: decide(limits, self._context, case.environ, tell=False))
        if logins := login_rules(settings, []):
            self._rules("failed logins", EndpointLimits(tuple(logins), ""))

    def usual(self) -> None:
        """Those of the endpoint, its service, everybody, and the caller's plan."""
        case, context = self._case, self._context
        known = case.app.extensions["gateway_limits"]
        limits = limiter.limits_of(case.environ, known, context)
        if limits is None:
            if case.route.endpoint not in known or context.exempt.cover(case.environ):
                case.notes.append("no limit applies: the route or the caller is exempt")
            return
        self._rules("rate", limits)
        self._quotas(limits)
        if not case.unidentified:
            case.take(lambda: limiter.step(known, context)(case.environ))

    def at_once(self) -> None:
        """How many requests there may be at the same time."""
        case = self._case
        concurrency: Concurrency | None = case.app.extensions["gateway_slots"]
        if concurrency is None:
            return
        try:
            slots = concurrency.look(case.environ)
        except Exception:  # noqa: BLE001  whatever the store's driver raises
            self._windows.failed = True
            return
        for limit, taken in slots:
            self.found.append(_slots(limit, taken, unknown=self._whose(limit) is None))
            if taken >= limit.limit and not limit.dry and self._whose(limit) is not None:
                case.refusal = case.refusal or refusal_of(limit)

    @property
    def unread(self) -> bool:
        """Whether a store could not be read."""
        return self._windows.failed

    def _whose(self, limit: ConcurrencyLimit) -> str | None:
        if limit.per == "all":
            return "everybody"
        return None if self._case.unidentified else key_of(self._case.environ)

    def _rules(self, kind: str, limits: EndpointLimits) -> None:
        environ, dry = self._case.environ, self._context.settings.RATE_LIMIT_DRY_RUN
        key = key_of(environ)
        try:
            rules, hits, _ = applying(limits, environ, key)
        except Exception as error:  # noqa: BLE001  a fork's own functions of a limit
            self._case.notes.append(f"a function of a limit fails: {type(error).__name__}")
            return
        for rule, hit in zip(rules, hits, strict=True):
            told: dict[str, Any] = {
                "kind": kind,
                "name": rule.name,
                "limit": limit_words(rule, dry),
            }
            by_caller = kind == "rate" and rule.key is None
            if by_caller and self._case.unidentified:
                self.found.append({**told, "whose": None, "left": None})
                continue
            whose = f"{_named(rule)}()" if rule.key is not None else key
            self.found.append({**told, "whose": whose, **_left(self._windows, rule, hit)})

    def _quotas(self, limits: EndpointLimits) -> None:
        if not limits.quotas:
            return
        key = key_of(self._case.environ)
        hits: Sequence[Hit] = self._context.quotas.hits(limits.quotas, key)
        for quota, hit in zip(limits.quotas, hits, strict=True):
            window = self._windows.peek(hit)
            self.found.append(
                {
                    "kind": "quota",
                    "name": f"{quota.plan}-{quota.kind}",
                    "limit": f"plan {quota.plan} {quota.limit} a {quota.kind}",
                    "whose": key,
                    **_seen(window),
                }
            )


def _left(windows: PeekedWindows, rule: Rule, hit: Hit) -> dict[str, Any]:
    window = windows.peek(hit)
    told = _seen(window)
    if not rule.nodelay and not window.retry:  # a bucket: those before it are so far ahead
        told["wait"] = round(window.reset, 3)
    return told


def _seen(window: Window) -> dict[str, Any]:
    return {
        "left": window.remaining,
        "reset": round(window.reset, 1),
        "retry": round(window.retry, 1),
    }


def _slots(limit: ConcurrencyLimit, taken: int, *, unknown: bool) -> dict[str, Any]:
    told = {"kind": "concurrency", "name": limit.name, "limit": str(limit)}
    if unknown:
        return {**told, "whose": None, "left": None}
    whose = "everybody" if limit.per == "all" else "the caller"
    return {**told, "whose": whose, "left": max(limit.limit - taken, 0)}


def _named(rule: Rule) -> str:
    return getattr(rule.key, "__name__", "") or type(rule.key).__name__
