"""The door: what every request gets, what is refused before any room, and the closing of books."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask, request

from gateway.edge.door import Door
from gateway.edge.origin import TrustedProxies
from gateway.exchange import Exchange
from gateway.observability.access_log import AccessLog
from tests.support.wsgi import call, make_app, make_environ, open_service, run


@dataclass
class Body:
    """A response body that notes how often it was closed."""

    pieces: list[bytes] = field(default_factory=list)
    fails: bool = False
    closed: int = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)

    def close(self) -> None:
        self.closed += 1
        if self.fails:
            raise OSError("closing failed")


def _door(app: Any, lines: list[bytes] | None = None) -> Door:
    log = None if lines is None else AccessLog(lines.append)
    return Door(app, TrustedProxies(()), log)


def _serving(body: Body, opened: list[Body] | None = None) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Body:
        environ["gateway.exchange"].bodies.extend(opened or [])
        start_response("200 OK", [("X-Request-ID", "upstream's"), ("X-Own", "1")])
        return body

    return app


def test_request_id_replaces_the_upstreams() -> None:
    answer = run(_door(_serving(Body())), make_environ("/", headers=[("X-Request-ID", "abcdefgh")]))
    assert answer.headers == [("X-Own", "1"), ("X-Request-ID", "abcdefgh")]


def test_books_are_closed_once_with_the_body() -> None:
    lines: list[bytes] = []
    body, upstream = Body([b"ab", b"", b"c"]), Body()
    answer = run(_door(_serving(body, [upstream]), lines), make_environ("/"))
    assert answer.body == b"abc"
    assert (body.closed, upstream.closed, len(lines)) == (1, 1, 1)
    assert b'"bytes_out":3' in lines[0]


def test_books_are_closed_when_the_application_fails() -> None:
    lines: list[bytes] = []
    upstream = Body()

    def app(environ: dict[str, Any], _start_response: Any) -> Body:
        environ["gateway.exchange"].bodies.append(upstream)
        raise SystemExit

    with pytest.raises(SystemExit):
        run(_door(app, lines), make_environ("/"))
    assert (upstream.closed, len(lines)) == (1, 1)


def test_upstream_is_closed_when_closing_the_response_fails() -> None:
    lines: list[bytes] = []
    upstream = Body()
    with pytest.raises(OSError, match="closing failed"):
        run(_door(_serving(Body(fails=True), [upstream]), lines), make_environ("/"))
    assert (upstream.closed, len(lines)) == (1, 1)


class _Message:
    """gunicorn's parsed request, as far as the door talks to it."""

    def __init__(self) -> None:
        self.headers: list[tuple[str, str]] = []
        self.closing = False

    def force_close(self) -> None:
        self.closing = True

    def should_close(self) -> bool:
        return self.closing


@pytest.mark.parametrize(
    ("changes", "closing"),
    [
        ({}, False),
        ({"CONTENT_LENGTH": "65536"}, False),
        ({"CONTENT_LENGTH": "65537"}, True),
        ({"CONTENT_LENGTH": "junk"}, False),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, True),
    ],
)
def test_connection_ends_where_an_unread_body_would_follow(
    changes: dict[str, Any], closing: bool
) -> None:
    message = _Message()
    stream = type("Input", (io.BytesIO,), {"message": message})()
    run(_door(_serving(Body())), make_environ("/", **changes, **{"wsgi.input": stream}))
    assert message.closing is closing


@pytest.mark.parametrize("length", [None, "chunked"])
def test_connection_lives_on_after_a_body_that_was_read(length: str | None) -> None:
    service, _ = open_service(max_body=None)
    message = _Message()
    data = bytes(100_000)
    stream = type("Input", (io.BytesIO,), {"message": message})(data)
    changes: dict[str, Any] = {"wsgi.input": stream}
    if length:
        changes |= {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    answer = call(make_app(service), "/things/x", "POST", body=data, **changes)
    assert (answer.status, message.closing) == (200, False)


def _exchanges(app: Flask) -> list[Exchange]:
    seen: list[Exchange] = []

    def see(error: object) -> None:
        seen.append(request.environ["gateway.exchange"])

    app.teardown_request(see)
    return seen


def test_exchange_knows_route_service_and_client() -> None:
    service, _ = open_service()
    app = make_app(service, TRUSTED_PROXIES=("192.0.2.1",))
    seen = _exchanges(app)
    call(app, "/things/x", headers=[("X-Forwarded-For", "203.0.113.5")])
    call(app, "/nothing")
    assert (seen[0].service, seen[0].route) == ("things", "/things/<path:_rest>")
    assert seen[0].client == "203.0.113.5"
    assert (seen[1].service, seen[1].route, seen[1].reason) == ("", "", "not_found")


@pytest.mark.parametrize(
    ("raw", "changes"),
    [
        ("/things/x", {"HTTP_HOST": "a b"}),
        ("/things/x", {"HTTP_HOST": "a..b"}),
        ("/things/x", {"HTTP_HOST": "x" * 300}),
        ("/things/x", {"HTTP_HOST": "\x80"}),
        ("/things/x", {"HTTP_HOST": "[::1"}),
        ("/things/..", {}),
        ("/things//x", {}),
        ("/things/a%2Fb", {}),
        ("/nothing/..", {}),
        ("/things/x", {"PATH_INFO": "/things/y"}),
        ("/things/x", {"REQUEST_METHOD": "get"}),
    ],
)
def test_refused_at_the_door(raw: str, changes: dict[str, Any]) -> None:
    service, stub = open_service()
    assert call(make_app(service), raw, **changes).status == 400
    assert not stub.requests


def test_missing_host_passes_from_old_clients_only() -> None:
    service, _ = open_service()
    app = make_app(service)
    environ = make_environ("/things/x", SERVER_PROTOCOL="HTTP/1.0")
    del environ["HTTP_HOST"]
    assert run(app, dict(environ)).status == 200
    assert run(app, {**environ, "SERVER_PROTOCOL": "HTTP/1.1"}).status == 400


def test_door_refuses_before_authentication_is_looked_at() -> None:
    service, _ = open_service()
    app = make_app(service)
    seen = _exchanges(app)
    call(app, "/things/..", headers=[("Authorization", "Bearer junk")])
    assert seen[0].reason == "ambiguous_path"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_not_logged(path: str) -> None:
    lines: list[bytes] = []
    app = make_app(open_service()[0])
    app.wsgi_app._log = AccessLog(lines.append)  # type: ignore[attr-defined]
    assert call(app, path).status == 200
    assert not lines
    call(app, "/things/x")
    assert len(lines) == 1
