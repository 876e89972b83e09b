"""The scripted upstream itself, asked directly: what it plays, records and notices."""

from __future__ import annotations

import threading
import time

import pytest

from gateway.testing import Close, Hang, ReadBody, Reset, ScriptedUpstream, Send, Until, Wait
from tests.support.client import Connection, Ended, exchange
from tests.support.messages import chunk, chunks, request, request_head, response, response_head

CHUNKED = b"Transfer-Encoding: chunked"


def test_it_answers_before_anything_is_scripted(upstream: ScriptedUpstream) -> None:
    reply = exchange(upstream.port, request(b"/x?y", b"X-A: 1", b"x-a:  2 "))
    assert (reply.status, reply.body, reply.clean_end) == (200, b"ok", True)
    received = upstream.requests[0]
    assert (received.method, received.target) == (b"GET", b"/x?y")
    assert received.header(b"X-A") == [b"1", b"2"]
    assert received.raw == request(b"/x?y", b"X-A: 1", b"x-a:  2 ")
    assert upstream.wait_closed(0)


def test_scripts_follow_each_other_and_the_last_stays(upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"201 A", body=b"a"), response(b"202 B", body=b"b"))
    with Connection(upstream.port) as connection:
        for status in (201, 202, 202):
            connection.send(request_head(b"/x"))
            assert connection.read_reply().status == status
    assert upstream.connections == 1
    assert [received.connection for received in upstream.requests] == [0, 0, 0]


@pytest.mark.parametrize("framed", [True, False], ids=["chunked", "length"])
def test_bodies_are_recorded_without_their_framing(
    upstream: ScriptedUpstream, framed: bool
) -> None:
    headers = [CHUNKED] if framed else []
    body = chunks(b"ab", b"c" * 300) if framed else b"ab" + b"c" * 300
    message = request(b"/x", *headers, method=b"POST", body=body)
    exchange(upstream.port, message)
    received = upstream.requests[0]
    assert (received.body, received.size, received.complete) == (b"ab" + b"c" * 300, 302, True)
    assert received.raw == message


def test_unfinished_request_is_recorded_as_such(upstream: ScriptedUpstream) -> None:
    with Connection(upstream.port) as connection:
        connection.send(request_head(b"/x", CHUNKED, method=b"POST") + chunk(b"half") + b"9\r\nx")
    assert upstream.wait_closed(0)
    assert (upstream.requests[0].body, upstream.requests[0].complete) == (b"halfx", False)


def test_early_script_starts_before_the_body(upstream: ScriptedUpstream) -> None:
    head = response_head(b"200 OK", b"Content-Length: 4")
    upstream.script([Send(head), ReadBody(), Send(b"done")], early=True)
    with Connection(upstream.port) as connection:
        connection.send(request_head(b"/x", b"Content-Length: 4", method=b"POST"))
        assert connection.read_head().status == 200
        connection.send(b"body")
        assert connection.read_exactly(4) == b"done"
    assert upstream.requests[0].body == b"body"


def test_orderly_and_abrupt_ends_differ(upstream: ScriptedUpstream) -> None:
    half = response_head(b"200 OK", b"Content-Length: 9") + b"half"
    upstream.script([Send(half), Close()], [Send(half), Wait(0.05), Reset()])
    for reset in (False, True):
        with Connection(upstream.port) as connection:
            connection.send(request_head(b"/x"))
            connection.read_head()
            assert connection.read_exactly(4) == b"half"
            with pytest.raises(Ended) as ended:
                connection.read_exactly(1)
            assert ended.value.reset == reset
    assert not upstream.closed


def test_script_waits_for_an_event(upstream: ScriptedUpstream) -> None:
    go = threading.Event()
    upstream.script([Until(go), Send(response(b"200 OK", body=b"went"))])
    with Connection(upstream.port) as connection:
        connection.send(request_head(b"/x"))
        assert upstream.wait_until(lambda: bool(upstream.requests))
        go.set()
        assert connection.read_reply().body == b"went"


@pytest.mark.parametrize("step", [Hang(), Wait(60), Until(threading.Event())])
@pytest.mark.parametrize("abrupt", [False, True], ids=["close", "reset"])
def test_peer_that_leaves_is_noticed_in_silence(
    upstream: ScriptedUpstream, step: Hang | Wait | Until, abrupt: bool
) -> None:
    upstream.script([step])
    connection = Connection(upstream.port)
    connection.send(request_head(b"/x") + b"unread bytes do not hide it")
    assert upstream.wait_until(lambda: bool(upstream.requests))
    assert not upstream.closed
    connection.reset() if abrupt else connection.close()
    left = time.monotonic()
    assert upstream.wait_closed(0)
    assert upstream.closed[0].at - left < 1


def test_reset_begins_anew(upstream: ScriptedUpstream) -> None:
    upstream.script([Hang()])
    with Connection(upstream.port) as connection:
        connection.send(request_head(b"/x"))
        assert upstream.wait_until(lambda: bool(upstream.requests))
        upstream.reset()
        assert connection.ended()
    assert (upstream.requests, upstream.closed, upstream.connections) == ([], [], 0)
    assert exchange(upstream.port, request(b"/y")).body == b"ok"
    assert upstream.requests[0].connection == 0
