"""Clients apart: nothing of one client, and nothing of the machine, reaches another's request."""

from __future__ import annotations

import pytest

from gateway.testing import ScriptedUpstream
from tests.support.client import Connection, exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import request, request_head, response


def test_cookies_of_one_client_stay_with_it(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    cookies = [b"Set-Cookie: session=one; Path=/", b"Set-Cookie2: old=one"]
    upstream.respond(response(b"200 OK", *cookies, body=b"ok"))
    first = exchange(gateway.port, request(b"/plain/login", b"Cookie: own=1"))
    assert first.header(b"Set-Cookie") == [b"session=one; Path=/"]
    upstream.respond(response(b"200 OK", body=b"ok"))
    second = exchange(gateway.port, request(b"/plain/x"))
    third = exchange(gateway.port, request(b"/plain/x", b"Cookie: own=3"))
    assert not second.header(b"Set-Cookie")
    assert not third.header(b"Set-Cookie")
    assert [received.header(b"Cookie") for received in upstream.requests] == [
        [b"own=1"],
        [],
        [b"own=3"],
    ]


@pytest.mark.parametrize(
    "header", [b"Authorization: Basic eDp5", b"X-Api-Key: k", b"If-None-Match: x", b"X-Any: 1"]
)
def test_headers_of_one_request_stay_with_it(
    gateway: Gateway, upstream: ScriptedUpstream, header: bytes
) -> None:
    with Connection(gateway.port) as connection:
        connection.send(request_head(b"/plain/1", header))
        connection.read_reply()
        connection.send(request_head(b"/plain/2"))
        connection.read_reply()
    assert exchange(gateway.port, request(b"/plain/3")).status == 200
    name = header.split(b":")[0]
    assert [received.header(name) for received in upstream.requests[1:]] == [[], []]
    assert [received.connection for received in upstream.requests] == [0, 0, 0]


def test_challenge_is_the_clients_to_answer(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"401 Unauthorized", b'WWW-Authenticate: Basic realm="x"'))
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert reply.status == 401
    assert len(upstream.requests) == 1


def test_netrc_and_proxy_variables_are_ignored(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    # The gateway's environment names a proxy that nobody runs and a .netrc for 127.0.0.1.
    assert exchange(gateway.port, request(b"/plain/x")).status == 200
    assert upstream.requests[0].target == b"/plain/x"
    assert not upstream.requests[0].header(b"Authorization")
    assert not upstream.requests[0].header(b"Proxy-Authorization")


def test_request_ids_differ(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    for _ in range(3):
        exchange(gateway.port, request(b"/plain/x"))
    ids = [value for received in upstream.requests for value in received.header(b"X-Request-ID")]
    assert len(set(ids)) == 3


def test_refused_request_leaves_nothing_behind(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    for refused in (
        request(b"/plain/../x", b"X-Left: 1"),
        request(b"/small/x", b"X-Left: 1", method=b"POST", body=bytes(1001)),
        request(b"/plain/x", b"X-Left: 1", b"Via: 1.1 edge-under-test"),
    ):
        assert exchange(gateway.port, refused).status in (400, 413, 508)
    assert exchange(gateway.port, request(b"/plain/x")).body == b"ok"
    assert len(upstream.requests) == 1
    assert not upstream.requests[0].header(b"X-Left")
