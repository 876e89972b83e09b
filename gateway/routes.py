"""Every rule of the application with what applies to it, settled at start and read per request."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Flask
from werkzeug.routing import Map

from gateway.authorization import ALL_METHODS, MARK, Access, Part
from gateway.authorization.parts import cheap_first
from gateway.paths import is_claim
from gateway.service import Service

Parts = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. `access` maps a method to what it requires, None for public.

    `siblings` are services with the same prefix that tell requests apart by header values; empty
    where no choice has to be made.
    """

    endpoint: str
    service: Service | None
    access: Mapping[str, Parts | None]
    encoded_slashes: bool
    internal: bool = False
    siblings: tuple[tuple[Service, Map], ...] = ()


#: What a request that matches no rule is treated as: checked and limited, then 404 or 405.
UNMATCHED = Route("", None, {}, encoded_slashes=False)


def compile_routes(app: Flask) -> tuple[dict[str, Route], list[str]]:
    """All routes by endpoint, and the faults: every method of every rule must require something
    or be marked public."""
    methods: dict[str, set[str]] = {}
    automatic: set[str] = set()
    for rule in app.url_map.iter_rules():
        methods.setdefault(rule.endpoint, set()).update(rule.methods or ALL_METHODS)
        if getattr(rule, "provide_automatic_options", False):  # set by Flask
            automatic.add(rule.endpoint)
    siblings = _siblings(app)
    routes: dict[str, Route] = {}
    faults: list[str] = []
    for endpoint, served in methods.items():
        view = app.view_functions[endpoint]
        around = _around(app, endpoint)
        service = next((b for b in around if isinstance(b, Service)), None)
        access, open_methods = _access([view, *around], served)
        internal = is_claim(view) or endpoint.startswith("gateway_ops.")
        if endpoint in automatic and "OPTIONS" in open_methods:
            open_methods.remove("OPTIONS")  # Flask's own answer: nothing but Allow
            access["OPTIONS"] = None
        if open_methods and not internal:
            faults.append(_unguarded(endpoint, view, service, open_methods))
        routes[endpoint] = Route(
            endpoint,
            service,
            dict.fromkeys(served) if internal else access,
            service is not None and service.allow_encoded_slashes,
            endpoint.startswith("gateway_ops."),
            siblings.get(service.url_prefix or "", ()) if service else (),
        )
    return routes, faults


def route_without_paths(service: Service) -> Route:
    """What a service without paths requires, as far as it says so, of callers that are asked for by
    others."""
    access, _ = _access([service], set(service.methods))
    access = {method: access.get(method) for method in service.methods}
    return Route("", service, access, service.allow_encoded_slashes)


def _around(app: Flask, endpoint: str) -> list[Any]:
    """The blueprints an endpoint is in, the innermost first."""
    names = endpoint.split(".")[:-1]
    dotted = [".".join(names[:count]) for count in range(len(names), 0, -1)]
    return [app.blueprints[name] for name in dotted if name in app.blueprints]


def _access(
    levels: Sequence[object], served: set[str]
) -> tuple[dict[str, Parts | None], list[str]]:
    """What each method requires, and the methods nobody said anything about.

    `levels` are the view and the blueprints around it: each adds what it requires, until one is
    public, which lifts what those around it require.
    """
    access: dict[str, Parts | None] = {}
    unsaid: list[str] = []
    for method in sorted(served):
        needed: list[Access] = []
        said = False
        for level in levels:
            marks = [a for a in getattr(level, MARK, ()) if method in a.methods]
            said = said or bool(marks)
            required = [a for a in marks if a.parts is not None]
            if marks and not required:
                break
            needed += required
        if not said:
            unsaid.append(method)
        else:
            parts = (part for one in needed for part in one.parts or ())
            access[method] = cheap_first(parts) if needed else None
    return access, unsaid


def _unguarded(endpoint: str, view: Any, service: Service | None, methods: list[str]) -> str:
    if service is not None and endpoint == f"{service.name}.forward":
        what, where = f"service {service.name!r}", service.declared_at
    else:
        code = getattr(inspect.unwrap(view), "__code__", None)
        what = f"view {endpoint!r}"
        where = f"{code.co_filename}:{code.co_firstlineno}" if code else "unknown place"
    return f"{what} neither requires anything nor is public for {', '.join(methods)} ({where})"


def _siblings(app: Flask) -> dict[str, tuple[tuple[Service, Map], ...]]:
    """Groups of services that share a prefix or need header values, in the order of the list."""
    groups: dict[str, list[Service]] = {}
    for blueprint in app.blueprints.values():
        if isinstance(blueprint, Service) and blueprint.url_prefix is not None:
            groups.setdefault(blueprint.url_prefix, []).append(blueprint)
    return {
        prefix: tuple((service, _own_map(app, service)) for service in group)
        for prefix, group in groups.items()
        if any(service.required_headers for service in group)
    }


def _own_map(app: Flask, service: Service) -> Map:
    """The rules of one service alone, so that a request can be matched within it."""
    rules = Map(
        converters=app.url_map.converters,
        strict_slashes=app.url_map.strict_slashes,
        merge_slashes=app.url_map.merge_slashes,
    )
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(f"{service.name}."):
            own: Any = rule.empty()
            own.provide_automatic_options = getattr(rule, "provide_automatic_options", False)
            rules.add(own)
    return rules
