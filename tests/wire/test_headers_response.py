"""Responses: status, reason, headers and body of an upstream pass as it sent them."""

from __future__ import annotations

import pytest

from gateway.testing import ScriptedUpstream
from tests.support.client import exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import request, response


def test_repeated_headers_stay_apart_and_in_order(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    cookies = [b"a=1; Path=/; Expires=Wed, 09 Jun 2100 10:18:14 GMT", b"b=2; HttpOnly", b"a=3"]
    links = [b"</a>; rel=preload", b'</b>; rel="next", </c>']
    challenges = [b'Basic realm="x"', b'Bearer realm="y", error="z"']
    lines = [
        b"Set-Cookie: " + cookies[0],
        b"Link: " + links[0],
        b"Set-Cookie: " + cookies[1],
        b"WWW-Authenticate: " + challenges[0],
        b"Link: " + links[1],
        b"WWW-Authenticate: " + challenges[1],
        b"set-cookie: " + cookies[2],
    ]
    upstream.respond(response(b"401 Unauthorized", *lines, body=b"no"))
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert reply.header(b"Set-Cookie") == cookies
    assert reply.header(b"Link") == links
    assert reply.header(b"WWW-Authenticate") == challenges


@pytest.mark.parametrize(
    "header",
    [
        b"Connection: X-Private",
        b"Keep-Alive: timeout=1",
        b"Proxy-Connection: keep-alive",
        b"Proxy-Authenticate: Basic",
        b"Trailer: X-Sum",
        b"Upgrade: h2c",
    ],
)
def test_hop_by_hop_header_stays_behind(
    gateway: Gateway, upstream: ScriptedUpstream, header: bytes
) -> None:
    upstream.respond(response(b"200 OK", header, b"X-Kept: 1", b"X-Private: 2", body=b"ok"))
    reply = exchange(gateway.port, request(b"/plain/x"))
    name, _, value = header.partition(b": ")
    assert value not in reply.header(name)
    assert reply.header(b"X-Kept") == [b"1"]
    assert reply.header(b"X-Private") == ([] if value == b"X-Private" else [b"2"])


def test_connection_cannot_remove_the_framing(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"200 OK", b"Connection: Content-Length, Via", body=b"whole"))
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert (reply.body, reply.clean_end) == (b"whole", True)
    assert len(reply.header(b"Via")) == 1


def test_no_content_type_is_invented(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.respond(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert not reply.header(b"Content-Type")
    assert reply.body == b"<html>"


def test_end_to_end_headers_pass(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    headers = [
        (b"Content-Type", b"Application/JSON;charset=UTF-8"),
        (b"ETag", b'W/"1"'),
        (b"Cache-Control", b"public,  max-age=60"),
        (b"Vary", b"Accept, *"),
        (b"Last-Modified", b"Wed, 09 Jun 2021 10:18:14 GMT"),
        (b"X-Empty", b""),
        (b"X-Latin", b"caf\xe9"),
        (b"Retry-After", b"120"),
        (b"X-Long", b"x" * 7000),
    ]
    lines = [b"%s: %s" % pair for pair in headers]
    upstream.respond(response(b"200 OK", *lines, body=b"{}"))
    reply = exchange(gateway.port, request(b"/plain/x"))
    for name, value in headers:
        assert reply.header(name) == [value]
    assert len(reply.header(b"Date")) == 1


@pytest.mark.parametrize(
    "status",
    [
        *(200, 201, 202, 203, 206, 226, 299, 300, 301, 307, 399),
        *(400, 401, 402, 403, 404, 405, 406, 408, 410, 413, 418, 422, 429, 451, 499),
        *(500, 501, 502, 503, 504, 508, 511, 599),
    ],
)
def test_any_status_passes_with_its_body(
    gateway: Gateway, upstream: ScriptedUpstream, status: int
) -> None:
    line = b"%d Own Words" % status
    upstream.respond(response(line, b"Content-Type: text/own", body=b"own body"))
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert (reply.status, reply.body, reply.clean_end) == (status, b"own body", True)
    assert reply.header(b"Content-Type") == [b"text/own"]
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("status", [200, 404, 599])
def test_reason_passes(gateway: Gateway, upstream: ScriptedUpstream, status: int) -> None:
    upstream.respond(response(b"%d Own Words" % status, body=b"own body"))
    assert exchange(gateway.port, request(b"/plain/x")).reason == b"Own Words"


@pytest.mark.parametrize("line", [b"HTTP/1.1 200 ", b"HTTP/1.1 200", b"HTTP/1.0 200 OK"])
def test_status_line_variants_are_read(
    gateway: Gateway, upstream: ScriptedUpstream, line: bytes
) -> None:
    upstream.respond(line + b"\r\nContent-Length: 2\r\n\r\nok")
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert (reply.status, reply.body) == (200, b"ok")


@pytest.mark.parametrize("method", [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"])
def test_method_passes(gateway: Gateway, upstream: ScriptedUpstream, method: bytes) -> None:
    upstream.respond(response(b"200 OK", b"Allow: GET, X-OWN", body=b"ok"))
    reply = exchange(gateway.port, request(b"/plain/x", method=method))
    assert (reply.status, reply.header(b"Allow")) == (200, [b"GET, X-OWN"])
    assert upstream.requests[0].method == method


@pytest.mark.parametrize("method", [b"TRACE", b"TRACK", b"CONNECT", b"PROPFIND", b"OWN", b"get"])
def test_method_that_is_not_forwarded(
    gateway: Gateway, upstream: ScriptedUpstream, method: bytes
) -> None:
    reply = exchange(gateway.port, request(b"/plain/x", method=method))
    assert reply.status in (400, 405, 501)
    assert not upstream.requests


def test_request_id_comes_back_once(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert reply.header(b"X-Request-ID") == upstream.requests[0].header(b"X-Request-ID")
    assert len(reply.header(b"X-Request-ID")) == 1
