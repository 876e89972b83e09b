"""Messages in many small pieces: where TCP cuts a message must not matter to anybody."""

from __future__ import annotations

import time

import pytest

from gateway.testing import Close, ScriptedUpstream, Send, Step, Wait
from tests.support.client import Connection, exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import chunk, request, request_head, response, response_head

CHUNKED = b"Transfer-Encoding: chunked"
TRAILED = chunk(b"one") + chunk(b"twotwo") + b"0\r\nX-Sum: 1\r\n\r\n"
PAUSE = 0.001


def dripping(message: bytes) -> list[Step]:
    """The message byte by byte, each in a packet of its own."""
    steps: list[Step] = []
    for index in range(len(message)):
        steps += [Send(message[index : index + 1]), Wait(PAUSE)]
    return steps


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (response(b"200 OK", b"X-A: 1", body=b"onetwotwo"), b"onetwotwo"),
        (response(b"200 OK", CHUNKED, b"X-A: 1", body=TRAILED), b"onetwotwo"),
        (response_head(b"103 Hints") + response(b"200 OK", b"X-A: 1", body=b"one"), b"one"),
    ],
    ids=["length", "chunked", "interim"],
)
def test_response_in_bytes(
    gateway: Gateway, upstream: ScriptedUpstream, answer: bytes, body: bytes
) -> None:
    upstream.script(dripping(answer), [Send(response(b"200 OK", body=b"clean"))])
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert (reply.body, reply.header(b"X-A"), reply.clean_end) == (body, [b"1"], True)
    assert exchange(gateway.port, request(b"/plain/next")).body == b"clean"
    assert [received.connection for received in upstream.requests] == [0, 0]


def test_response_until_close_in_bytes(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.script([*dripping(response_head(b"200 OK") + b"one"), Close()])
    assert exchange(gateway.port, request(b"/plain/x")).body == b"one"


@pytest.mark.parametrize(
    ("framing", "body", "arrives"),
    [(CHUNKED, TRAILED, b"onetwotwo"), (b"Content-Length: 9", b"onetwotwo", b"onetwotwo")],
    ids=["chunked", "length"],
)
def test_request_in_bytes(
    gateway: Gateway, upstream: ScriptedUpstream, framing: bytes, body: bytes, arrives: bytes
) -> None:
    message = request_head(b"/plain/x?y", framing, b"X-A: 1", method=b"POST") + body
    with Connection(gateway.port) as connection:
        for index in range(len(message)):
            connection.send(message[index : index + 1])
            time.sleep(PAUSE)
        assert connection.read_reply().status == 200
        connection.send(request_head(b"/plain/next"))
        assert connection.read_reply().status == 200
    received = upstream.requests[0]
    assert (received.target, received.header(b"X-A")) == (b"/plain/x?y", [b"1"])
    assert (received.body, received.complete) == (arrives, True)
    assert upstream.requests[1].target == b"/plain/next"


def test_requests_in_one_packet(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    chunked = request_head(b"/plain/2", CHUNKED, method=b"POST") + TRAILED
    length = request_head(b"/plain/3", b"Content-Length: 3", method=b"POST") + b"one"
    with Connection(gateway.port) as connection:
        connection.send(request_head(b"/plain/1") + chunked + length + request(b"/plain/4"))
        assert [connection.read_reply().status for _ in range(4)] == [200] * 4
        assert connection.ended()
    assert [(received.target, received.body) for received in upstream.requests] == [
        (b"/plain/1", b""),
        (b"/plain/2", b"onetwotwo"),
        (b"/plain/3", b"one"),
        (b"/plain/4", b""),
    ]
