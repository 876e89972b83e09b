"""Upstreams that fail: the status says how, the body says nothing that is not the client's."""

from __future__ import annotations

import json
import time

import pytest

from gateway.testing import Close, Hang, Reset, ScriptedUpstream, Send, Step, Wait
from tests.support.client import Connection, Reply, exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import request, request_head, response_head

PARTIAL = b"HTTP/1.1 200 OK\r\nContent-Le"


def assert_problem(reply: Reply, status: int) -> None:
    """A complete problem+json body with the request's id, which gives nothing away."""
    assert (reply.status, reply.clean_end) == (status, True)
    assert reply.header(b"Content-Type") == [b"application/problem+json"]
    problem = json.loads(reply.body)
    assert problem["status"] == status
    assert [problem["request_id"].encode()] == reply.header(b"X-Request-ID")
    for secret in (b"127.0.0.1", b"localhost", b"Traceback", b".py", b"Errno", b"urllib3"):
        assert secret not in reply.body


@pytest.mark.parametrize(
    ("path", "status"), [(b"/refused/x", 502), (b"/full/x", 504), (b"/empty/x", 503)]
)
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_upstream_out_of_reach(gateway: Gateway, method: bytes, path: bytes, status: int) -> None:
    body = b"q" if method == b"POST" else b""
    reply = exchange(gateway.port, request(path, method=method, body=body))
    assert_problem(reply, status)


@pytest.mark.parametrize(
    "steps",
    [
        [Close()],
        [Reset()],
        [Send(b"HTTP/1.1"), Close()],
        [Send(PARTIAL), Close()],
        [Send(PARTIAL), Wait(0.05), Reset()],
    ],
    ids=["closed", "reset", "closed in the line", "closed in the head", "reset in the head"],
)
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_connection_that_ends_before_the_head_is_502(
    gateway: Gateway, upstream: ScriptedUpstream, method: bytes, steps: list[Step]
) -> None:
    upstream.script(steps)
    body = b"q" if method == b"POST" else b""
    reply = exchange(gateway.port, request(b"/plain/x", method=method, body=body))
    assert_problem(reply, 502)
    assert len(upstream.requests) == 1  # a fresh connection: nothing to blame but the upstream
    assert str(upstream.port).encode() not in reply.body


@pytest.mark.parametrize("steps", [[Hang()], [Send(PARTIAL), Hang()]], ids=["silent", "halfway"])
def test_silence_is_504(gateway: Gateway, upstream: ScriptedUpstream, steps: list[Step]) -> None:
    upstream.script(steps)
    assert_problem(exchange(gateway.port, request(b"/quick/x")), 504)
    assert upstream.wait_closed(0)
    assert len(upstream.requests) == 1


def test_deadline_ends_a_head_that_drips(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    # Never silent for as long as the read timeout (0.5 s), but not done in all (1.5 s).
    drip: list[Step] = [Send(b"HTTP/1.1 200 OK\r\nX-Slow: ")]
    for _ in range(40):
        drip += [Wait(0.2), Send(b"x")]
    upstream.script(drip)
    started = time.monotonic()
    assert_problem(exchange(gateway.port, request(b"/quick/x")), 504)
    assert 1 < time.monotonic() - started < 6
    assert upstream.wait_closed(0)


def test_deadline_counts_interim_responses(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    drip: list[Step] = []
    for _ in range(40):
        drip += [Send(response_head(b"102 Processing")), Wait(0.2)]
    upstream.script(drip)
    assert_problem(exchange(gateway.port, request(b"/quick/x")), 504)


def test_deadline_ends_with_the_head(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    # A body may take longer than the deadline (1.5 s) as long as it moves (0.5 s).
    drip: list[Step] = [Send(response_head(b"200 OK", b"Content-Length: 10"))]
    for _ in range(10):
        drip += [Wait(0.2), Send(b"x")]
    upstream.script(drip)
    reply = exchange(gateway.port, request(b"/quick/x"))
    assert (reply.body, reply.clean_end) == (b"x" * 10, True)


def test_client_connection_outlives_a_failure(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    with Connection(gateway.port) as connection:
        for path, status in ((b"/refused/x", 502), (b"/empty/x", 503), (b"/plain/x", 200)):
            connection.send(request_head(path))
            reply = connection.read_reply()
            assert (reply.status, reply.clean_end) == (status, True)


def test_head_request_fails_without_a_body(gateway: Gateway) -> None:
    reply = exchange(gateway.port, request(b"/refused/x", method=b"HEAD"))
    assert (reply.status, reply.body) == (502, b"")


def test_upload_to_an_upstream_that_resets_is_502(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    upstream.script([Reset()], early=True)
    reply = exchange(gateway.port, request(b"/plain/x", method=b"POST", body=bytes(1 << 20)))
    assert_problem(reply, 502)
    assert len(upstream.requests) == 1


def test_upload_to_an_upstream_that_does_not_read_is_504(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    upstream.script([Hang()], early=True)
    reply = exchange(gateway.port, request(b"/quick/x", method=b"POST", body=bytes(9 << 20)))
    assert_problem(reply, 504)
