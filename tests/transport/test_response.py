"""Response bodies: where they end, and what becomes of their connection."""

from __future__ import annotations

import time

import pytest

from gateway.errors import PoolTimeout
from gateway.testing import Hang, ScriptedUpstream, Send, Wait
from tests.support.messages import response
from tests.transport.conftest import Sender

OK = response(b"200 OK", body=b"ok")


@pytest.mark.parametrize("head", [b"204 No Content", b"304 Not Modified", b"200 OK"])
def test_answer_without_a_body_ends_with_its_head(
    send: Sender, upstream: ScriptedUpstream, head: bytes
) -> None:
    upstream.respond(b"HTTP/1.1 %b\r\nContent-Length: 5\r\n\r\n" % head)
    method = "HEAD" if head.startswith(b"200") else "GET"
    body = send.body(upstream.url, method)
    assert body.ready
    assert list(body) == []
    assert send(upstream.url, method) == b""
    assert upstream.connections == (2 if head.startswith(b"204") else 1)


EVIL = response(b"200 EVIL", body=b"evil")


@pytest.mark.parametrize("steps", [[Send(OK + EVIL)], [Send(OK), Wait(0.05), Send(EVIL)]])
def test_bytes_beyond_the_end_are_nobodys_answer(
    send: Sender, upstream: ScriptedUpstream, steps: list[Send | Wait]
) -> None:
    upstream.script(steps, [Send(OK)])
    assert send(upstream.url) == b"ok"
    time.sleep(0.1)
    assert send(upstream.url) == b"ok"
    assert upstream.connections == 2


def test_late_body_of_no_content_is_nobodys_answer(
    send: Sender, upstream: ScriptedUpstream
) -> None:
    head = b"HTTP/1.1 204 X\r\nContent-Length: 9\r\n\r\n"
    upstream.script([Send(head), Wait(0.05), Send(EVIL)], [Send(OK)])
    send(upstream.url)
    assert send.open(upstream.url).reason == "OK"


@pytest.mark.parametrize("read", [0, 1])
def test_half_read_body_closes_its_connection(
    send: Sender, upstream: ScriptedUpstream, read: int
) -> None:
    upstream.script([Send(response_of(200_000)), Hang()], [Send(OK)])
    body = send.body(upstream.url)
    for _ in range(read):
        assert next(body)
    body.close()
    body.close()
    assert list(body) == []
    assert upstream.wait_closed(0)
    assert send(upstream.url) == b"ok"


def response_of(size: int) -> bytes:
    """A response of so many bytes."""
    return response(b"200 OK", body=bytes(size))


def test_open_body_holds_its_slot(send: Sender, upstream: ScriptedUpstream) -> None:
    upstream.script([Send(OK[:-1]), Hang()])
    body = send.body(upstream.url)
    with pytest.raises(PoolTimeout):
        send(upstream.url, read=0.05)
    body.close()
