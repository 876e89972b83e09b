"""Answers that are kept, on the wire: what a hit looks like, and how a body streams while it is
kept. The service keeps what its backend allows."""

from __future__ import annotations

import itertools
import threading
import time
from email.utils import formatdate

import pytest

from gateway.testing import Close, ScriptedUpstream, Send, Until
from tests.support.client import Connection, Reply, exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import chunk, request, request_head, response, response_head
from tests.wire.conftest import PSEUDONYM
from tests.wire.test_memory import PIECE, Growth

FRESH = b"Cache-Control: max-age=600"
TAG = b'ETag: "one"'
CHUNKED = b"Transfer-Encoding: chunked"
LARGE = 64 << 20
ALLOWED_GROWTH = 24 << 20
_paths = itertools.count(1)


@pytest.fixture
def path() -> bytes:
    """A path that nobody has asked for: the gateway serves many tests."""
    return b"/cached/%d" % next(_paths)


def fill(gateway: Gateway, path: bytes, *headers: bytes) -> Reply:
    """Have an answer kept."""
    first = exchange(gateway.port, request(path, *headers))
    assert first.header(b"X-Cache") == [b"MISS"]
    return first


def hit(gateway: Gateway, path: bytes, *headers: bytes, method: bytes = b"GET") -> Reply:
    """An answer that no backend was asked for."""
    reply = exchange(gateway.port, request(path, *headers, method=method))
    assert reply.header(b"X-Cache") == [b"HIT"]
    return reply


@pytest.mark.parametrize("framing", [b"length", b"chunked"])
def test_a_hit(gateway: Gateway, upstream: ScriptedUpstream, path: bytes, framing: bytes) -> None:
    date = formatdate(time.time() - 3, usegmt=True).encode()
    fields = [FRESH, TAG, b"X-Twice: 1", b"X-Twice: 2", b"Date: " + date, b"Age: 7"]
    fields += [b"Via: 1.1 inner", b"Keep-Alive: timeout=9", b"Connection: X-Hop", b"X-Hop: 1"]
    fields += [b"Content-Type: text/x", b"Location: %s/cached/y" % upstream.url.encode()]
    fields += [b"Surrogate-Key: a", b"X-Request-ID: the-backends"]
    if framing == b"chunked":
        body = chunk(b"who") + chunk(b"le") + b"0\r\n\r\n"
        upstream.respond(response(b"200 OK", CHUNKED, *fields, body=body))
    else:
        upstream.respond(response(b"200 Fine", *fields, body=b"whole"))
    first = fill(gateway, path, b"X-Request-ID: of-the-first")
    reply = hit(gateway, path, b"X-Request-ID: of-the-second")
    assert (reply.status, reply.body, reply.interim) == (200, b"whole", [])
    assert reply.reason == (b"OK" if framing == b"chunked" else b"Fine")
    assert reply.header(b"Content-Length") == [b"5"]
    assert reply.header(b"Transfer-Encoding") == []
    assert reply.header(b"Date") == [date]
    [age] = reply.header(b"Age")
    assert 7 <= int(age) < 60
    assert b", ".join(reply.header(b"Via")) == b"1.1 inner, 1.1 " + PSEUDONYM.encode()
    assert reply.header(b"X-Request-ID") == [b"of-the-second"]
    assert reply.header(b"X-Twice") == [b"1", b"2"]
    assert reply.header(b"ETag") == [b'"one"']
    assert reply.header(b"Location") == [b"http://gateway.example/cached/y"]
    for name in (b"X-Hop", b"Keep-Alive", b"Surrogate-Key", b"Set-Cookie"):
        assert not reply.header(name)
    assert not first.header(b"Surrogate-Key")
    # Nothing but the request's own is new.
    own = {b"x-request-id", b"x-cache", b"cache-status", b"age", b"content-length"}
    own |= {b"transfer-encoding"}
    assert [one for one in reply.headers if one[0].lower() not in own] == [
        one for one in first.headers if one[0].lower() not in own
    ]
    assert len(upstream.requests) == 1


def test_a_hit_through_another_host(
    gateway: Gateway, upstream: ScriptedUpstream, path: bytes
) -> None:
    """What leads back through the gateway leads to the host that was asked."""
    upstream.answer(
        lambda received: [
            Send(
                response(
                    b"301 Moved", FRESH, b"Location: %s/cached/y" % upstream.url.encode(), body=b"x"
                )
            )
        ]
    )
    for host in (b"one.example", b"two.example:8080"):
        fill(gateway, path, b"Host: " + host)
        reply = hit(gateway, path, b"Host: " + host)
        assert (reply.status, reply.body) == (301, b"x")
        assert reply.header(b"Location") == [b"http://%s/cached/y" % host]


