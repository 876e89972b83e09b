"""Transforms on the wire: what a client says becomes no second field, parameter or message."""

from __future__ import annotations

import pytest

from gateway.testing import Received, ScriptedUpstream
from tests.support.client import exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import request, response


def shaped(gateway: Gateway, upstream: ScriptedUpstream, target: bytes, *sent: bytes) -> Received:
    """What reached the upstream of a request."""
    assert exchange(gateway.port, request(b"/shaped" + target, *sent)).status == 200
    assert len(upstream.requests) == 1
    return upstream.requests[0]


@pytest.mark.parametrize(
    ("query", "value"),
    [
        (b"q=a%0d%0aX-User-ID:%20root", b"a%0D%0AX-User-ID: root"),
        (b"q=a%0d%0a%0d%0aGET%20/%20HTTP/1.1", b"a%0D%0A%0D%0AGET / HTTP/1.1"),
        (b"q=%00%7f%C3%A9%ff", b"%00%7F%C3%A9%EF%BF%BD"),
        (b"q=+a+", b"%20a%20"),
    ],
)
def test_a_parameter_in_a_field_stays_one_line(
    gateway: Gateway, upstream: ScriptedUpstream, query: bytes, value: bytes
) -> None:
    reply = exchange(gateway.port, request(b"/shaped/x?" + query))
    (received,) = upstream.requests
    assert received.header(b"X-Asked") == [value]
    assert received.header(b"X-User-ID") == []
    assert received.target == b"/shaped/x?" + query
    assert reply.header(b"X-Echo") == [value]


def test_a_field_in_a_parameter_stays_one_parameter(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    sent = b"X-Sent: a&b=\xc3\xa9;c #?"
    received = shaped(gateway, upstream, b"/x?%64ebug=1&from=me&%7e=%7e", sent)
    assert received.target == b"/shaped/x?%7e=%7e&from=a%26b%3D%C3%A9%3Bc%20%23%3F"
    assert received.header(b"X-Copy") == [b"<a&b=%C3%A9;c #?>"]


def test_nobody_else_tells_the_time_or_what_was_asked(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    sent = [b"X-Timestamp: 1", b"x-timestamp: 2", b"X_Timestamp: 3", b"x-asked: root"]
    received = shaped(gateway, upstream, b"/x", *sent, b"Connection: close, X-Timestamp")
    (told,) = received.header(b"X-Timestamp")
    assert int(told) > 1_700_000_000
    assert received.header(b"X_Timestamp") == []
    assert received.header(b"X-Asked") == []


def test_an_upstream_takes_nothing_away_that_is_written_for_clients(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    cookies = [b"a=1; Expires=Wed, 09 Jun 2100 10:18:14 GMT", b"b=2"]
    lines = [b"Set-Cookie: " + cookie for cookie in cookies]
    lines += [b"Connection: X-Frame-Options, X-Service, X-Response-Time, X-Own", b"X-Own: 1"]
    upstream.respond(response(b"200 OK", *lines, b"X-Service: other", body=b"ok"))
    reply = exchange(gateway.port, request(b"/shaped/x"))
    assert reply.header(b"X-Frame-Options") == [b"DENY"]
    assert reply.header(b"X-Service") == [b"shaped"]
    assert len(reply.header(b"X-Response-Time")) == 1
    assert reply.header(b"Set-Cookie") == cookies
    assert reply.header(b"X-Own") == []
