"""Via: the gateway names itself in both directions, and knows its name when it meets it."""

from __future__ import annotations

import pytest

from gateway.testing import ScriptedUpstream
from tests.support.client import exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import request, response
from tests.wire.conftest import PSEUDONYM

OURS = b"1.1 " + PSEUDONYM.encode()


def joined(values: list[bytes]) -> bytes:
    """A list header's members as one value: lines, commas and spaces after them mean the same."""
    return b", ".join(member.strip() for value in values for member in value.split(b","))


def test_gateway_names_itself_both_ways(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert upstream.requests[0].header(b"Via") == [OURS]
    assert reply.header(b"Via") == [OURS]


def test_gateway_comes_last_in_the_chain(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"200 OK", b"Via: 1.1 inner (x), 1.1 y", b"Via: HTTP/2 next"))
    headers = (b"Via: 1.0 fred, 1.1 p.example:80 (Apache/1.1)", b"Via: 1.1 q")
    reply = exchange(gateway.port, request(b"/plain/x", *headers))
    sent = joined(upstream.requests[0].header(b"Via"))
    assert sent == b"1.0 fred, 1.1 p.example:80 (Apache/1.1), 1.1 q, " + OURS
    assert joined(reply.header(b"Via")) == b"1.1 inner (x), 1.1 y, HTTP/2 next, " + OURS


@pytest.mark.parametrize(
    "value",
    [
        OURS,
        b"1.0 fred, " + OURS,
        OURS + b", 1.1 other",
        b"2 " + PSEUDONYM.encode() + b" (again)",
        b"HTTP/1.1 " + PSEUDONYM.encode(),
    ],
)
def test_loop_is_cut(gateway: Gateway, upstream: ScriptedUpstream, value: bytes) -> None:
    assert exchange(gateway.port, request(b"/plain/x", b"Via: " + value)).status == 508
    assert not upstream.requests


def test_loop_is_seen_in_any_line(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    message = request(b"/plain/x", b"Via: 1.1 other", b"Via: " + OURS)
    assert exchange(gateway.port, message).status == 508
    assert not upstream.requests


@pytest.mark.parametrize("value", [b"1.1 not-" + OURS[4:], OURS + b"-2", b"1.1 a (" + OURS + b")"])
def test_another_name_is_no_loop(
    gateway: Gateway, upstream: ScriptedUpstream, value: bytes
) -> None:
    assert exchange(gateway.port, request(b"/plain/x", b"Via: " + value)).status == 200
