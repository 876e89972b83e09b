"""Whether a caller may ask a service for what a leg asks: the service's own word counts.

A view that gathers lets nobody see more than he could by asking the services himself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from gateway.authentication import Identity
from gateway.authorization import authorize
from gateway.authorization.parts import AllOf, AnyOf, Decision, Part, calls
from gateway.errors import Forbidden, Refusal, Unauthenticated
from gateway.routes import route_without_paths

if TYPE_CHECKING:
    from gateway.routes import Parts, Route
    from gateway.service import Service

    Found = tuple[Route, Mapping[str, Any]]


class LegAccess:
    """What each service's routes require, looked up as routing would."""

    def __init__(self, app: Flask, routes: dict[str, Route]) -> None:
        self._rules = app.url_map.bind("")
        self._routes = routes
        #: Services below whose prefix is more than what they forward: views, or other services.
        self._shared = {
            service.name
            for service in {route.service for route in routes.values() if route.service}
            for rule in app.url_map.iter_rules()
            if rule.endpoint != f"{service.name}.forward"
            and f"{rule.rule}/".startswith(f"{service.url_prefix or ''}/")
        }

    def route(self, service: Service, method: str, path: str) -> Route:
        """The route by which a client would ask the service for this. path: percent-encoded.
        Raises Refusal, 404 or 405, where there is none."""
        return self._found(service, method, path)[0]

    def variables(self, service: Service, method: str, path: str) -> Mapping[str, Any]:
        """The values of that route's variables; empty where there is none."""
        try:
            return self._found(service, method, path)[1]
        except Refusal:
            return {}

    def _found(self, service: Service, method: str, path: str) -> Found:
        if service.url_prefix is None:
            return route_without_paths(service), {}
        if service.name not in self._shared:
            return self._routes[f"{service.name}.forward"], {}
        text = unquote(path)  # as rules are written
        found = self._matched(self._rules, method, text)
        for sibling, rules in found[0].siblings:
            if sibling is service and found[0].service is not service:
                found = self._matched(rules.bind(""), method, text)
        if found[0].service is not service:
            raise _no_route(404)
        return found

    def _matched(self, rules: MapAdapter, method: str, path: str) -> Found:
        try:
            found, values = rules.match(path, method)
        except HTTPException as error:
            raise _no_route(405 if error.code == 405 else 404) from None
        if ".claim_" in found:  # a path of a view, and not what the view takes
            raise _no_route(405)
        return self._routes[found], values


def check(
    route: Route, service: Service, method: str, identity: Identity | None, view: Service | None
) -> None:
    """Raise Refusal, 401, 403 or 405, unless the caller may. view: the service of the view.

    A function of `require` decides by the request that it is given, which is not the leg's: it is
    never met. Nor is anything where the service takes other credentials than that of the view.
    """
    if method not in route.access:
        raise Refusal("The service does not take this method.", status=405)
    parts = route.access[method]
    if parts is None:
        return
    if identity is None:
        raise Unauthenticated("A part of the answer needs a credential.")
    if not _takes(service, view):
        raise Forbidden("A part of the answer takes another kind of credential.")
    if parts:
        _authorize(parts, identity)


def _takes(service: Service, view: Service | None) -> bool:
    """Whether what proves a caller to the view does so to the service."""
    own, given = service.authentication, None if view is None else view.authentication
    if (
        own is None and given is not None
    ):  # all that the settings set up, and these are told by name
        return all(isinstance(scheme, str) for scheme in given)
    return own == given


def _no_route(status: int) -> Refusal:
    return Refusal("No route of the service matches.", status=status)


def _authorize(parts: Parts, identity: Identity) -> None:
    authorize(tuple(part for part in parts if not calls(part)), identity)
    if not all(_is_met(part, identity) for part in parts):
        raise Forbidden("A part of the answer takes a decision that only its service can ask for.")


def _is_met(part: Part, identity: Identity) -> bool:
    if isinstance(part, AnyOf):
        return any(_is_met(one, identity) for one in part.parts)
    if isinstance(part, AllOf):
        return all(_is_met(one, identity) for one in part.parts)
    return not isinstance(part, Decision) and part.held_by(identity)
