"""Stale connections: a request is sent again only where nobody can have acted on it."""

from __future__ import annotations

import pytest

from gateway.testing import Close, Reset, Script, ScriptedUpstream, Send, Step
from tests.support.client import exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import chunks, request, response, response_head

OK = response(b"200 OK", body=b"ok")
CHUNKED = b"Transfer-Encoding: chunked"


def connections(upstream: ScriptedUpstream) -> list[int]:
    """Which connection each request came on."""
    return [received.connection for received in upstream.requests]


def stale(end: Step) -> list[Script]:
    """A first answer, and an end on the second request, before a byte of an answer."""
    return [[Send(OK)], [end], [Send(OK)]]


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["close", "reset"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
def test_request_on_a_stale_connection_is_replayed_once(
    gateway: Gateway, upstream: ScriptedUpstream, method: bytes, end: Step
) -> None:
    upstream.script(*stale(end))
    exchange(gateway.port, request(b"/plain/first"))
    assert exchange(gateway.port, request(b"/plain/x", method=method)).status == 200
    assert connections(upstream) == [0, 0, 1]
    assert upstream.requests[1].head == upstream.requests[2].head


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["close", "reset"])
@pytest.mark.parametrize("headers", [(), (CHUNKED,)], ids=["length", "chunked"])
def test_replay_repeats_the_body(
    gateway: Gateway, upstream: ScriptedUpstream, headers: tuple[bytes, ...], end: Step
) -> None:
    upstream.script(*stale(end))
    exchange(gateway.port, request(b"/quick/first"))
    body = chunks(b"same") if headers else b"same"
    message = request(b"/quick/x", *headers, method=b"GET", body=body)
    assert exchange(gateway.port, message).status == 200
    assert upstream.requests[1].raw == upstream.requests[2].raw
    assert upstream.requests[2].body == b"same"


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["close", "reset"])
def test_body_that_is_gone_is_not_replayed(
    gateway: Gateway, upstream: ScriptedUpstream, end: Step
) -> None:
    upstream.script(*stale(end))
    exchange(gateway.port, request(b"/plain/first"))
    message = request(b"/plain/x", method=b"PUT", body=bytes(1 << 20))
    assert exchange(gateway.port, message).status == 502
    assert connections(upstream) == [0, 0]


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["close", "reset"])
def test_replay_happens_only_once(gateway: Gateway, upstream: ScriptedUpstream, end: Step) -> None:
    upstream.script([Send(OK)], [end])
    exchange(gateway.port, request(b"/plain/first"))
    assert exchange(gateway.port, request(b"/plain/x")).status == 502
    assert connections(upstream) == [0, 0, 1]


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["close", "reset"])
@pytest.mark.parametrize(
    "message",
    [
        request(b"/plain/x", method=b"POST", body=b"pay"),
        request(b"/plain/x", CHUNKED, method=b"POST", body=chunks(b"pay")),
        request(b"/plain/x", b"Content-Length: 0", method=b"POST"),
        request(b"/plain/x", method=b"PATCH", body=b"pay"),
    ],
    ids=["POST", "chunked POST", "empty POST", "PATCH"],
)
def test_unsafe_request_is_never_replayed(
    gateway: Gateway, upstream: ScriptedUpstream, message: bytes, end: Step
) -> None:
    upstream.script(*stale(end))
    exchange(gateway.port, request(b"/plain/first"))
    assert exchange(gateway.port, message).status == 502
    assert [received.target for received in upstream.requests] == [b"/plain/first", b"/plain/x"]


@pytest.mark.parametrize("began", [b"H", b"HTTP/1.1 2", response_head(b"103 Early Hints")])
def test_answer_that_began_is_never_replayed(
    gateway: Gateway, upstream: ScriptedUpstream, began: bytes
) -> None:
    upstream.script([Send(OK)], [Send(began), Close()], [Send(OK)])
    exchange(gateway.port, request(b"/plain/first"))
    assert exchange(gateway.port, request(b"/plain/x")).status == 502
    assert len(upstream.requests) == 2
