"""The limits of every endpoint, settled at start from what views, services and settings declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from flask import Flask
from flask.sansio.blueprints import Blueprint as AnyBlueprint
from flask_limiter import Limit

from gateway.rate_limiting.deciding import EndpointLimits
from gateway.rate_limiting.extension import limiter
from gateway.rate_limiting.fields import policy
from gateway.rate_limiting.keys import client_key
from gateway.rate_limiting.rules import EVERYBODY, EXEMPT, MARK, Rule, distinct, rules_of
from gateway.routes import UNMATCHED, Route


def compile_limits(
    app: Flask, routes: Mapping[str, Route], *, default: str, user: str
) -> list[str]:
    """Settle the limits of every endpoint; returns the faults."""
    limits: dict[str, EndpointLimits] = app.extensions["gateway_limits"]
    faults: list[str] = []
    everybody = _everybody(default, user, faults)
    known: dict[str, list[Rule]] = {}
    for endpoint, route in [*routes.items(), ("", UNMATCHED)]:
        view = app.view_functions.get(endpoint)
        around = owners(app, endpoint)
        exempt = any(getattr(obj, EXEMPT, False) for obj in (view, *around.values()))
        if route.internal or exempt:
            continue
        rules = everybody + _read(getattr(view, MARK, []), endpoint, faults, f"view {endpoint!r}")
        for name, owner in around.items():
            if name not in known:
                known[name] = _read(getattr(owner, MARK, []), name, faults, f"service {name!r}")
            rules += known[name]
        try:
            kept = distinct(rules)
        except ValueError as error:
            faults.append(f"view {endpoint!r}: {error}")
        else:
            limits[endpoint] = EndpointLimits(kept, policy(kept))
            faults += [one for one in _too_long(app, route, kept) if one not in faults]
    return faults


def _too_long(app: Flask, route: Route, rules: Sequence[Rule]) -> list[str]:
    """Paced limits that would hold a request back until it has no time left."""
    total = route.service.timeouts.total if route.service is not None else None
    if total is None:
        total = app.extensions["gateway"].settings.TOTAL_TIMEOUT
    return [
        f"limit {rule.name!r}: burst={rule.burst} lets requests wait for {longest:g} s,"
        f" but they have {total:g} s in all"
        for rule in rules
        if not rule.nodelay and (longest := (rule.burst or 0) * rule.seconds / rule.limit) >= total
    ]


def owners(app: Flask, endpoint: str) -> dict[str, AnyBlueprint]:
    """The service an endpoint belongs to, and the blueprints between them."""
    found: dict[str, AnyBlueprint] = {}
    name = endpoint
    while "." in name:
        name = name.rpartition(".")[0]
        if name in app.blueprints:
            found[name] = app.blueprints[name]
    return found


def _everybody(default: str, user: str, faults: list[str]) -> list[Rule]:
    # The scopes are none that a service could have.
    return [
        *setting_rules(default, "default", faults, "RATE_LIMIT_DEFAULT", EVERYBODY),
        *map(_users_only, setting_rules(user, "user", faults, "RATE_LIMIT_USER", "*user")),
    ]


def setting_rules(text: str, name: str, faults: list[str], where: str, scope: str) -> list[Rule]:
    """The rules of a setting, none where it is empty; what is wrong with it is added to faults."""
    return _read([limiter.limit(text)] if text else [], name, faults, where, scope)


def _read(
    declared: Sequence[Limit], name: str, faults: list[str], where: str, scope: str = ""
) -> list[Rule]:
    rules: list[Rule] = []
    for limit in declared:
        try:
            rules += rules_of([limit], name, scope or name, client_key)
        except ValueError as error:
            faults.append(f"{where}: {error}{getattr(limit, 'declared_at', '')}")
    try:
        return list(distinct(rules))
    except ValueError as error:
        faults.append(f"{where}: {error}")
        return []


def _users_only(rule: Rule) -> Rule:
    return replace(rule, users_only=True)