def test_head_of_a_hit(gateway: Gateway, upstream: ScriptedUpstream, path: bytes) -> None:
    """RFC 9110 section 9.3.2: the fields of GET, and no body; the connection is good for more."""
    upstream.respond(response(b"200 OK", FRESH, TAG, body=b"whole"))
    fill(gateway, path)
    with Connection(gateway.port) as connection:
        connection.send(request_head(path, method=b"HEAD") + request_head(path))
        head = connection.read_reply(to_head=True)
        reply = connection.read_reply()
    assert (head.status, head.header(b"Content-Length")) == (200, [b"5"])
    assert head.header(b"X-Cache") == reply.header(b"X-Cache") == [b"HIT"]
    assert reply.body == b"whole"
    assert len(upstream.requests) == 1


def test_not_modified(gateway: Gateway, upstream: ScriptedUpstream, path: bytes) -> None:
    """RFC 9110 section 15.4.5."""
    upstream.respond(
        response(b"200 OK", FRESH, TAG, b"Content-Type: text/x", b"Vary: X-A", body=b"whole")
    )
    fill(gateway, path)
    with Connection(gateway.port) as connection:
        connection.send(request_head(path, b'If-None-Match: "two", W/"one"'))
        unchanged = connection.read_reply()
        connection.send(request_head(path, b'If-None-Match: "two"'))
        changed = connection.read_reply()
    assert (unchanged.status, unchanged.header(b"X-Cache")) == (304, [b"HIT"])
    assert unchanged.raw.endswith(b"\r\n\r\n")
    assert unchanged.header(b"Content-Length") in ([], [b"5"])
    assert unchanged.header(b"Transfer-Encoding") == []
    assert unchanged.header(b"ETag") == [b'"one"']
    assert unchanged.header(b"Cache-Control") == [b"max-age=600"]
    assert unchanged.header(b"Vary") == [b"X-A"]
    assert unchanged.header(b"Date")
    assert (changed.status, changed.body) == (200, b"whole")
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("asked", "status", "told", "body"),
    [
        (b"bytes=1-2", 206, b"bytes 1-2/5", b"ho"),
        (b"bytes=3-", 206, b"bytes 3-4/5", b"le"),
        (b"bytes=-1", 206, b"bytes 4-4/5", b"e"),
        (b"bytes=5-", 416, b"bytes */5", None),
    ],
)
def test_a_range_of_a_hit(
    gateway: Gateway,
    upstream: ScriptedUpstream,
    path: bytes,
    asked: bytes,
    status: int,
    told: bytes,
    body: bytes | None,
) -> None:
    """RFC 9110 sections 14.2, 15.3.7 and 15.5.17."""
    upstream.respond(response(b"200 OK", FRESH, TAG, body=b"whole"))
    fill(gateway, path)
    reply = hit(gateway, path, b"Range: " + asked)
    assert (reply.status, reply.header(b"Content-Range")) == (status, [told])
    assert reply.header(b"Content-Length") == [b"%d" % len(reply.body)]
    if body is not None:
        assert reply.body == body
    assert hit(gateway, path).body == b"whole"


def test_pipelined_hits_come_in_order(
    gateway: Gateway, upstream: ScriptedUpstream, path: bytes
) -> None:
    upstream.answer(lambda got: [Send(response(b"200 OK", FRESH, body=got.target))])
    paths = [path + b"/%d" % number for number in range(5)]
    for one in paths[:-1]:
        fill(gateway, one)
    mixed = [*paths, *reversed(paths)]  # the last one is a miss in between
    with Connection(gateway.port) as connection:
        connection.send(b"".join(request_head(one) for one in mixed))
        replies = [connection.read_reply() for _ in mixed]
        assert [reply.body for reply in replies] == mixed
        connection.send(request_head(path, b"Connection: close"))
        assert connection.read_reply().header(b"Connection") == [b"close"]
        assert connection.ended()
    assert [reply.header(b"X-Cache") for reply in replies].count([b"HIT"]) == 9
    assert all(reply.header(b"Connection") == [b"keep-alive"] for reply in replies)
    assert len(upstream.requests) == 6


def test_a_hit_for_http_1_0(gateway: Gateway, upstream: ScriptedUpstream, path: bytes) -> None:
    upstream.respond(response(b"200 OK", CHUNKED, FRESH, body=chunk(b"whole") + b"0\r\n\r\n"))
    fill(gateway, path)
    with Connection(gateway.port) as connection:
        connection.send(b"GET %s HTTP/1.0\r\nHost: gateway.example\r\n\r\n" % path)
        reply = connection.read_reply()
        assert connection.ended()
    assert (reply.header(b"X-Cache"), reply.body, reply.framing) == ([b"HIT"], b"whole", "length")


def test_a_hit_reads_the_body_that_get_should_not_have(
    gateway: Gateway, upstream: ScriptedUpstream, path: bytes
) -> None:
    """Bytes of a body are never the next request (RFC 9112 section 9.3)."""
    upstream.answer(lambda got: [Send(response(b"200 OK", FRESH, body=got.target))])
    fill(gateway, path)
    smuggled = request_head(b"/cached/smuggled")
    with Connection(gateway.port) as connection:
        connection.send(request_head(path, b"Content-Length: %d" % len(smuggled)) + smuggled)
        assert connection.read_reply().body == path
        connection.send(request_head(path))
        assert connection.read_reply().body == path
    assert b"/cached/smuggled" not in [one.target for one in upstream.requests]
    assert exchange(gateway.port, request(path, b"Expect: 100-continue")).body == path


