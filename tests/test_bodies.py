"""A client's request body: read piece by piece, counted, bounded."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import InvalidChunkSize, NoMoreData
from gunicorn.http.parser import RequestParser

from gateway.bodies import RequestBody
from gateway.errors import ClientBodyError, ClientGone


def _all(body: RequestBody) -> bytes:
    return b"".join(iter(body.next_piece, b""))


class _Stream:
    """A stream that fails at its first read, as gunicorn's body would."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.failed = False

    def read(self, _size: int) -> bytes:
        raise self._error


@pytest.mark.parametrize("length", [5, None])
def test_body_is_read_once_to_its_end(length: int | None) -> None:
    body = RequestBody(io.BytesIO(b"hello"), length)
    assert not body.started
    assert _all(body) == b"hello"
    assert (body.received, body.started, body.finished) == (5, True, True)
    assert body.next_piece() == b""


def test_declared_length_bounds_what_is_read() -> None:
    stream = io.BytesIO(b"helloGET / HTTP/1.1")
    assert _all(RequestBody(stream, 5)) == b"hello"
    assert stream.tell() == 5


def test_empty_body_is_finished_from_the_start() -> None:
    body = RequestBody(_Stream(AssertionError()), 0)
    assert body.finished
    assert body.next_piece() == b""
    assert not body.started


def test_large_body_comes_in_pieces() -> None:
    body = RequestBody(io.BytesIO(bytes(200_000)), 200_000)
    pieces = list(iter(body.next_piece, b""))
    assert max(map(len, pieces)) <= 64 * 1024
    assert sum(map(len, pieces)) == 200_000


def test_short_body_is_an_error() -> None:
    body = RequestBody(io.BytesIO(b"abc"), 5)
    assert body.next_piece() == b"abc"
    with pytest.raises(ClientBodyError) as failed:
        body.next_piece()
    assert failed.value.code == 400
    assert body.finished


def test_declared_length_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(ClientBodyError) as failed:
        RequestBody(_Stream(AssertionError()), 11, limit=10)
    assert (failed.value.code, failed.value.slug) == (413, "body_too_large")


@pytest.mark.parametrize(("limit", "size"), [(0, 0), (10, 10), (None, 99)])
def test_body_within_the_limit_passes(limit: int | None, size: int) -> None:
    assert len(_all(RequestBody(io.BytesIO(bytes(size)), None, limit=limit))) == size


def test_chunked_body_over_the_limit_is_refused_as_it_comes() -> None:
    body = RequestBody(io.BytesIO(bytes(11)), None, limit=10)
    with pytest.raises(ClientBodyError) as failed:
        _all(body)
    assert failed.value.code == 413
    assert body.finished


@pytest.mark.parametrize(
    ("error", "raised", "status"),
    [
        (TimeoutError(), ClientBodyError, 408),
        (NoMoreData(), ClientBodyError, 400),
        (InvalidChunkSize(b"zz"), ClientBodyError, 400),
        (ConnectionResetError(), ClientGone, None),
    ],
)
def test_failures_while_reading(
    error: Exception, raised: type[Exception], status: int | None
) -> None:
    stream = _Stream(error)
    body = RequestBody(stream, 5)
    with pytest.raises(raised) as failed:
        body.next_piece()
    assert getattr(failed.value, "code", None) == status
    # What follows on the connection may be the rest of this body.
    assert stream.failed
    assert body.finished


def _socket_body(**options: Any) -> tuple[socket.socket, socket.socket, RequestBody]:
    ours, theirs = socket.socketpair()

    class Reading:
        failed = False

        @staticmethod
        def read(size: int) -> bytes:
            return ours.recv(size)

    return ours, theirs, RequestBody(Reading(), 5, socket=ours, **options)


def test_idle_bounds_the_wait_for_the_next_bytes() -> None:
    ours, theirs, body = _socket_body(idle=0.05)
    with ours, theirs:
        theirs.sendall(b"he")
        assert body.next_piece() == b"he"
        began = time.monotonic()
        with pytest.raises(ClientBodyError) as failed:
            body.next_piece()
        assert 0.03 < time.monotonic() - began < 10
        assert failed.value.code == 408
        assert ours.gettimeout() is None


@pytest.mark.parametrize("left", [0.05, -1])
def test_deadline_bounds_the_wait_too(left: float) -> None:
    ours, theirs, body = _socket_body(idle=30)
    with ours, theirs:
        began = time.monotonic()
        with pytest.raises(ClientBodyError):
            body.next_piece(began + left)
        assert time.monotonic() - began < 10


def _from_gunicorn(framing: bytes, *pieces: bytes) -> Iterator[bytes]:
    """What is read of a body that reaches gunicorn in these pieces."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n"
    message = next(RequestParser(Config(), iter([head, *pieces]), ("192.0.2.1", 1)))
    length = None if b"chunked" in framing else int(framing.rpartition(b" ")[2])
    return iter(RequestBody(message.body, length).next_piece, b"")


CHUNKED = b"Transfer-Encoding: chunked"


def test_bytes_of_known_length_are_taken_as_they_come() -> None:
    assert list(_from_gunicorn(b"Content-Length: 6", b"ab", b"cde", b"fGET /")) == [
        b"ab",
        b"cde",
        b"f",
    ]


def test_chunks_are_taken_as_they_come() -> None:
    pieces = (b"2\r\nab\r\n", b"6\r\ncde", b"fgh\r\n0\r\n\r\n")
    assert list(_from_gunicorn(CHUNKED, *pieces)) == [b"ab", b"cde", b"fgh"]


@pytest.mark.parametrize(
    ("framing", "pieces"),
    [
        (CHUNKED, [b"2\r\nabX\r\n0\r\n\r\n"]),
        (CHUNKED, [b"zz\r\nab\r\n"]),
        (CHUNKED, [b"2\r\nab\r\n"]),
        (CHUNKED, [b"2\r\na"]),
        (b"Content-Length: 6", [b"abc"]),
    ],
)
def test_body_that_breaks_never_looks_complete(framing: bytes, pieces: list[bytes]) -> None:
    with pytest.raises(ClientBodyError):
        list(_from_gunicorn(framing, *pieces))
