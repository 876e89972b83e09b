"""JSON bodies that are changed, byte by byte on real connections."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator

import pytest

from gateway.testing import Close, Hang, ScriptedUpstream, Send, Until
from tests.support.client import Connection, Reply
from tests.support.gunicorn import Gateway, start_gateway
from tests.support.messages import chunk, request_head, response_head

JSON = b"Content-Type: application/json"
MIB = 1 << 20
USER = b'{"client_id": 1.10, "password": "x"}'
SHOWN = b'{"clientId":1.10}'


@pytest.fixture(scope="module")
def gateway(scripted: ScriptedUpstream) -> Iterator[Gateway]:
    """One gateway for all of them: bytes are taken in as elsewhere, whatever the worker's class."""
    with start_gateway("tests.transforms.json_app:app", env={"JSON_URL": scripted.url}) as running:
        yield running
        assert "Traceback" not in running.stderr_text()


def asked(gateway: Gateway, *lines: bytes, method: bytes = b"GET", body: bytes = b"") -> Reply:
    """The reply to a request with these lines, and its body as it is framed."""
    with Connection(gateway.port) as connection:
        connection.send(request_head(b"/json/7", *lines, method=method) + body)
        return connection.read_reply(to_head=method == b"HEAD")


def says(upstream: ScriptedUpstream, *lines: bytes, body: bytes, status: bytes = b"200 OK") -> None:
    """Have the upstream answer with these lines, and a length."""
    length = b"Content-Length: %d" % len(body)
    upstream.respond(response_head(status, *lines, length) + body)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_request_goes_on_with_its_new_length(
    gateway: Gateway, upstream: ScriptedUpstream, chunked: bool
) -> None:
    data = gzip.compress(b'{ "clientId": 123456789012345678901 }')
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(data)
    body = chunk(data[:9]) + chunk(data[9:]) + b"0\r\n\r\n" if chunked else data
    coding = b"Content-Encoding: gzip"
    reply = asked(gateway, JSON, framing, coding, b"Digest: x", method=b"POST", body=body)
    [request] = upstream.requests
    assert reply.status == 200
    assert request.body == b'{"client_id":123456789012345678901}'
    assert request.header(b"Content-Length") == [b"35"]
    for name in (b"Transfer-Encoding", b"Content-Encoding", b"Digest"):
        assert request.header(name) == []


def test_a_client_that_waits_for_a_100_gets_one(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    lines = (JSON, b"Content-Length: 14", b"Expect: 100-continue")
    reply = asked(gateway, *lines, method=b"POST", body=b'{"clientId":1}')
    assert reply.interim
    assert upstream.requests[0].header(b"Expect") == []
    assert upstream.requests[0].body == b'{"client_id":1}'


@pytest.mark.parametrize("chunked", [False, True])
def test_one_byte_too_many_reaches_nobody(
    gateway: Gateway, upstream: ScriptedUpstream, chunked: bool
) -> None:
    data = b'"' + b"x" * (MIB - 1) + b'"'
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(data)
    body = chunk(data) + b"0\r\n\r\n" if chunked else b""
    reply = asked(gateway, JSON, framing, method=b"POST", body=body)
    assert reply.status == 413
    assert upstream.requests == []


def test_exactly_as_many_bytes_as_may_be(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    data = b'"' + b"x" * (MIB - 2) + b'"'
    says(upstream, JSON, body=data)
    length = b"Content-Length: %d" % len(data)
    reply = asked(gateway, JSON, length, method=b"POST", body=data)
    assert (reply.status, reply.body) == (200, data)
    assert upstream.requests[0].body == data


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_an_answer_comes_back_with_its_new_length(
    gateway: Gateway, upstream: ScriptedUpstream, framing: str
) -> None:
    data = gzip.compress(USER)
    lines = [JSON, b"Content-Encoding: gzip", b'ETag: "a"', b"Accept-Ranges: bytes"]
    if framing == "length":
        says(upstream, *lines, body=data)
    elif framing == "chunked":
        head = response_head(b"200 OK", *lines, b"Transfer-Encoding: chunked")
        upstream.respond(head + chunk(data[:9]) + chunk(data[9:]) + b"0\r\n\r\n")
    else:
        upstream.script([Send(response_head(b"200 OK", *lines) + data), Close()])
    reply = asked(gateway, b"Accept-Encoding: gzip, br", b"Range: bytes=0-3")
    assert (reply.status, reply.body, reply.framing) == (200, SHOWN, "length")
    assert reply.header(b"ETag") == [b'W/"a"']
    for name in (b"Content-Encoding", b"Accept-Ranges", b"Transfer-Encoding"):
        assert reply.header(name) == []
    assert upstream.requests[0].header(b"Accept-Encoding") == [b"gzip"]
    assert upstream.requests[0].header(b"Range") == []


def test_a_head_and_a_304_have_no_length(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    length = b"Content-Length: %d" % len(USER)
    upstream.respond(response_head(b"200 OK", JSON, length, b'ETag: "a"'))
    head = asked(gateway, method=b"HEAD")
    assert (head.status, head.header(b"ETag"), head.framing) == (200, [b'W/"a"'], "close")
    upstream.respond(response_head(b"304 Not Modified", b'ETag: "a"', length))
    same = asked(gateway, b'If-None-Match: W/"a"')
    assert (same.status, same.header(b"ETag"), same.framing) == (304, [b'W/"a"'], "close")
    assert upstream.requests[-1].header(b"If-None-Match") == [b'W/"a"']


def test_the_connection_is_used_again_afterwards(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    says(upstream, JSON, body=USER)
    with Connection(gateway.port) as connection:
        for method in (b"GET", b"HEAD", b"GET"):
            connection.send(request_head(b"/json/7", method=method))
            assert connection.read_reply(to_head=method == b"HEAD").status == 200
    assert upstream.connections <= 2  # what follows the head of an answer to HEAD ends one


def test_an_answer_that_is_too_large_or_broken_is_not_begun(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    says(upstream, JSON, body=b'"' + b"x" * (MIB - 1) + b'"')
    large = asked(gateway)
    assert (large.status, b"http_response_body_size" in large.body) == (502, True)
    cut = response_head(b"200 OK", JSON, b"Content-Length: 100") + b'{"password": "x'
    upstream.script([Send(cut), Close()])
    broken = asked(gateway)
    assert (broken.status, b"http_response_incomplete" in broken.body) == (502, True)
    assert b"password" not in broken.body
    # Both were asked for again, as a Retry in front of it has it.
    assert len(upstream.requests) == 4


@pytest.mark.parametrize("media", [b"text/event-stream", b"application/grpc+json"])
def test_a_stream_passes_as_it_comes(
    gateway: Gateway, upstream: ScriptedUpstream, media: bytes
) -> None:
    go = threading.Event()
    head = response_head(b"200 OK", b"Content-Type: " + media, b"Transfer-Encoding: chunked")
    event = b'data: {"password": "x"}\n\n'
    upstream.script([Send(head + chunk(event)), Until(go), Send(chunk(b"second")), Hang()])
    with Connection(gateway.port) as connection:
        connection.send(request_head(b"/json/events"))
        assert connection.read_head().status == 200
        assert connection.read_chunk() == event
        assert not go.is_set()  # the rest was not waited for
        go.set()
        assert connection.read_chunk() == b"second"
