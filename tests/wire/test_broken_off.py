"""Transfers that break off: neither side is left believing or waiting."""

from __future__ import annotations

import time
import uuid

import pytest

from gateway.testing import Close, Hang, Reset, ScriptedUpstream, Send, Step, Wait
from tests.support.client import Connection, exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import chunk, request, request_head, response_head

CHUNKED = response_head(b"200 OK", b"Transfer-Encoding: chunked")
LENGTH = response_head(b"200 OK", b"Content-Length: 10")
PROMPTLY = 1.5

BROKEN: dict[str, list[Step]] = {
    "short of its length": [Send(LENGTH + b"half!"), Close()],
    "nothing of its length": [Send(LENGTH), Wait(0.05), Close()],
    "reset within its length": [Send(LENGTH + b"half!"), Wait(0.05), Reset()],
    "cut after a chunk": [Send(CHUNKED + chunk(b"half!")), Close()],
    "cut within a chunk": [Send(CHUNKED + b"a\r\nhalf!"), Close()],
    "cut within a size": [Send(CHUNKED + chunk(b"half!") + b"a"), Close()],
    "cut before the last line": [Send(CHUNKED + chunk(b"half!") + b"0\r\n"), Close()],
    "no chunk at all": [Send(CHUNKED), Wait(0.05), Close()],
    "reset between chunks": [Send(CHUNKED + chunk(b"half!")), Wait(0.05), Reset()],
    "malformed size": [Send(CHUNKED + chunk(b"half!")), Wait(0.05), Send(b"zz\r\n"), Close()],
    "malformed end of chunk": [Send(CHUNKED + b"5\r\nhalf!XX0\r\n\r\n"), Close()],
    "negative size": [Send(CHUNKED + b"-5\r\nhalf!\r\n0\r\n\r\n"), Close()],
}


@pytest.mark.parametrize("steps", BROKEN.values(), ids=BROKEN.keys())
def test_answer_that_breaks_off_is_seen_to_break_off(
    gateway: Gateway, upstream: ScriptedUpstream, steps: list[Step]
) -> None:
    upstream.script(steps, [Send(response_head(b"200 OK", b"Content-Length: 5") + b"clean")])
    reply = exchange(gateway.port, request(b"/plain/x"))
    # A break before any byte of the body was relayed may still become an error of our own.
    assert reply.status == 502 or (reply.status, reply.clean_end) == (200, False)
    assert exchange(gateway.port, request(b"/plain/next")).body == b"clean"


def test_answer_until_close_that_is_reset_is_reset(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    upstream.script([Send(response_head(b"200 OK") + b"half!"), Wait(0.1), Reset()])
    assert not exchange(gateway.port, request(b"/plain/x")).clean_end


def test_http_1_0_client_sees_a_cut_as_well(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.script([Send(CHUNKED + chunk(b"half!")), Wait(0.1), Close()])
    reply = exchange(gateway.port, b"GET /plain/x HTTP/1.0\r\n\r\n")
    assert not reply.clean_end


def test_body_that_stops_moving_is_broken_off(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.script([Send(LENGTH + b"half!"), Hang()])
    assert not exchange(gateway.port, request(b"/quick/x")).clean_end
    assert upstream.wait_closed(0)


SILENCES: dict[str, list[Step]] = {
    "before the head": [Hang()],
    "after the head": [Send(LENGTH), Hang()],
    "within the body": [Send(LENGTH + b"half!"), Hang()],
    "between events": [Send(CHUNKED + chunk(b"half!")), Hang()],
    "until close": [Send(response_head(b"200 OK") + b"half!"), Hang()],
}


@pytest.mark.parametrize("abrupt", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize("steps", SILENCES.values(), ids=SILENCES.keys())
def test_client_that_leaves_frees_a_silent_upstream(
    gateway: Gateway, upstream: ScriptedUpstream, steps: list[Step], abrupt: bool
) -> None:
    upstream.script(steps)
    connection = Connection(gateway.port)
    connection.send(request_head(b"/plain/x"))
    assert upstream.wait_until(lambda: bool(upstream.requests))
    if len(steps) > 1:
        connection.read_head()
    connection.reset() if abrupt else connection.close()
    left = time.monotonic()
    assert upstream.wait_closed(0)
    assert upstream.closed[0].at - left < PROMPTLY


def test_client_that_leaves_is_nobody_elses_fault(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    upstream.script([Hang()])
    request_id = uuid.uuid4().hex
    connection = Connection(gateway.port)
    connection.send(request_head(b"/plain/x", b"X-Request-ID: " + request_id.encode()))
    assert upstream.wait_until(lambda: bool(upstream.requests))
    connection.close()
    line = gateway.line_of(request_id)
    assert (line["status"], line["party"]) == (499, "client")


def test_client_that_leaves_ends_a_running_download(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    head = response_head(b"200 OK", b"Content-Length: %d" % (1 << 30))
    upstream.script([Send(head), Send(bytes(1 << 16), times=1 << 14)])
    connection = Connection(gateway.port)
    connection.send(request_head(b"/plain/x"))
    connection.read_head()
    connection.read_exactly(1 << 20)
    connection.close()
    left = time.monotonic()
    assert upstream.wait_closed(0)
    assert upstream.closed[0].at - left < PROMPTLY


def test_client_that_leaves_within_its_upload_frees_the_upstream(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    connection = Connection(gateway.port)
    connection.send(request_head(b"/plain/x", b"Content-Length: 10", method=b"POST") + b"half!")
    assert upstream.wait_until(lambda: [r.size for r in upstream.requests] == [5])
    connection.close()
    left = time.monotonic()
    assert upstream.wait_closed(0)
    assert upstream.closed[0].at - left < PROMPTLY
    assert not upstream.requests[0].complete
