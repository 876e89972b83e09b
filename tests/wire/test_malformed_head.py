"""Request heads that are no HTTP, or more of it than is taken: refused at the door."""

from __future__ import annotations

import pytest

from gateway.testing import ScriptedUpstream
from tests.support.client import exchange
from tests.support.gunicorn import Gateway


@pytest.mark.parametrize("line", [b"Host:", b"Host: a b", b"Host: a/b", b"Host: a@b", b"X-No: 1"])
@pytest.mark.parametrize("path", [b"/plain/x", b"/host/x"])
def test_odd_host_is_no_fault_of_the_gateway(
    gateway: Gateway, upstream: ScriptedUpstream, path: bytes, line: bytes
) -> None:
    head = b"GET %s HTTP/1.1\r\n%s\r\nConnection: close\r\n\r\n" % (path, line)
    assert exchange(gateway.port, head).status in (200, 400)
    for received in upstream.requests:
        assert len(received.header(b"Host")) == 1


@pytest.mark.parametrize(
    "lines",
    [
        b"Host: a\r\nHost: b",
        b"Host: a\r\nX-A : 1",
        b"Host: a\r\nX-A: 1\r\n folded",
        b"Host: a\r\nX-A: 1\nX-B: 2",
        b"Host: a\r\nX-A: 1\rX-B: 2",
        b"Host: a\r\nX-A: \x00",
        b"Host: a\r\nX\xe9: 1",
        b"Host: a\r\n: 1",
    ],
)
def test_malformed_head_is_refused(
    gateway: Gateway, upstream: ScriptedUpstream, lines: bytes
) -> None:
    assert exchange(gateway.port, b"GET /plain/x HTTP/1.1\r\n%s\r\n\r\n" % lines).status == 400
    assert not upstream.requests


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", 400),
        (b"GET /plain/x\r\n\r\n", 400),
        (b"GET  /plain/x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /plain/x HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        (b"GET /plain/x HTTP/1.x\r\nHost: a\r\n\r\n", 400),
        (b"GET /plain/x HTTP/3.0\r\nHost: a\r\n\r\n", 400),
        (b"GET /plain/ x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"G\x00T /plain/x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /plain/%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 9000), 414),
        (b"GET /plain/x HTTP/1.1\r\nHost: a\r\n%s\r\n" % (b"X-A: 1\r\n" * 200), 431),
        (b"GET /plain/x HTTP/1.1\r\nHost: a\r\nX-A: %s\r\n\r\n" % (b"x" * 20000), 431),
    ],
)
def test_what_is_not_a_request_is_refused(
    gateway: Gateway, upstream: ScriptedUpstream, message: bytes, status: int
) -> None:
    reply = exchange(gateway.port, message)
    assert (reply.status, reply.clean_end) == (status, True)
    assert reply.header(b"Content-Type") == [b"application/problem+json"]
    assert reply.header(b"Connection") == [b"close"]
    assert not upstream.requests
