"""Room 2 as hooks: who is it, then (after the limits) may they."""

from __future__ import annotations

from collections.abc import Callable

from flask import request

from gateway.authentication import Authenticator
from gateway.authorization import authorize
from gateway.errors import Refusal
from gateway.routes import UNMATCHED, Route


def make_authenticate(authenticator: Authenticator) -> Callable[[], None]:
    """The hook that settles the identity. It refuses nothing: whether one is needed is decided
    later, after the limits, so that failed attempts are counted too."""

    def authenticate() -> None:
        environ = request.environ
        route: Route = environ.get("gateway.route", UNMATCHED)
        if route.internal:
            return
        try:
            identity = authenticator.authenticate(environ)
        except Refusal as refusal:
            environ["gateway.refusal"] = refusal
        else:
            environ["gateway.identity"] = identity
            environ["gateway.exchange"].user = identity.subject

    return authenticate


def check_access() -> None:
    """The hook that compares what the route requires with who asks. Raises 401 or 403."""
    environ = request.environ
    route: Route = environ.get("gateway.route", UNMATCHED)
    if route is UNMATCHED:
        return  # routing answers: 404 or 405
    parts = route.access[environ["REQUEST_METHOD"]]  # every method served is there
    if parts is None:
        return
    identity = environ.get("gateway.identity")
    if identity is None:
        raise environ["gateway.refusal"]
    if parts:
        authorize(parts, identity)
