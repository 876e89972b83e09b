"""Which rule a request matches, and why the others that came near did not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from gateway import paths
from gateway.authorization import ALL_METHODS
from gateway.explaining.case import Case
from gateway.paths import TYPED, VERSION
from gateway.service import Service

_VARIABLE = re.compile(r"<(?:([^<>:]+):)?([^<>:]+)>")
# What a rule has that no blueprint wrote.
_MADE = ((re.compile("<path:_rest>"), "..."), (re.compile(rf"<{VERSION}\(.*?\):version>"), "<?>"))
#: How near a rule came, the least the nearest: what kept it from matching; of those that merely
#: begin like the path, for how many segments, and how alike the next one is (both below 0).
Near = tuple[int, int, float]
_FITS, _HEADER, _METHOD, _VALUE = ((number, 0, 0.0) for number in range(4))
_ALIKE = 4
# Most of those that merely begin alike.
_MOST_ALIKE = 4


@dataclass(frozen=True, slots=True)
class Other:
    """A rule that was not taken."""

    rule: str
    methods: str
    endpoint: str
    why: str
    near: Near

    def told(self) -> dict[str, str]:
        """For the report."""
        return {
            "rule": _shown(self.rule),
            "methods": self.methods,
            "endpoint": self.endpoint,
            "why": self.why,
        }


def matched(case: Case) -> dict[str, Any] | None:
    """What was matched; None for nothing."""
    rule, route = request.url_rule, case.route
    if rule is None:
        return None
    told: dict[str, Any] = {
        "rule": _shown(rule.rule),
        "endpoint": rule.endpoint,
        "service": route.service.name if route.service else None,
        "view": is_view(rule.endpoint, route.service),
        "values": {k: v for k, v in (request.view_args or {}).items() if k != "_rest"},
    }
    if route.service is not None and route.service.required_headers:
        told["because"] = _conditions(route.service)
    if is_claim(case.app, rule.endpoint):
        told["claimed_by"] = [
            f"{other.endpoint} ({_methods(other)})"
            for other in case.app.url_map.iter_rules()
            if _untyped(other) == _untyped(rule) and not is_claim(case.app, other.endpoint)
        ]
    return told


def is_claim(app: Flask, endpoint: str) -> bool:
    """Whether an endpoint only keeps the paths of views for them."""
    return paths.is_claim(app.view_functions.get(endpoint))


def is_view(endpoint: str, service: Service | None) -> bool:
    """Whether an endpoint is code of the fork's own."""
    return service is None or endpoint != f"{service.name}.forward"


def others(case: Case) -> list[dict[str, str]]:
    """The rules that came near, the nearest first: one for each endpoint."""
    best: dict[str, Other] = {}
    for other in _others(case):
        known = best.get(other.endpoint)
        if known is None or other.near < known.near:
            best[other.endpoint] = other
    found = sorted(best.values(), key=lambda other: other.near)
    near = [other for other in found if other.near[0] < _ALIKE]
    # Those that begin less like the path than the rule that was taken say nothing.
    least = 0 if request.url_rule is None else _literal(request.url_rule.rule)
    alike = [other for other in found if other.near[0] == _ALIKE and -other.near[1] >= least]
    return [other.told() for other in (*near, *alike[:_MOST_ALIKE])]


def _others(case: Case) -> Iterator[Other]:
    winner = request.url_rule
    for rule in case.app.url_map.iter_rules():
        if winner is not None and rule.endpoint == winner.endpoint:
            continue
        if is_claim(case.app, rule.endpoint):  # nobody wrote it
            continue
        told = _why(case, rule)
        if told is not None:
            why, near = told
            yield Other(rule.rule, _methods(rule), rule.endpoint, why, near)


def _why(case: Case, rule: Rule) -> tuple[str, Near] | None:
    """Why a rule was not taken, and how near it came; None if it has nothing to do with it."""
    app, path, method = case.app, request.path, request.method
    try:
        _alone(app, rule.rule, rule).match(path, method)
    except MethodNotAllowed:
        return f"takes {_methods(rule)}, not {method}", _METHOD
    except NotFound:
        return _refused_value(app, rule, path) or _alike(rule, path)
    service = case.gateway.routes[rule.endpoint].service
    if service is not None and (unmet := _unmet(service)):
        return unmet, _HEADER
    winner = request.url_rule
    if winner is not None and is_claim(app, winner.endpoint):
        return "a view has the path, so that nothing else answers there", _FITS
    return "it is less exact, or comes later", _FITS