def test_cookies_are_nobodys(gateway: Gateway, upstream: ScriptedUpstream, path: bytes) -> None:
    """An answer that sets one is not kept; the next, without one, is."""
    upstream.respond(
        response(b"200 OK", FRESH, b"Set-Cookie: a=1", body=b"first"),
        response(b"200 OK", FRESH, body=b"second"),
    )
    first, second, third = (exchange(gateway.port, request(path)) for _ in range(3))
    assert first.header(b"Set-Cookie") == [b"a=1"]
    assert (second.body, second.header(b"Set-Cookie")) == (b"second", [])
    assert third.header(b"Set-Cookie") == []


def test_the_gateways_own_answers_are_not_kept(
    gateway: Gateway, upstream: ScriptedUpstream, path: bytes
) -> None:
    upstream.script([Close()], [Close()], [Send(response(b"200 OK", FRESH, body=b"well"))])
    failed = exchange(gateway.port, request(path))
    assert failed.status == 502
    assert exchange(gateway.port, request(path)).status in (200, 502)
    assert exchange(gateway.port, request(path)).body == b"well"


@pytest.mark.parametrize("framing", [b"Content-Length: 8", CHUNKED])
def test_a_body_streams_while_it_is_kept(
    gateway: Gateway, upstream: ScriptedUpstream, path: bytes, framing: bytes
) -> None:
    read = threading.Event()
    halves = [b"half", b"more"] if framing != CHUNKED else [chunk(b"half"), chunk(b"more")]
    end = b"" if framing != CHUNKED else b"0\r\n\r\n"
    begin = response_head(b"200 OK", FRESH, framing) + halves[0]
    upstream.script([Send(begin), Until(read), Send(halves[1] + end)])
    with Connection(gateway.port) as connection:
        connection.send(request_head(path))
        head = connection.read_head()
        assert head.header(b"X-Cache") == [b"MISS"]
        first = connection.read_chunk() if framing == CHUNKED else connection.read_exactly(4)
        assert first == b"half"
        assert not read.is_set()
        read.set()
        last = connection.read_chunk() if framing == CHUNKED else connection.read_exactly(4)
        assert last == b"more"
        if framing == CHUNKED:
            assert connection.read_chunk() == b""
        connection.send(request_head(path))
        again = connection.read_reply()
    assert (again.header(b"X-Cache"), again.body) == ([b"HIT"], b"halfmore")
    assert len(upstream.requests) == 1


CUT = {
    "length": response_head(b"200 OK", FRESH, b"Content-Length: 9") + b"half",
    "chunked": response_head(b"200 OK", FRESH, CHUNKED) + chunk(b"half"),
    "in a chunk": response_head(b"200 OK", FRESH, CHUNKED) + b"9\r\nhalf",
}


@pytest.mark.parametrize("cut", CUT)
def test_a_body_cut_short_is_not_kept(
    gateway: Gateway, upstream: ScriptedUpstream, path: bytes, cut: str
) -> None:
    upstream.script([Send(CUT[cut]), Close()], [Send(response(b"200 OK", FRESH, body=b"whole"))])
    assert not exchange(gateway.port, request(path)).clean_end
    assert fill(gateway, path).body == b"whole"
    assert hit(gateway, path).body == b"whole"


def test_a_body_without_an_end_is_not_kept(
    gateway: Gateway, upstream: ScriptedUpstream, path: bytes
) -> None:
    """It lasts until the connection closes: nobody can tell whether that was all of it."""
    upstream.script([Send(response_head(b"200 OK", FRESH) + b"whole"), Close()])
    for count in (1, 2):
        reply = exchange(gateway.port, request(path))
        assert (reply.body, reply.header(b"X-Cache") == [b"HIT"]) == (b"whole", False)
        assert len(upstream.requests) == count


@pytest.mark.parametrize("framing", [b"Content-Length: %d" % LARGE, CHUNKED])
def test_a_large_body_passes(
    gateway: Gateway, upstream: ScriptedUpstream, path: bytes, framing: bytes
) -> None:
    piece = chunk(PIECE) if framing == CHUNKED else PIECE
    end = b"0\r\n\r\n" if framing == CHUNKED else b""
    script = [Send(response_head(b"200 OK", FRESH, framing)), Send(piece, LARGE >> 20), Send(end)]
    upstream.script(script)
    with Growth(gateway) as growth:
        for count in (1, 2):
            with Connection(gateway.port) as connection:
                connection.send(request_head(path))
                reply = connection.read_reply(keep_body=False)
            assert (reply.size, reply.clean_end) == (LARGE, True)
            assert len(upstream.requests) == count
    assert growth.bytes <= ALLOWED_GROWTH
