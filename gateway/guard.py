"""Room 2 as hooks: who is it, then (after the limits) may they."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import request

from gateway.authentication import Authenticator
from gateway.authorization import authorize
from gateway.errors import Refusal
from gateway.routes import UNMATCHED, Route


def make_authenticate(
    usual: Authenticator, narrowed: Mapping[str, Authenticator]
) -> Callable[[], None]:
    """The hook that settles the identity. It refuses nothing: whether one is needed is decided
    later, after the limits, so that failed attempts are counted too.

    narrowed: by the name of the service, for those that say which schemes they accept.
    """

    def authenticate() -> None:
        environ = request.environ
        route: Route = environ.get("gateway.route", UNMATCHED)
        if route.internal:
            return
        authenticator = usual
        if narrowed and route.service is not None:
            authenticator = narrowed.get(route.service.name, usual)
        try:
            identity = authenticator.authenticate(
                environ, needed=route.access.get(environ["REQUEST_METHOD"]) is not None
            )
        except Refusal as refusal:
            environ["gateway.refusal"] = refusal
        else:
            environ["gateway.identity"] = identity
            environ["gateway.exchange"].user = identity.subject

    return authenticate


def check_access() -> None:
    """The hook that compares what the route requires with who asks. Raises 401 or 403; 400 also
    where nothing is required, for a request that says two things about who it is."""
    environ = request.environ
    route: Route = environ.get("gateway.route", UNMATCHED)
    if route is UNMATCHED:
        return  # routing answers: 404 or 405
    parts = route.access[environ["REQUEST_METHOD"]]  # every method served is there
    refusal: Refusal | None = environ.get("gateway.refusal")
    if refusal is not None and (parts is not None or refusal.code == 400):
        raise refusal
    if parts:
        authorize(parts, environ["gateway.identity"])