def _alone(app: Flask, text: str, rule: Rule) -> Any:
    """A rule, or one with another text, as if there were no others."""
    made: Any = Rule(text, methods=rule.methods, endpoint=rule.endpoint, defaults=rule.defaults)
    usual = app.url_map
    return Map(
        [made],
        converters=usual.converters,
        strict_slashes=usual.strict_slashes,
        merge_slashes=usual.merge_slashes,
    ).bind("")


def _refused_value(app: Flask, rule: Rule, path: str) -> tuple[str, Near] | None:
    """Which converter of a rule did not take its part of the path."""
    method = next(iter(rule.methods or ("GET",)))
    try:
        _, values = _alone(app, _untyped(rule), rule).match(path, method)
    except (NotFound, MethodNotAllowed):
        return None
    for kind, name in _VARIABLE.findall(rule.rule):
        try:
            _alone(app, _loosened(rule.rule, name), rule).match(path, method)
        except NotFound:
            return f"{values[name]!r} is no {kind} for {name}", _VALUE
    return None


def _loosened(text: str, kept: str) -> str:
    """A rule in which every variable takes anything, but for one."""

    def loose(found: re.Match[str]) -> str:
        kind, name = found.groups()
        return found[0] if name == kept or kind == "path" else f"<{name}>"

    return _VARIABLE.sub(loose, text)


def _alike(rule: Rule, path: str) -> tuple[str, Near] | None:
    """How a rule is like a path from the beginning; None where nothing is."""
    wanted, given = _segments(rule.rule), _segments(path)
    same = 0
    for one, other in zip(wanted, given, strict=False):
        if one != other and not one.startswith("<"):
            break
        same += 1
    literal = sum(not one.startswith("<") for one in wanted[:same])
    if not literal:
        return None
    if same < len(wanted) and same < len(given):
        alike = SequenceMatcher(None, wanted[same], given[same]).ratio()
        return f"{given[same]!r} is not {wanted[same]!r}", (_ALIKE, -literal, -alike)
    if same == len(given):
        return f"the path ends before /{'/'.join(wanted[same:])}", (_ALIKE, -literal, -1.0)
    return f"the path goes on with /{'/'.join(given[same:])}", (_ALIKE, -literal, -1.0)


def _literal(rule: str) -> int:
    """How many segments a rule has before its first variable."""
    return len(_segments(rule.partition("<")[0]))


def _segments(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _unmet(service: Service) -> str:
    """The first of a service's header values that the request does not have."""
    for name, value in service.required_headers.items():
        if request.headers.get(name) != value:
            told = "another" if name in request.headers else "none"
            return f"needs {name}: {value}, and the request has {told}"
    return ""


def _conditions(service: Service) -> str:
    return ", ".join(f"{n}: {v}" for n, v in service.required_headers.items())


def _methods(rule: Rule) -> str:
    """What a rule takes, without what Flask adds."""
    methods = set(rule.methods or ALL_METHODS)
    if methods.issuperset(ALL_METHODS):
        return "any method"
    if "GET" in methods:
        methods.discard("HEAD")
    if getattr(rule, "provide_automatic_options", False):
        methods.discard("OPTIONS")
    return ",".join(sorted(methods))


def _untyped(rule: Rule) -> str:
    return TYPED.sub(r"<\1>", rule.rule)


def _shown(rule: str) -> str:
    for pattern, words in _MADE:
        rule = pattern.sub(words, rule)
    return rule


def note_hooks(case: Case) -> None:
    """Note what a fork's own code may do with the request, which is not called."""
    app, names = case.app, [None, *request.blueprints]
    hooks = [one for name in names for one in app.before_request_funcs.get(name, ())]
    own = [
        one for one in hooks if not (getattr(one, "__module__", "") or "").startswith("gateway.")
    ]
    if own:
        told = ", ".join(getattr(one, "__name__", repr(one)) for one in own)
        case.notes.append(f"not called, though a request would be: before_request {told}")
