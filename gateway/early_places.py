"""Which endpoints may answer from memory before Flask has the request: those that lose nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import flask
from flask import Flask

from gateway.authorization.parts import Decision, leaves
from gateway.exchange import Early, early_of
from gateway.paths import VERSION
from gateway.rate_limiting import limiter
from gateway.rate_limiting.deciding import EndpointLimits
from gateway.service import Runtime, Service

if TYPE_CHECKING:
    from gateway.application import Gateway
    from gateway.authentication.accepted import AcceptedSchemes
    from gateway.routes import Route

_SIGNALS = (
    flask.request_started,
    flask.request_finished,
    flask.request_tearing_down,
    flask.appcontext_pushed,
    flask.appcontext_popped,
    flask.appcontext_tearing_down,
)


@dataclass(frozen=True, slots=True)
class EarlyPlace:
    """An endpoint whose answers may come early. alone: no other endpoint has paths below its
    prefix, nor paths that could be there, so that nothing has to be matched."""

    prefix: str
    alone: bool
    route: Route
    runtime: Runtime
    early: Early

    def rule_of(self, path: str) -> str:
        """The rule that a path below the prefix matches; empty for one that is not."""
        rest = path[len(self.prefix) :]
        if not path.startswith(self.prefix) or (rest and rest[0] != "/"):
            return ""
        return self.prefix + (rest if len(rest) < 2 else "/<path:_rest>")


def early_places(app: Flask, gateway: Gateway, schemes: AcceptedSchemes) -> dict[str, EarlyPlace]:
    """The endpoints that may, by name; none where somebody has hooks on the whole application."""
    if _watched(app, schemes):
        return {}
    found = {}
    limits: Mapping[str, EndpointLimits] = app.extensions["gateway_limits"]
    for endpoint, route in gateway.routes.items():
        service = route.service
        if service is None or endpoint != f"{service.name}.forward" or route.siblings:
            continue
        runtime = gateway.runtimes[service.name]
        early = early_of(runtime.handler)
        if early is None or _hooked(app, service.name, 0) or not _forwards(app, endpoint, service):
            continue
        if _pure(route, limits.get(endpoint)):
            prefix = service.url_prefix or ""
            alone = _is_alone(app, endpoint, prefix)
            found[endpoint] = EarlyPlace(prefix, alone, route, runtime, early)
    return found


def _watched(app: Flask, schemes: AcceptedSchemes) -> bool:
    """Whether something looks at every request that may want it to be Flask's."""
    if _hooked(app, None, 1) or app.url_map.host_matching or limiter._request_filters:
        return True
    if any(signal.receivers for signal in _SIGNALS):
        return True
    return any(not type(scheme).__module__.startswith("gateway.") for scheme in schemes.all())


def _hooked(app: Flask, name: str | None, own: int) -> bool:
    """Whether somebody has hooks on an application (None) or a blueprint, beside our own."""
    if len(app.before_request_funcs.get(name, ())) > own or app.url_value_preprocessors.get(name):
        return True
    later: tuple[Mapping[Any, Any], ...] = (app.after_request_funcs, app.teardown_request_funcs)
    return any(hooks.get(name) for hooks in later) or bool(app.teardown_appcontext_funcs)


def _forwards(app: Flask, endpoint: str, service: Service) -> bool:
    """Whether an endpoint does nothing but forward: nobody has put a view of his own around it, or
    another method in a class of his own."""
    usual = (service._catch_all, service.forward)
    own = tuple(getattr(one, "__func__", None) for one in usual)
    return app.view_functions[endpoint] == usual[0] and own == (Service._catch_all, Service.forward)


def _pure(route: Route, limits: EndpointLimits | None) -> bool:
    """Whether nothing that applies to an endpoint is a function that may want `flask.request`."""
    parts = [part for required in route.access.values() for part in required or ()]
    if any(isinstance(leaf, Decision) for part in parts for leaf in leaves(part)):
        return False
    return limits is None or not any(
        callable(rule.cost) or rule.key or rule.exempt_when or rule.deduct_when or not rule.nodelay
        for rule in limits.rules
    )


def _is_alone(app: Flask, endpoint: str, prefix: str) -> bool:
    """Whether no other endpoint's rule can match below a prefix."""
    for rule in app.url_map.iter_rules():
        fixed, variable, _ = rule.rule.partition("<")
        if rule.endpoint == endpoint:
            continue
        if fixed == prefix or fixed.startswith(f"{prefix}/"):
            return False
        if variable and prefix.startswith(fixed) and not _apart(rule.rule, prefix):
            return False
    return bool(prefix)


def _apart(rule: str, prefix: str) -> bool:
    """Whether a rule has another segment than a prefix, after none that could be several."""
    for own, other in zip(rule.split("/"), prefix.split("/"), strict=False):
        if own.startswith(f"<{VERSION}("):
            from gateway.versions.paths import takes  # only if used

            if not takes(own, other):
                return True
        elif "<" in own:
            return False
        elif own != other:
            return True
    return False
