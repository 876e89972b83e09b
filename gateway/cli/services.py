"""What `flask gateway services` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

import click
from flask import Flask

from gateway.authorization import ALL_METHODS
from gateway.authorization.parts import joined
from gateway.domains import Chosen
from gateway.explaining.masking import MASK, Masking
from gateway.rate_limiting.rules import Rule
from gateway.rate_limiting.windows import OnFailure
from gateway.routes import Parts, Route
from gateway.service import Runtime, Service
from gateway.upstreams.load_balancing import PowerOfTwo
from gateway.view_policies import policies_of


def summary(chosen: Chosen) -> str:
    """How many services there are, of which domains, and who helps them."""
    domains = f" of {' and '.join(chosen.names)}" if chosen.names else ""
    text = f"The settings and {len(chosen.services)} services{domains} are in order."
    helpers = ", ".join(chosen.needed_by)
    return f"{text} Without paths: {helpers}." if helpers else text


# Where a dataclass keeps how it was made; and options that have names by names.
_PARAMETERS = "__dataclass_params__"
_NAMES = ("rename", "move", "group")


def print_services(app: Flask) -> None:
    """Every service, then each of its rules: methods, path, requirement, limits."""
    gateway = app.extensions["gateway"]
    chosen: Chosen = gateway.chosen
    for name, runtime in gateway.runtimes.items():
        if runtime.service.known_as != name:
            continue  # a version, told of with its service
        click.echo(_headline(name, runtime, chosen))
        _print_versions(runtime.service, gateway.runtimes)
        _print_rules(app, runtime.service)
        click.echo()
    for service in chosen.services:
        if not service.forwards:
            used = ", ".join(one.name for one in getattr(service, "uses", ()))
            domains = _domains(service, chosen)
            click.echo(f"{service.name}: {service.url_prefix}, made of {used}{domains}")
            _print_rules(app, service)
            click.echo()


def _print_versions(service: Service, runtimes: Mapping[str, Runtime]) -> None:
    if service.versions is None:
        return
    from gateway.cli.versions import version_lines  # only if used

    for line in version_lines(service, service.versions, runtimes, _where, shown):
        click.echo(line)


def _print_rules(app: Flask, service: Service) -> None:
    for rule in app.url_map.iter_rules():
        route: Route = app.extensions["gateway"].routes[rule.endpoint]
        if route.service is not service or ".claim_" in rule.endpoint:
            continue
        if not _is_for_version(rule.rule, service):
            _print_rule(app, rule.rule, route)


def _is_for_version(path: str, service: Service) -> bool:
    """Whether a rule is there once more, for a version."""
    others = [prefix for prefix in service.prefixes if prefix != service.url_prefix]
    return any(f"{path}/".startswith(f"{prefix}/") for prefix in others)


def _domains(service: Service, chosen: Chosen) -> str:
    """The domains it is in, if there are any."""
    found = chosen.of.get(service.known_as, ())
    return f"; domain {' and '.join(found)}" if found else ""


def _headline(name: str, runtime: Runtime, chosen: Chosen) -> str:
    service = runtime.service
    user = chosen.needed_by.get(service.known_as)
    timeouts = runtime.timeouts
    policies = ", ".join(map(shown, service.policies)) or "none"
    conditions = "".join(f" when {n}: {v}" for n, v in service.required_headers.items())
    paths = "no paths" if service.url_prefix is None else service.url_prefix
    if user is not None:
        paths = f"no paths, for {user}"
    where = "its versions" if runtime.versions else _where(service)
    return (
        f"{name}: {paths}{conditions} -> {where}\n"
        f"  timeouts connect {timeouts.connect:g} s, read {timeouts.read:g} s,"
        f" total {timeouts.total:g} s; policies {policies}{_balancing(runtime)}{_told(service)}"
        f"{_domains(service, chosen)}"
    )


def shown(policy: object) -> str:
    """A policy with the options that are not as usual, or as it tells of itself."""
    if not is_dataclass(policy):
        return getattr(policy, "__name__", "") or repr(policy)
    if not getattr(type(policy), _PARAMETERS).repr:  # its options may be secrets
        return repr(policy)
    told = [
        f"{one.name}={_harmless(one.name, getattr(policy, one.name))!r}"
        for one in fields(policy)
        if one.repr and getattr(policy, one.name) != _usual(one)
    ]
    return f"{type(policy).__name__}({', '.join(told)})"


def _harmless(option: str, value: object) -> object:
    """An option; of one that has values by names, those that sound like credentials are masked."""
    if not isinstance(value, Mapping) or option in _NAMES:
        return value
    secret = Masking().is_secret
    return {key: MASK if secret(str(key).lower()) else one for key, one in value.items()}


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
    said = [limit_words(rule, dry) for rule in rules]
    said += [f"{one}{_ways(one.dry, one.on_failure)}" for one in at_once]
    limits = ", ".join(said) or "none"
    own = ", ".join(map(shown, policies_of(app.view_functions[route.endpoint])))
    if own:
        limits += f"; policies {own}"
    for needed, methods in _by_requirement(route).items():
        click.echo(f"  {','.join(methods):<40} {path.replace('path:_rest', '...')}")
        click.echo(f"  {'':<40}   requires {needed}; limits {limits}")


def limit_words(rule: Rule, dry: bool) -> str:
    """A limit with what is not as usual about it. dry: RATE_LIMIT_DRY_RUN."""
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
            found.setdefault(requirement(route.access[method]), []).append(method)
    return found


def requirement(parts: Parts | None) -> str:
    """What a route requires; None for nothing."""
    if parts is None:
        return "nothing (public)"
    return joined(parts, " and ") or "any identity"
