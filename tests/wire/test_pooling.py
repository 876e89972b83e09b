"""Upstream connections: kept and reused, and replaced unseen when the upstream let one go."""

from __future__ import annotations

import threading

import pytest

from gateway.testing import Close, Received, Reset, Script, ScriptedUpstream, Send, Step, Until
from tests.support.client import Connection, exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import chunks, request, request_head, response, response_head

OK = response(b"200 OK", body=b"ok")
CHUNKED = b"Transfer-Encoding: chunked"


def connections(upstream: ScriptedUpstream) -> list[int]:
    """Which connection each request came on."""
    return [received.connection for received in upstream.requests]


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        response(b"200 OK", CHUNKED, body=chunks(b"ok")),
        response_head(b"204 No Content"),
        response_head(b"304 Not Modified"),
        response(b"500 Internal Server Error", body=b"broken"),
        response(b"200 OK", b"Connection: keep-alive", body=b"ok"),
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=["length", "chunked", "204", "304", "500", "keep-alive", "1.0 keep-alive"],
)
def test_connection_is_reused(gateway: Gateway, upstream: ScriptedUpstream, answer: bytes) -> None:
    upstream.respond(answer)
    for method, body in ((b"GET", b""), (b"POST", b"q"), (b"GET", b"")):
        exchange(gateway.port, request(b"/plain/x", method=method, body=body))
    assert connections(upstream) == [0, 0, 0]


def test_services_of_one_instance_and_clients_share_the_pool_of_their_own(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    with Connection(gateway.port) as one, Connection(gateway.port) as other:
        for connection in (one, other, one):
            connection.send(request_head(b"/plain/x"))
            assert connection.read_reply().status == 200
    assert connections(upstream) == [0, 0, 0]


@pytest.mark.parametrize(
    "answer",
    [
        response(b"200 OK", b"Connection: close", body=b"ok"),
        response(b"200 OK", b"Connection: X-A, Close", body=b"ok"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=["close", "close in a list", "1.0"],
)
def test_connection_that_is_to_close_is_not_reused(
    gateway: Gateway, upstream: ScriptedUpstream, answer: bytes
) -> None:
    upstream.respond(answer)
    for _ in range(2):
        assert exchange(gateway.port, request(b"/plain/x")).body == b"ok"
    assert connections(upstream) == [0, 1]
    assert upstream.wait_closed(0)


def test_busy_connection_is_not_shared(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    go = threading.Event()
    upstream.script([Until(go), Send(OK)], [Send(OK)])
    with Connection(gateway.port) as waiting:
        waiting.send(request_head(b"/plain/slow"))
        assert upstream.wait_until(lambda: bool(upstream.requests))
        assert exchange(gateway.port, request(b"/plain/quick")).status == 200
        go.set()
        assert waiting.read_reply().status == 200
    assert connections(upstream) == [0, 1]


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["close", "reset"])
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_connection_closed_while_idle_is_replaced(
    gateway: Gateway, upstream: ScriptedUpstream, method: bytes, end: Step
) -> None:
    idle = threading.Event()
    upstream.script([Send(OK), Until(idle), end], [Send(OK)])
    assert exchange(gateway.port, request(b"/plain/first")).status == 200
    idle.set()
    ended = threading.Event()
    ended.wait(0.1)
    body = b"q" if method == b"POST" else b""
    assert exchange(gateway.port, request(b"/plain/x", method=method, body=body)).status == 200
    assert connections(upstream) == [0, 1]


def test_abandoned_answer_costs_the_connection(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    half = response_head(b"200 OK", b"Content-Length: 10") + b"half!"
    go = threading.Event()
    upstream.script([Send(half), Until(go), Send(b"other")], [Send(OK)])
    with Connection(gateway.port) as connection:
        connection.send(request_head(b"/plain/x"))
        connection.read_head()
    assert upstream.wait_closed(0)
    go.set()
    assert exchange(gateway.port, request(b"/plain/next")).body == b"ok"
    assert connections(upstream) == [0, 1]


def test_each_client_gets_its_own_answer(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    def echo(received: Received) -> Script:
        return [Send(response(b"200 OK", body=received.target))]

    upstream.answer(echo)
    wrong: list[bytes] = []

    def client(number: int) -> None:
        with Connection(gateway.port) as connection:
            for turn in range(20):
                target = b"/plain/%d/%d" % (number, turn)
                connection.send(request_head(target))
                reply = connection.read_reply()
                if reply.body != target:
                    wrong.append(reply.raw)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(upstream.requests) == 240
    assert upstream.connections <= 24
