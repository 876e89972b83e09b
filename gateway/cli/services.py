"""What `flask gateway services` prints."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

import click
from flask import Flask

from gateway.authorization import ALL_METHODS
from gateway.authorization.parts import joined
from gateway.rate_limiting.rules import Rule
from gateway.rate_limiting.windows import OnFailure
from gateway.routes import Parts, Route
from gateway.service import Runtime, Service
from gateway.upstreams.load_balancing import PowerOfTwo
from gateway.view_policies import policies_of


def print_services(app: Flask) -> None:
    """Every service, then each of its rules: methods, path, requirement, limits."""
    gateway = app.extensions["gateway"]
    for name, runtime in gateway.runtimes.items():
        click.echo(_headline(name, runtime))
        for rule in app.url_map.iter_rules():
            route: Route = gateway.routes[rule.endpoint]
            if route.service is runtime.service and ".claim_" not in rule.endpoint:
                _print_rule(app, rule.rule, route)
        click.echo()


def _headline(name: str, runtime: Runtime) -> str:
    service = runtime.service
    timeouts = runtime.timeouts
    policies = ", ".join(map(_shown, service.policies)) or "none"
    conditions = "".join(f" when {n}: {v}" for n, v in service.required_headers.items())
    paths = "no paths" if service.url_prefix is None else service.url_prefix
    return (
        f"{name}: {paths}{conditions} -> {_where(service)}\n"
        f"  timeouts connect {timeouts.connect:g} s, read {timeouts.read:g} s,"
        f" total {timeouts.total:g} s; policies {policies}{_balancing(runtime)}{_told(service)}"
    )


def _shown(policy: object) -> str:
    """A policy with the options that are not as usual."""
    if not is_dataclass(policy):
        return getattr(policy, "__name__", "") or repr(policy)
    told = [
        f"{one.name}={getattr(policy, one.name)!r}"
        for one in fields(policy)
        if one.repr and getattr(policy, one.name) != _usual(one)
    ]
    return f"{type(policy).__name__}({', '.join(told)})"


def _usual(option: Field[Any]) -> object:
    if option.default_factory is not MISSING:
        return option.default_factory()
    return option.default


def _where(service: Service) -> str:
    """Where its instances are. No address that a gateway starts with holds a password."""
    if service.discovery is not None:
        return type(service.discovery).__name__
    return service.address() or "no instance"


def _told(service: Service) -> str:
    """How its backend learns who asks, unless as usual."""
    return "" if service.identity == "headers" else f"; identity by {service.identity}"


def _balancing(runtime: Runtime) -> str:
    """How it chooses among instances, unless there is one alone or it does as usual."""
    balancing = runtime.service.load_balancing
    if balancing == PowerOfTwo() or len(runtime.pool.nodes) == 1:
        return ""
    return f"; balancing {balancing!r}"


def _print_rule(app: Flask, path: str, route: Route) -> None:
    found = app.extensions["gateway_limits"].get(route.endpoint)
    rules = found.rules if found else ()
    at_once = app.extensions["gateway_concurrency"].get(route.endpoint, ())
    dry = app.extensions["gateway"].settings.RATE_LIMIT_DRY_RUN
    said = [_limit(rule, dry) for rule in rules]
    said += [f"{one}{_ways(one.dry, one.on_failure)}" for one in at_once]
    limits = ", ".join(said) or "none"
    own = ", ".join(map(_shown, policies_of(app.view_functions[route.endpoint])))
    if own:
        limits += f"; policies {own}"
    for needed, methods in _by_requirement(route).items():
        click.echo(f"  {','.join(methods):<40} {path.replace('path:_rest', '...')}")
        click.echo(f"  {'':<40}   requires {needed}; limits {limits}")


def _limit(rule: Rule, dry: bool) -> str:
    burst = "" if rule.burst is None else f" burst {rule.burst}"
    pace = "" if rule.nodelay else " nodelay=False"
    deducting = rule.deduct_when
    name = getattr(deducting, "__name__", "") or repr(deducting)
    counted = "" if deducting is None else f" deduct_when={name}"
    ways = _ways(dry or rule.dry_run, rule.on_failure)
    return f"{rule.scope} {rule.limit}/{rule.seconds}s{burst}{pace}{counted}{ways}"


def _ways(dry: bool, on_failure: OnFailure) -> str:
    """How a limit is not as usual. dry: it refuses nothing."""
    failing = "" if on_failure == "local" else f" on_failure={on_failure}"
    return f"{failing} dry run" if dry else failing


def _by_requirement(route: Route) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for method in ALL_METHODS:
        if method in route.access:
            found.setdefault(_words(route.access[method]), []).append(method)
    return found


def _words(parts: Parts | None) -> str:
    if parts is None:
        return "nothing (public)"
    return joined(parts, " and ") or "any identity"
