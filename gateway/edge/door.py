"""Room 1. The WSGI layer around the application, and the first check inside it.

Around: every request gets its record, and is accounted for when its body closes, whatever became
of it. Inside: what no later room should have to think of is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Request, request
from werkzeug.exceptions import NotFound

from gateway.client import ClientConnection
from gateway.edge.arrival import queue_seconds
from gateway.edge.origin import TrustedProxies, edge_of, valid_host
from gateway.errors import Refusal
from gateway.exchange import Exchange, ResponseBody
from gateway.observability.access_log import AccessLog
from gateway.observability.request_id import request_id
from gateway.paths import shown
from gateway.routes import UNMATCHED, Route
from gateway.urls import check_path, check_routed, raw_target, target_host

# An unread body up to this size is read over by the server, and the connection lives on.
_DRAINABLE = 64 * 1024

StartResponse = Callable[..., Any]
WSGIApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
#: An application that may leave a request to another one.
EarlyApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes] | None]


class Door:
    """WSGI middleware: the exchange's beginning and end. early: asked before the application."""

    def __init__(
        self,
        app: WSGIApp,
        proxies: TrustedProxies,
        log: AccessLog | None,
        begin: Callable[[], None] = lambda: None,
        early: EarlyApp | None = None,
    ) -> None:
        self._app = app
        self._early = early
        self._proxies = proxies
        self._log = log
        self._begin: Callable[[], None] | None = begin

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if self._begin is not None:  # in this worker, also where no hook of the server's did it
            begin, self._begin = self._begin, None
            begin()
        host = target_host(environ)
        if host is not None:
            environ["HTTP_HOST"] = host
        edge = edge_of(environ, self._proxies)
        exchange = Exchange(request_id(environ), time.monotonic(), client=edge.address)
        told = environ.get("HTTP_X_REQUEST_START")
        if told is not None and edge.trusted:
            exchange.queued = queue_seconds(told, time.time())
            exchange.started -= exchange.queued
        client = ClientConnection(environ)
        environ["gateway.edge"] = edge
        environ["gateway.exchange"] = exchange
        environ["gateway.client"] = client
        # What rooms add to the client's response; replaces an upstream's fields of these names.
        added = environ["gateway.added"] = [("X-Request-ID", exchange.request_id)]
        departure = Departure(environ, exchange, client, self._log)

        def start(status: str, fields: list[tuple[str, str]], exc_info: Any = None) -> Any:
            departure.status = int(status[:3])
            names = {name.lower() for name, _ in added}
            fields = [field for field in fields if field[0].lower() not in names] + added
            if _body_left(environ):
                client.close_after_response()
            exchange.head_at = time.monotonic()
            return start_response(status, fields, exc_info)

        try:
            body = None if self._early is None else self._early(environ, start)
            departure.serve(self._app(environ, start) if body is None else body)
        except BaseException:
            departure.close()
            raise
        return departure


def _body_left(environ: dict[str, Any]) -> bool:
    """Whether a body remains that the server should not read over."""
    body = environ.get("gateway.body")
    if body is not None and body.finished:
        return bool(getattr(environ["wsgi.input"], "failed", False))
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return True
    declared: str = environ.get("CONTENT_LENGTH") or ""
    return declared.isdigit() and int(declared) > _DRAINABLE


class Departure:
    """The response on its way out: counts bytes, and closes the books when the server closes it."""

    __slots__ = ("_body", "_client", "_environ", "_exchange", "_log", "_pieces", "sent", "status")

    def __init__(
        self,
        environ: dict[str, Any],
        exchange: Exchange,
        client: ClientConnection,
        log: AccessLog | None,
    ) -> None:
        self._environ = environ
        self._exchange = exchange
        self._client = client
        self._log = log
        self._body: Iterable[bytes] = ()
        self._pieces: Iterator[bytes] = iter(())
        self.sent = 0
        self.status = 0

    def serve(self, body: Iterable[bytes]) -> None:
        """Take the application's response body."""
        self._body = body
        self._pieces = iter(body)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = next(self._pieces)
        self.sent += len(piece)
        return piece

    def close(self) -> None:
        """Called once by the server, after the last byte or a broken transfer."""
        try:
            try:
                close = getattr(self._body, "close", None)
                if close is not None:
                    close()
            finally:
                _close_all(self._exchange.bodies)
            if self._client.closing and _body_left(self._environ):
                self._client.linger()
        finally:
            try:
                self._exchange.end()
            finally:
                self._account()

    def _account(self) -> None:
        if self._log is not None and not self._environ.get("gateway.quiet"):
            self._log.write(self._exchange, self._environ, self.status, self.sent)


def _close_all(bodies: list[ResponseBody]) -> None:
    """One that fails leaves none of the others open: they may hold connections and places."""
    for place, body in enumerate(bodies, 1):
        try:
            body.close()
        except BaseException:
            _close_all(bodies[place:])
            raise


def make_check(routes: dict[str, Route]) -> Callable[[], None]:
    """What runs before all hooks: refuse what routing and an upstream could read apart."""

    def check() -> None:
        environ = request.environ
        method: str = environ["REQUEST_METHOD"]
        if method != method.upper():  # routing would not tell `get` from `GET`
            raise Refusal("The method is malformed.")
        rule = request.url_rule
        route = UNMATCHED if rule is None else routes.get(rule.endpoint)
        if route is None:
            raise RuntimeError(f"{request.endpoint!r} came after create_app: nothing guards it")
        examine(environ, route)
        if route.siblings:
            route = _sibling(request, route, routes)
        note_route(environ, route, None if rule is None else shown(rule.rule))

    return check


def examine(environ: dict[str, Any], route: Route) -> None:
    """Refuse what no later room should have to think of."""
    path, query = raw_target(environ)
    if query and "#" in query:
        raise Refusal("The request target has a fragment.")
    check_path(path, encoded_slashes=route.encoded_slashes)
    check_routed(path, environ)
    _check_host(environ)


def note_route(environ: dict[str, Any], route: Route, rule: str | None) -> None:
    """Keep what the request is for. rule: as the access log tells it; None if nothing matched."""
    environ["gateway.route"] = route
    exchange: Exchange = environ["gateway.exchange"]
    if rule is not None:
        exchange.route = rule
    if route.service is not None:
        exchange.service = route.service.name
    elif route.internal:
        environ["gateway.quiet"] = True


def _check_host(environ: dict[str, Any]) -> None:
    host = environ.get("HTTP_HOST")
    if host is None:
        if environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
            raise Refusal("The Host field is missing.")
    elif not valid_host(host):
        raise Refusal("The Host field is malformed.")


def _sibling(asked: Request, route: Route, routes: dict[str, Route]) -> Route:
    """The route in the first service of the group whose header values the request has."""
    for service, rules in route.siblings:
        wanted = service.required_headers.items()
        if all(asked.headers.get(name) == value for name, value in wanted):
            if service is route.service:
                return route
            bound = rules.bind("")
            try:
                rule, values = bound.match(asked.path, asked.method, return_rule=True)
            except NotFound:  # it has not all paths that the other has: those of versions
                continue
            asked.url_rule, asked.view_args = rule, dict(values)
            return routes[rule.endpoint]
    raise NotFound
