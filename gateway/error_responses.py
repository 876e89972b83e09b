"""Every failure as one kind of response: problem+json with the request id, nothing internal."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, request
from gunicorn.http.errors import NoMoreData, ParseException
from werkzeug.exceptions import HTTPException

from gateway.errors import (
    ClientBodyError,
    ClientGone,
    Refusal,
    UpstreamError,
    phrase,
    problem,
)
from gateway.exchange import Exchange

log = logging.getLogger("gateway")

_NONE: Mapping[str, Any] = {}


def register_error_handlers(app: Flask) -> None:
    """Answer every exception that leaves a view or a hook."""
    for kind, handler in FAILURES:
        app.register_error_handler(kind, handler)
    app.register_error_handler(ClientGone, _on_client_gone)


def answer_to(error: Exception) -> Response:
    """What a request is answered with that ends so, as long as no handler of a fork's own answers
    instead. In a request's context."""
    if isinstance(error, HTTPException):
        return _on_http(error)
    return _on_upstream(error) if isinstance(error, UpstreamError) else _on_bug(error)


def _exchange() -> Exchange:
    exchange: Exchange = request.environ["gateway.exchange"]
    return exchange


def _respond(status: int, slug: str, detail: str, members: Mapping[str, Any] = _NONE) -> Response:
    body, media_type = problem(status, slug, detail, _exchange().request_id, **members)
    return Response(body, f"{status} {phrase(status)}", content_type=media_type)


def _on_http(error: HTTPException) -> Response:
    status = error.code or 500
    if getattr(error, "original_exception", None) is not None:  # Flask's, which it has logged
        return _bug()
    if error.response is not None or status < 400:
        return error.get_response(request.environ)  # type: ignore[return-value]  # abort(response)
    if isinstance(error, Refusal):
        slug, extra = error.slug, error.extra_headers
        detail, members = error.description or "", error.members
    else:
        slug = (error.name or "error").lower().replace(" ", "_")
        extra = tuple(map(_ordered, error.get_headers(request.environ)[1:]))
        detail, members = _DETAILS.get(status) or error.name, _NONE
    _exchange().blame("gateway" if status >= 500 and status != 508 else "client", slug)
    response = _respond(status, slug, detail, members)
    for name, value in extra:
        response.headers.add(name, value)
    return response


def _ordered(field: tuple[str, str]) -> tuple[str, str]:
    """`Allow` in the same order each time; Werkzeug has it from a set."""
    name, value = field
    return (name, ", ".join(sorted(value.split(", ")))) if name == "Allow" else field


_DETAILS = {
    404: "No route matches this path.",
    405: "The method is not allowed here.",
    413: "The request body is too large.",
    415: "The media type is not supported here.",
}


def _on_upstream(error: UpstreamError) -> Response:
    exchange = _exchange()
    exchange.blame(error.party, error.reason)
    if error.party == "upstream":  # what we kept back by the thousand, the access log tells
        log.warning("%s: %s %s (%s)", exchange.request_id, exchange.service, error.reason, error)
    response = _respond(error.status, error.reason, error.title)
    if error.retry_after is not None or error.status == 503:
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after or 1)))
    return response


def _on_client_gone(error: ClientGone) -> Response:
    _exchange().blame("client", "client_gone")
    return Response(status=499)  # nobody reads it; the log does


def _on_bad_body(error: Exception) -> Response:
    return _on_http(ClientBodyError("The request body is malformed or cut short."))


def _on_bug(error: Exception) -> Response:
    log_bug(error)
    return _bug()


def log_bug(error: Any) -> None:
    """Write down what nobody expected: an exception, or what `sys.exc_info()` says."""
    log.error("%s: unexpected error", _exchange().request_id, exc_info=error)


def _bug() -> Response:
    _exchange().blame("gateway", "bug")
    return _respond(500, "internal_error", "The gateway failed. The request id finds the cause.")


#: What makes the usual answer to a failure, by the kind of the exception.
FAILURES: tuple[tuple[type[Exception], Callable[[Any], Response]], ...] = (
    (HTTPException, _on_http),
    (UpstreamError, _on_upstream),
    # Views that read the body themselves meet the server's own errors.
    (ParseException, _on_bad_body),
    (NoMoreData, _on_bad_body),
    (Exception, _on_bug),
)
