"""Response bodies: framing by the rules of each method and status, content never touched."""

from __future__ import annotations

import gzip
import random

import pytest

from gateway.testing import Close, ScriptedUpstream, Send
from tests.support.client import Connection, exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import chunk, chunks, request, request_head, response, response_head

MEBIBYTE = random.Random(8).randbytes(1 << 20)
CHUNKED = b"Transfer-Encoding: chunked"


def assert_pool_is_clean(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    """The next requests get their own answers, whatever was left of the one before."""
    upstream.respond(response(b"200 OK", body=b"clean"))
    for _ in range(2):
        assert exchange(gateway.port, request(b"/plain/next")).body == b"clean"


def test_body_with_a_length_arrives_whole(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"200 OK", body=MEBIBYTE))
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert reply.header(b"Content-Length") == [b"%d" % len(MEBIBYTE)]
    assert reply.body == MEBIBYTE


def test_chunked_body_arrives_whole(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    body = chunks(MEBIBYTE[:1], MEBIBYTE[1:70000], MEBIBYTE[70000:])
    upstream.respond(response(b"200 OK", CHUNKED, body=body))
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert (reply.framing, reply.clean_end) == ("chunked", True)
    assert reply.body == MEBIBYTE


def test_body_that_lasts_until_close_arrives_whole(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    head = response_head(b"200 OK", b"Content-Type: text/plain")
    upstream.script([Send(head), Send(b"until "), Send(b"the end"), Close()])
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert (reply.body, reply.clean_end) == (b"until the end", True)
    assert_pool_is_clean(gateway, upstream)


def test_http_1_0_client_gets_no_chunks(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"200 OK", CHUNKED, body=chunks(b"a", b"b")))
    reply = exchange(gateway.port, b"GET /plain/x HTTP/1.0\r\n\r\n")
    assert not reply.header(b"Transfer-Encoding")
    assert reply.body == b"ab"


def test_chunk_extensions_and_odd_spelling_are_read(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    body = b'00a;x=y;z="1"\r\n0123456789\r\nA\r\nabcdefghij\r\n000\r\n\r\n'
    upstream.respond(response(b"200 OK", b"transfer-encoding: Chunked", body=body))
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert reply.body == b"0123456789abcdefghij"
    assert_pool_is_clean(gateway, upstream)


@pytest.mark.parametrize("sent", [b"", b"12345"], ids=["proper", "with a body"])
def test_head_has_the_length_and_no_body(
    gateway: Gateway, upstream: ScriptedUpstream, sent: bytes
) -> None:
    upstream.respond(response_head(b"200 OK", b"Content-Length: 5", b'ETag: "e"') + sent)
    with Connection(gateway.port) as connection:
        connection.send(request(b"/plain/x", method=b"HEAD"))
        reply = connection.read_reply(to_head=True)
        assert reply.header(b"Content-Length") == [b"5"]
        assert reply.header(b"ETag") == [b'"e"']
        assert connection.ended()
    assert_pool_is_clean(gateway, upstream)


def test_head_of_a_chunked_resource_has_no_body(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    upstream.respond(response_head(b"200 OK", CHUNKED))
    with Connection(gateway.port) as connection:
        connection.send(request(b"/plain/x", method=b"HEAD"))
        assert connection.read_reply(to_head=True).status == 200
        assert connection.ended()
    assert_pool_is_clean(gateway, upstream)


@pytest.mark.parametrize("sent", [b"", b"12345"], ids=["proper", "with a body"])
@pytest.mark.parametrize(
    ("status", "framing"),
    [
        (b"204 No Content", b"X-None: 1"),
        (b"204 No Content", b"Content-Length: 5"),
        (b"304 Not Modified", b"X-None: 1"),
        (b"304 Not Modified", b"Content-Length: 5"),
    ],
)
def test_bodiless_status_has_no_body(
    gateway: Gateway, upstream: ScriptedUpstream, status: bytes, framing: bytes, sent: bytes
) -> None:
    upstream.respond(response_head(status, framing, b'ETag: "e"') + sent)
    with Connection(gateway.port) as connection:
        connection.send(request(b"/plain/x"))
        reply = connection.read_reply()
        assert reply.status == int(status[:3])
        assert reply.header(b"ETag") == [b'"e"']
        assert not reply.header(b"Transfer-Encoding")
        assert connection.ended()
    assert_pool_is_clean(gateway, upstream)


def test_client_connection_lives_on_after_bodiless_answers(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    upstream.respond(
        response_head(b"204 No Content"),
        response_head(b"304 Not Modified", b"Content-Length: 9"),
        response_head(b"200 OK", b"Content-Length: 9"),
        response(b"200 OK", body=b"last"),
    )
    with Connection(gateway.port) as connection:
        for method in (b"GET", b"GET", b"HEAD"):
            connection.send(request_head(b"/plain/x", method=method))
            connection.read_reply(to_head=method == b"HEAD")
        connection.send(request_head(b"/plain/x"))
        assert connection.read_reply().body == b"last"


def test_options_is_the_upstreams_to_answer(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"200 OK", b"Allow: GET, OPTIONS, X-OWN"))
    reply = exchange(gateway.port, request(b"/plain/x", method=b"OPTIONS"))
    assert reply.header(b"Allow") == [b"GET, OPTIONS, X-OWN"]
    assert upstream.requests[0].method == b"OPTIONS"


def test_range_passes(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"206 Partial Content", b"Content-Range: bytes 2-4/9", body=b"234"))
    reply = exchange(gateway.port, request(b"/plain/x", b"Range: bytes=2-4", b'If-Range: "e"'))
    assert (reply.status, reply.body) == (206, b"234")
    assert reply.header(b"Content-Range") == [b"bytes 2-4/9"]
    assert upstream.requests[0].header(b"Range") == [b"bytes=2-4"]


@pytest.mark.parametrize("chunked", [False, True])
def test_compressed_body_is_untouched(
    gateway: Gateway, upstream: ScriptedUpstream, chunked: bool
) -> None:
    packed = gzip.compress(b"text " * 1000)
    framing = [CHUNKED] if chunked else []
    body = chunks(packed[:7], packed[7:]) if chunked else packed
    upstream.respond(response(b"200 OK", b"Content-Encoding: gzip", *framing, body=body))
    reply = exchange(gateway.port, request(b"/plain/x", b"Accept-Encoding: gzip"))
    assert reply.header(b"Content-Encoding") == [b"gzip"]
    assert reply.body == packed


def test_trailers_are_dropped(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    body = chunk(b"body") + b"0\r\nX-Sum: 1\r\nSet-Cookie: a=1\r\n\r\n"
    upstream.respond(response(b"200 OK", CHUNKED, b"Trailer: X-Sum", body=body))
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert (reply.body, reply.clean_end) == (b"body", True)
    assert b"X-Sum" not in reply.raw
    assert b"a=1" not in reply.raw
    assert_pool_is_clean(gateway, upstream)


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
@pytest.mark.parametrize("times", [1, 3])
def test_interim_responses_do_not_confuse_the_final_one(
    gateway: Gateway, upstream: ScriptedUpstream, interim: bytes, times: int
) -> None:
    hint = response_head(interim, b"Link: </a>; rel=preload", b"Set-Cookie: interim=1")
    upstream.respond(hint * times + response(b"200 OK", body=b"final"))
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert (reply.status, reply.body) == (200, b"final")
    assert not reply.header(b"Link")
    assert not reply.header(b"Set-Cookie")
    assert_pool_is_clean(gateway, upstream)
