"""Request bodies: streamed as they come, framed as they came, and never longer than allowed."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import pytest

from gateway.testing import Close, ReadBody, ScriptedUpstream, Send, Step, Wait
from tests.support.client import Connection, Ended, exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import chunk, chunks, request, request_head, response, response_head

MEBIBYTE = random.Random(7).randbytes(1 << 20)
CHUNKED = b"Transfer-Encoding: chunked"


def arrived(upstream: ScriptedUpstream, size: int) -> Callable[[], bool]:
    """Whether so many bytes of the first request's body have arrived."""
    return lambda: [received.size for received in upstream.requests] == [size]


def test_body_with_a_length_arrives_whole(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    reply = exchange(gateway.port, request(b"/plain/x", method=b"POST", body=MEBIBYTE))
    assert reply.status == 200
    received = upstream.requests[0]
    assert received.header(b"Content-Length") == [b"%d" % len(MEBIBYTE)]
    assert not received.header(b"Transfer-Encoding")
    assert received.body == MEBIBYTE


def test_chunked_body_arrives_whole(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    pieces = [MEBIBYTE[:1], MEBIBYTE[1:70000], MEBIBYTE[70000:]]
    message = request(b"/plain/x", CHUNKED, method=b"PUT", body=chunks(*pieces))
    assert exchange(gateway.port, message).status == 200
    received = upstream.requests[0]
    assert received.header(b"Transfer-Encoding") == [b"chunked"]
    assert not received.header(b"Content-Length")
    assert received.complete
    assert received.body == MEBIBYTE


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS"])
def test_no_body_gains_no_framing(
    gateway: Gateway, upstream: ScriptedUpstream, method: bytes
) -> None:
    upstream.respond(response(b"200 OK"))
    assert exchange(gateway.port, request(b"/plain/x", method=method)).status == 200
    received = upstream.requests[0]
    assert not received.header(b"Content-Length")
    assert not received.header(b"Transfer-Encoding")


@pytest.mark.parametrize("method", [b"POST", b"DELETE"])
def test_empty_body_stays_declared(
    gateway: Gateway, upstream: ScriptedUpstream, method: bytes
) -> None:
    message = request(b"/plain/x", b"Content-Length: 0", method=method)
    assert exchange(gateway.port, message).status == 200
    assert upstream.requests[0].header(b"Content-Length") == [b"0"]


@pytest.mark.parametrize("method", [b"GET", b"DELETE", b"OPTIONS"])
def test_body_of_any_method_passes(
    gateway: Gateway, upstream: ScriptedUpstream, method: bytes
) -> None:
    assert exchange(gateway.port, request(b"/plain/x", method=method, body=b"q")).status == 200
    assert upstream.requests[0].body == b"q"


@pytest.mark.parametrize("method", [b"DELETE", b"OPTIONS", b"POST"])
def test_empty_chunked_body_leaves_no_stray_framing(
    gateway: Gateway, upstream: ScriptedUpstream, method: bytes
) -> None:
    message = request(b"/plain/x", CHUNKED, method=method, body=b"0\r\n\r\n")
    assert exchange(gateway.port, message).status == 200
    assert exchange(gateway.port, request(b"/plain/next")).status == 200
    assert [received.target for received in upstream.requests] == [b"/plain/x", b"/plain/next"]
    assert upstream.requests[0].complete


@pytest.mark.parametrize("framing", [CHUNKED, b"Content-Length: 6"])
def test_body_arrives_piece_by_piece(
    gateway: Gateway, upstream: ScriptedUpstream, framing: bytes
) -> None:
    with Connection(gateway.port) as connection:
        connection.send(request_head(b"/plain/x", framing, method=b"POST"))
        for count, piece in enumerate((b"ab", b"cd", b"ef"), 1):
            connection.send(chunk(piece) if framing == CHUNKED else piece)
            assert upstream.wait_until(arrived(upstream, 2 * count))
        connection.send(b"0\r\n\r\n" if framing == CHUNKED else b"")
        assert connection.read_reply().status == 200
    assert upstream.requests[0].complete
    assert upstream.requests[0].body == b"abcdef"


def test_trailers_never_become_headers(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    body = chunk(b"body") + b"0\r\nX-User-ID: root\r\nX-Sum: 1\r\n\r\n"
    message = request(b"/plain/x", CHUNKED, b"Trailer: X-Sum", method=b"POST", body=body)
    assert exchange(gateway.port, message).status == 200
    assert upstream.requests[0].body == b"body"
    assert b"X-Sum" not in upstream.requests[0].head
    assert b"root" not in upstream.requests[0].raw


def test_chunk_extensions_are_no_content(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    body = b'4;a=b;c="d"\r\nbody\r\n00;e\r\n\r\n'
    assert exchange(gateway.port, request(b"/plain/x", CHUNKED, method=b"POST", body=body)).status
    assert upstream.requests[0].body == b"body"


def test_declared_length_over_the_limit_is_refused_unread(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    with Connection(gateway.port) as connection:
        length = b"Content-Length: %d" % (10 * 1024 * 1024 + 1)
        connection.send(request_head(b"/plain/x", length, method=b"POST"))
        reply = connection.read_reply()
        assert (reply.status, reply.clean_end) == (413, True)
        assert reply.header(b"Connection") == [b"close"]
        assert connection.ended()
    assert not upstream.connections


def test_refused_body_is_never_read_as_a_request(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    body = request(b"/plain/smuggled").ljust(1001, b"x")
    with Connection(gateway.port) as connection:
        connection.send(request_head(b"/small/x", b"Content-Length: 1001", method=b"POST"))
        assert connection.read_reply().status == 413
        with contextlib.suppress(ConnectionError, Ended):  # it may close, or read the body over
            connection.send(body + request(b"/plain/next"))
            assert connection.read_reply().body == b"ok"
    assert [received.target for received in upstream.requests] in ([], [b"/plain/next"])


def test_chunked_body_over_the_limit_is_cut(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    body = chunks(*[b"x" * 250] * 5)
    reply = exchange(gateway.port, request(b"/small/x", CHUNKED, method=b"POST", body=body))
    assert reply.status == 413
    assert not any(received.complete for received in upstream.requests)


def test_body_of_just_the_limit_passes(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    body = b"x" * 1000
    assert exchange(gateway.port, request(b"/small/x", method=b"POST", body=body)).status == 200
    message = request(b"/small/x", CHUNKED, method=b"POST", body=chunks(body[:999], b"x"))
    assert exchange(gateway.port, message).status == 200
    # What was broken off before may still be arriving, and is no request.
    whole = [received.body for received in upstream.requests if received.complete]
    assert whole == [body, body]


@pytest.mark.parametrize("status", [b"200 OK", b"413 Content Too Large"])
def test_answer_before_the_end_of_the_upload_is_relayed(
    gateway: Gateway, upstream: ScriptedUpstream, status: bytes
) -> None:
    # By then the gateway waits for the client, which waits for an answer.
    answer: list[Step] = [Wait(0.1), Send(response(status, body=b"early")), ReadBody()]
    upstream.script(answer, [Send(response(b"200 OK", body=b"next"))], early=True)
    with Connection(gateway.port, timeout=5) as connection:
        connection.send(request_head(b"/plain/x", b"Content-Length: 200000", method=b"POST"))
        connection.send(b"x" * 1000)
        reply = connection.read_reply()
        assert (reply.status, reply.body) == (int(status[:3]), b"early")
    # The upload was not finished: what follows on that connection is not to be trusted.
    assert exchange(gateway.port, request(b"/plain/next")).body == b"next"
    assert upstream.requests[-1].connection != upstream.requests[0].connection


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_interim_response_does_not_end_the_upload(
    gateway: Gateway, upstream: ScriptedUpstream, interim: bytes
) -> None:
    final = Send(response(b"200 OK", body=b"whole"))
    upstream.script([Send(response_head(interim)), ReadBody(), final], early=True)
    with Connection(gateway.port) as connection:
        connection.send(request_head(b"/quick/x", b"Content-Length: 9", method=b"POST"))
        for count, piece in enumerate((b"one", b"two", b"six"), 1):
            connection.send(piece)
            assert upstream.wait_until(arrived(upstream, 3 * count), timeout=3)
        assert connection.read_reply().body == b"whole"
    assert upstream.requests[0].body == b"onetwosix"


def test_answer_and_close_before_the_end_of_the_upload_is_relayed(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    refusal = response(b"401 Unauthorized", b"Connection: close", body=b"who?")
    upstream.script([Send(refusal), Close()], early=True)
    message = request(b"/plain/x", method=b"POST", body=MEBIBYTE)
    reply = exchange(gateway.port, message)
    assert (reply.status, reply.body, reply.clean_end) == (401, b"who?", True)
