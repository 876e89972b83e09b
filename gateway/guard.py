"""Steps of admission: who is it, then (after the limits) may they."""

from __future__ import annotations

from typing import Any

from gateway.admission import Step
from gateway.authentication.accepted import AcceptedSchemes
from gateway.authentication.authenticator import Judge
from gateway.authorization import authorize
from gateway.errors import Refusal
from gateway.observability.security_log import SecurityLog
from gateway.routes import UNMATCHED, Route


def make_authenticate(
    schemes: AcceptedSchemes,
    security: SecurityLog | None = None,
    judge: Judge | None = None,
) -> Step:
    """The step that settles the identity. It refuses nothing: whether one is needed is decided
    later, after the limits, so that failed attempts are counted too.

    security: told of credentials that are refused, and of fields that no client may send. judge:
    what judges credentials in place of their schemes.
    """
    usual, narrowed = schemes.usual, schemes.narrowed

    def authenticate(environ: dict[str, Any]) -> None:
        route: Route = environ.get("gateway.route", UNMATCHED)
        if route.internal:
            return
        if security is not None:
            security.inspect(environ)
        authenticator = usual
        if narrowed and route.service is not None:
            authenticator = narrowed.get(route.service.name, usual)
        needed = route.access.get(environ["REQUEST_METHOD"]) is not None
        try:
            identity = authenticator.authenticate(environ, needed=needed, judge=judge)
        except Refusal as refusal:
            # Its traceback leads back to the environ: only the collector would free the two.
            environ["gateway.refusal"] = refusal.with_traceback(None)
            if security is not None and (needed or refusal.code == 400):
                security.refused(environ, refusal)
        else:
            environ["gateway.identity"] = identity
            environ["gateway.exchange"].user = identity.subject

    return authenticate


def make_check_access(security: SecurityLog | None = None) -> Step:
    """The step that compares what the route requires with who asks. Raises 401 or 403; 400 also
    where nothing is required, for a request that says two things about who it is."""

    def check_access(environ: dict[str, Any]) -> None:
        route: Route = environ.get("gateway.route", UNMATCHED)
        if route is UNMATCHED:
            return  # routing answers: 404 or 405
        parts = route.access[environ["REQUEST_METHOD"]]  # every method served is there
        if "gateway.refusal" in environ and (
            parts is not None or environ["gateway.refusal"].code == 400
        ):
            raise environ.pop("gateway.refusal")  # named by no variable, for the same reason
        if parts:
            try:
                authorize(parts, environ["gateway.identity"])
            except Refusal as refused:
                # A function may refuse with anything; a 404 of its own is nothing to watch over.
                if security is not None and refused.code in (403, 503):
                    security.refused(environ, refused)
                raise

    return check_access
