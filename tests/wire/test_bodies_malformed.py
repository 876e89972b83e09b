"""Request bodies that are broken, cut short or framed twice: never a whole request upstream."""

from __future__ import annotations

import uuid

import pytest

from gateway.testing import ScriptedUpstream
from tests.support.client import Connection, Ended, Reply, exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import chunk, request, request_head

CHUNKED = b"Transfer-Encoding: chunked"


def answer_to_cut(gateway: Gateway, head: bytes, body: bytes) -> Reply | None:
    """The reply to a client that stops sending after `body`; None when there was none."""
    with Connection(gateway.port) as connection:
        connection.send(head + body)
        connection.finish_sending()
        try:
            return connection.read_reply()
        except Ended:
            return None


@pytest.mark.parametrize(
    "headers",
    [
        (b"Content-Length: 4", CHUNKED),
        (CHUNKED, b"Content-Length: 4"),
        (b"Content-Length: 4", b"Content-Length: 4"),
        (b"Content-Length: 4", b"Content-Length: 5"),
        (b"Content-Length: 4, 4",),
        (b"Content-Length: +4",),
        (b"Content-Length: -4",),
        (b"Content-Length: 0x4",),
        (b"Content-Length: 4.0",),
        (b"Content-Length: \xb2",),
        (b"Content-Length:",),
        (CHUNKED, CHUNKED),
        (b"Transfer-Encoding: chunked, chunked",),
        (b"Transfer-Encoding: chunked, identity",),
        (b"Transfer-Encoding: gzip",),
        (b"Transfer-Encoding: identity",),
        (b"Transfer-Encoding : chunked",),
        (b"Transfer-Encoding:\x0bchunked",),
    ],
)
def test_ambiguous_framing_is_refused(
    gateway: Gateway, upstream: ScriptedUpstream, headers: tuple[bytes, ...]
) -> None:
    with Connection(gateway.port) as connection:
        connection.send(
            request_head(b"/plain/x", *headers, method=b"POST") + b"4\r\nbody\r\n0\r\n\r\n"
        )
        assert connection.read_reply().status == 400
        assert connection.ended()
    assert not upstream.requests


@pytest.mark.parametrize(
    "coding", [b"xchunked", b"", b"gzip, chunked", b"chunked;q=1", b'"chunked"']
)
def test_unknown_coding_is_refused(
    gateway: Gateway, upstream: ScriptedUpstream, coding: bytes
) -> None:
    head = request_head(b"/plain/x", b"Transfer-Encoding: " + coding, method=b"POST")
    assert exchange(gateway.port, head + b"0\r\n\r\n").status in (400, 501)
    assert not upstream.requests


def test_chunked_in_http_1_0_is_refused(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    message = b"POST /plain/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert exchange(gateway.port, message).status == 400
    assert not upstream.requests


@pytest.mark.parametrize("before", [b"", chunk(b"good")], ids=["first", "later"])
@pytest.mark.parametrize(
    "broken",
    [
        b"zz\r\nbody\r\n0\r\n\r\n",
        b"-4\r\nbody\r\n0\r\n\r\n",
        b"+4\r\nbody\r\n0\r\n\r\n",
        b"0x4\r\nbody\r\n0\r\n\r\n",
        b"4 4\r\nbody\r\n0\r\n\r\n",
        b" 4\r\nbody\r\n0\r\n\r\n",
        b"4_\r\nbody\r\n0\r\n\r\n",
        b"\r\nbody\r\n0\r\n\r\n",
        b";a\r\nbody\r\n0\r\n\r\n",
        b"4;\x01\r\nbody\r\n0\r\n\r\n",
        b'4;a="b\r\nbody\r\n0\r\n\r\n',
        b"4\r\nbodyXX0\r\n\r\n",
        b"3\r\nbody\r\n0\r\n\r\n",
        b"5\r\nbody\r\n0\r\n\r\n",
        b"4\nbody\n0\n\n",
        b"f" * 9000,
        b"4;" + b"a" * 40000 + b"\r\nbody\r\n0\r\n\r\n",
        b"0\r\nbad trailer\r\n\r\n",
        b"0\r\nX-A : 1\r\n\r\n",
        b"0\r\nContent-Length: 4\r\n\r\n",
        b"0\r\nX-A: 1\n\r\n\r\n",
    ],
)
def test_malformed_chunks_are_refused(
    gateway: Gateway, upstream: ScriptedUpstream, before: bytes, broken: bytes
) -> None:
    head = request_head(b"/plain/x", CHUNKED, method=b"POST")
    reply = answer_to_cut(gateway, head, before + broken)
    assert reply is None or reply.status == 400
    assert not any(received.complete for received in upstream.requests)


@pytest.mark.parametrize(
    "broken", [b"zz\r\n", b"4;\x01\r\nbody\r\n0\r\n\r\n", b"0\r\nbad trailer\r\n\r\n"]
)
def test_client_that_waits_is_told_about_malformed_chunks(
    gateway: Gateway, upstream: ScriptedUpstream, broken: bytes
) -> None:
    with Connection(gateway.port) as connection:
        connection.send(request_head(b"/plain/x", CHUNKED, method=b"POST") + broken)
        reply = connection.read_reply()
        assert (reply.status, reply.clean_end) == (400, True)
        assert connection.ended()
    assert not any(received.complete for received in upstream.requests)


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"Content-Length: 10", b""),
        (b"Content-Length: 10", b"half"),
        (b"Content-Length: 100000", b"x" * 99999),
        (CHUNKED, b""),
        (CHUNKED, b"4"),
        (CHUNKED, b"4\r\n"),
        (CHUNKED, b"4\r\nbo"),
        (CHUNKED, b"4\r\nbody"),
        (CHUNKED, b"4\r\nbody\r\n"),
        (CHUNKED, b"4\r\nbody\r\n0"),
        (CHUNKED, b"4\r\nbody\r\n0\r\n"),
        (CHUNKED, b"4\r\nbody\r\n0\r\nX-A: 1\r\n"),
    ],
)
@pytest.mark.parametrize("leave", ["half-close", "close", "reset"])
def test_body_cut_short_is_never_a_whole_request(
    gateway: Gateway, upstream: ScriptedUpstream, framing: bytes, body: bytes, leave: str
) -> None:
    request_id = uuid.uuid4().hex
    named = b"X-Request-ID: " + request_id.encode()
    head = request_head(b"/plain/x", named, framing, method=b"POST")
    if leave == "half-close":
        reply = answer_to_cut(gateway, head, body)
        assert reply is None or reply.status == 400
    else:
        connection = Connection(gateway.port)
        connection.send(head + body)
        connection.close() if leave == "close" else connection.reset()
    assert gateway.line_of(request_id)["party"] == "client"
    assert not any(received.complete for received in upstream.requests)
    assert upstream.wait_until(lambda: len(upstream.closed) == upstream.connections)
    assert exchange(gateway.port, request(b"/plain/next")).body == b"ok"
    # The one cut short may have reached it only now.
    assert b"/plain/next" in [received.target for received in upstream.requests]
