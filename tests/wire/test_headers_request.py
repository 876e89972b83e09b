"""Request headers: what is the client's passes as sent, what is the connection's stays behind."""

from __future__ import annotations

import pytest

from gateway.testing import Received, ScriptedUpstream
from tests.support.client import Connection, exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import HOST, request, request_head


def forwarded(gateway: Gateway, upstream: ScriptedUpstream, message: bytes) -> Received:
    """What reached the upstream of a request that the gateway answers with 200."""
    assert exchange(gateway.port, message).status == 200
    assert len(upstream.requests) == 1
    return upstream.requests[0]


@pytest.mark.parametrize(
    "header",
    [
        b"Connection: close",
        b"Connection: keep-alive",
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: keep-alive",
        b"Proxy-Authorization: Basic eDp5",
        b"Proxy-Authenticate: Basic",
        b"TE: trailers",
        b"TE: gzip",
        b"Trailer: X-Sum",
        b"Upgrade: websocket",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    ],
)
def test_hop_by_hop_header_stays_behind(
    gateway: Gateway, upstream: ScriptedUpstream, header: bytes
) -> None:
    received = forwarded(gateway, upstream, request(b"/plain/x", header))
    assert not received.header(header.split(b":")[0])


def test_client_cannot_change_the_protocol(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upgrade = (
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    )
    received = forwarded(gateway, upstream, request_head(b"/plain/x", *upgrade))
    assert b"HTTP2-SETTINGS" not in received.head.upper()


def test_headers_named_in_connection_stay_behind(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    message = request_head(
        b"/plain/x",
        b"Connection: x-a, X-B,close",
        b"X-A: 1",
        b"X-B: 2",
        b"x-b: 3",
        b"X-C: 4",
        b"Connection: X-D",
        b"X-D: 5",
    )
    received = forwarded(gateway, upstream, message)
    assert [received.header(b"X-" + name) for name in (b"A", b"B", b"C", b"D")] == [
        [],
        [],
        [b"4"],
        [],
    ]


def test_connection_cannot_remove_what_the_gateway_says(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    named = b"X-User-ID, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, Via, Host"
    message = request_head(
        b"/plain/x",
        b"Connection: close, " + named + b", X-Request-ID, Content-Length, Content-Type",
        b"Content-Type: text/plain",
        b"Content-Length: 4",
        method=b"POST",
    )
    received = forwarded(gateway, upstream, message + b"body")
    assert received.header(b"Host") == [b"127.0.0.1:%d" % upstream.port]
    assert received.header(b"Content-Length") == [b"4"]
    assert received.body == b"body"
    assert received.header(b"X-Forwarded-For") == [b"127.0.0.1"]
    assert received.header(b"X-Forwarded-Proto") == [b"http"]
    assert received.header(b"X-Forwarded-Host") == [HOST]
    assert len(received.header(b"Via")) == 1
    assert len(received.header(b"X-Request-ID")) == 1


def test_connection_cannot_remove_the_framing(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    message = request_head(
        b"/plain/x",
        b"Connection: close, Transfer-Encoding",
        b"Transfer-Encoding: chunked",
        method=b"POST",
    )
    received = forwarded(gateway, upstream, message + b"4\r\nbody\r\n0\r\n\r\n")
    assert received.complete
    assert received.body == b"body"


def test_nothing_is_invented(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    received = forwarded(gateway, upstream, request_head(b"/plain/x"))
    names = {name.lower() for name, _ in received.headers}
    ours = {b"host", b"via", b"x-request-id", b"traceparent"}
    assert {name for name in names if not name.startswith(b"x-forwarded-")} - ours == set()


def test_repeated_headers_stay_apart_and_in_order(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    headers = [b"X-M: a", b"X-N: 1", b"X-M: b, c", b"X-M:", b"X-N: 2", b"X-M: a"]
    received = forwarded(gateway, upstream, request(b"/plain/x", *headers))
    assert received.header(b"X-M") == [b"a", b"b, c", b"", b"a"]
    assert received.header(b"X-N") == [b"1", b"2"]


@pytest.mark.parametrize(
    "value",
    [
        b"caf\xe9 \xff",
        b"two  spaces\tand a tab",
        b'"quoted, \\" ; text"',
        b"=?x?= <a>; q=0.1,,b",
        b"",
        b"x" * 4000,
    ],
)
def test_value_arrives_as_it_was_sent(
    gateway: Gateway, upstream: ScriptedUpstream, value: bytes
) -> None:
    received = forwarded(gateway, upstream, request(b"/plain/x", b"X-Value: " + value))
    assert received.header(b"X-Value") == [value]


def test_end_to_end_headers_pass(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    headers = [
        (b"Accept", b"text/html, */*;q=0.1"),
        (b"Accept-Encoding", b"br, gzip;q=0.5"),
        (b"User-Agent", b"probe/1"),
        (b"If-None-Match", b'W/"a", "b"'),
        (b"Range", b"bytes=0-1"),
        (b"Content-Type", b"application/json ; charset=utf-8"),
        (b"Cookie", b"a=1; b=2;c"),
        (b"Cookie", b"a=3"),
    ]
    lines = [b"%s: %s" % pair for pair in headers]
    received = forwarded(gateway, upstream, request(b"/plain/x", *lines))
    assert [pair for pair in received.headers if pair in headers] == headers


def test_expectation_is_met_by_the_gateway(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    with Connection(gateway.port) as connection:
        head = (b"Expect: 100-continue", b"Content-Length: 4", b"Connection: close")
        connection.send(request_head(b"/plain/x", *head, method=b"POST"))
        assert connection.read_exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(b"body")
        assert connection.read_reply().status == 200
    assert upstream.requests[0].body == b"body"
    assert not upstream.requests[0].header(b"Expect")


def test_host_is_the_upstreams(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    received = forwarded(gateway, upstream, request(b"/plain/x", b"Host: h.example:8443"))
    assert received.header(b"Host") == [b"127.0.0.1:%d" % upstream.port]
    assert received.headers[0][0] == b"Host"


def test_host_is_the_clients_where_preserved(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    received = forwarded(gateway, upstream, request(b"/host/x", b"Host: h.example:8443"))
    assert received.header(b"Host") == [b"h.example:8443"]


@pytest.mark.parametrize("path", [b"/plain/x", b"/host/x"])
def test_http_1_0_without_host_is_served(
    gateway: Gateway, upstream: ScriptedUpstream, path: bytes
) -> None:
    received = forwarded(gateway, upstream, b"GET %s HTTP/1.0\r\n\r\n" % path)
    assert received.header(b"Host") == [b"127.0.0.1:%d" % upstream.port]
    assert received.head.split(b"\r\n")[0].endswith(b" HTTP/1.1")
