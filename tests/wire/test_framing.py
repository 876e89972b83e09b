"""Answers that are not valid HTTP: 502, and never a byte of them in anybody's next answer."""

from __future__ import annotations

import json
import threading
import time

import pytest

from gateway.testing import Close, ScriptedUpstream, Send, Step, Until
from tests.support.client import exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import request, response

OK = b"HTTP/1.1 200 OK\r\n"
SMUGGLED = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nX-Smuggled: 1\r\n\r\nsmuggled"

INVALID = {
    "lengths that differ": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "lengths that repeat": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "lengths in a list": OK + b"Content-Length: 2, 3\r\n\r\nabc",
    "length with a sign": OK + b"Content-Length: +2\r\n\r\nok",
    "negative length": OK + b"Content-Length: -2\r\n\r\nok",
    "length in hex": OK + b"Content-Length: 0x2\r\n\r\nok",
    "length in words": OK + b"Content-Length: two\r\n\r\nok",
    "length with a space": OK + b"Content-Length: 2 0\r\n\r\nok",
    "empty length": OK + b"Content-Length:\r\n\r\nok",
    "huge length": OK + b"Content-Length: 99999999999999999999999\r\n\r\nok",
    "both framings": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "framings reversed": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "unknown coding": OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": OK + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "garbage": b"hello, is it me you are looking for\r\n\r\n",
    "binary garbage": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n",
    "no version": b"200 OK\r\nContent-Length: 0\r\n\r\n",
    "status with two digits": b"HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n",
    "status with four digits": b"HTTP/1.1 2000 High\r\nContent-Length: 0\r\n\r\n",
    "status 888": b"HTTP/1.1 888 High\r\nContent-Length: 0\r\n\r\n",
    "status 600": b"HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n",
    "status 000": b"HTTP/1.1 000 Low\r\nContent-Length: 0\r\n\r\n",
    "status in words": b"HTTP/1.1 OK 200\r\nContent-Length: 0\r\n\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
    "name with a space": OK + b"X Y: 1\r\nContent-Length: 0\r\n\r\n",
    "space before the colon": OK + b"X-Y : 1\r\nContent-Length: 0\r\n\r\n",
    "length with a space before the colon": OK + b"Content-Length : 2\r\n\r\nok",
    "no colon": OK + b"X-Y\r\nContent-Length: 0\r\n\r\n",
    "empty name": OK + b": 1\r\nContent-Length: 0\r\n\r\n",
    "folded line": OK + b"X-Y: 1\r\n folded\r\nContent-Length: 0\r\n\r\n",
    "first line folded": OK + b" X-Y: 1\r\nContent-Length: 0\r\n\r\n",
    "bare CR in a value": OK + b"X-Y: 1\rX-Z: 2\r\nContent-Length: 0\r\n\r\n",
    "bare LF between lines": OK + b"X-Y: 1\nX-Z: 2\r\nContent-Length: 0\r\n\r\n",
    "bare LF everywhere": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "bare CR in the status line": b"HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n",
    "NUL in a value": OK + b"X-Y: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "NUL in a name": OK + b"X\x00Y: ab\r\nContent-Length: 0\r\n\r\n",
    "NUL in the status line": b"HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n",
    "control in a value": OK + b"X-Y: a\x07b\r\nContent-Length: 0\r\n\r\n",
    "endless head": OK + b"X-Y: " + b"x" * 1_000_000 + b"\r\n\r\n",
    "endless list of headers": OK + b"X-Y: 1\r\n" * 20_000 + b"\r\n",
    "a protocol nobody asked for": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n"
    b"Connection: Upgrade\r\n\r\n",
    "only interim": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "endless interim": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000,
}


@pytest.mark.parametrize("answer", INVALID.values(), ids=INVALID.keys())
def test_invalid_answer_is_502(gateway: Gateway, upstream: ScriptedUpstream, answer: bytes) -> None:
    upstream.script([Send(answer), Close()], [Send(response(b"200 OK", body=b"clean"))])
    reply = exchange(gateway.port, request(b"/plain/x", method=b"POST", body=b"q"))
    assert (reply.status, reply.clean_end) == (502, True)
    assert reply.header(b"Content-Type") == [b"application/problem+json"]
    assert json.loads(reply.body)["status"] == 502
    assert exchange(gateway.port, request(b"/plain/next")).body == b"clean"


@pytest.mark.parametrize("method", [b"HEAD", b"GET"])
@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified", b"200 OK"])
def test_invalid_length_is_502_where_no_body_is_due(
    gateway: Gateway, upstream: ScriptedUpstream, method: bytes, status: bytes
) -> None:
    lengths = b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n"
    upstream.respond(b"HTTP/1.1 " + status + b"\r\n" + lengths)
    assert exchange(gateway.port, request(b"/plain/x", method=method)).status == 502


@pytest.mark.parametrize("when", ["at once", "later"])
@pytest.mark.parametrize(
    "answer",
    [
        response(b"200 OK", body=b"own"),
        response(b"200 OK", b"Transfer-Encoding: chunked", body=b"3\r\nown\r\n0\r\n\r\n"),
        response(b"204 No Content", b"X-None: 1"),
        response(b"304 Not Modified", b"Content-Length: 3"),
    ],
    ids=["length", "chunked", "204", "304"],
)
def test_bytes_after_an_answer_are_nobodys(
    gateway: Gateway, upstream: ScriptedUpstream, answer: bytes, when: str
) -> None:
    idle = threading.Event()
    first: list[Step] = [Send(answer + SMUGGLED)]
    if when == "later":
        first = [Send(answer), Until(idle), Send(SMUGGLED)]
    upstream.script(first, [Send(response(b"200 OK", body=b"clean"))])
    reply = exchange(gateway.port, request(b"/plain/first"))
    assert reply.clean_end
    assert b"muggled" not in reply.raw
    idle.set()
    time.sleep(0.1)
    for _ in range(2):
        reply = exchange(gateway.port, request(b"/plain/next", method=b"POST", body=b"q"))
        assert reply.body == b"clean"


def test_extra_bytes_cost_the_connection(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"200 OK", body=b"own") + b"x", response(b"200 OK", body=b"clean"))
    exchange(gateway.port, request(b"/plain/first"))
    assert upstream.wait_closed(0)
    assert exchange(gateway.port, request(b"/plain/next")).body == b"clean"
    assert upstream.requests[1].connection == 1
