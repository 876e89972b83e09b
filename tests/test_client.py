"""The client's connection: whether it still is there, and how it ends."""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.client import ClientConnection

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs POLLRDHUP")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection: the gateway's end and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        ours.settimeout(5)
        theirs.settimeout(5)
        with ours, theirs:
            yield ours, theirs


class _Message:
    """gunicorn's parsed request."""

    closed = False

    def force_close(self) -> None:
        self.closed = True

    def should_close(self) -> bool:
        return self.closed


def _client(sock: socket.socket | None, protocol: str = "HTTP/1.1") -> ClientConnection:
    stream: Any = io.BytesIO()
    if sock is not None:
        stream = type("Body", (io.BytesIO,), {"message": _Message()})()
    environ = {"wsgi.input": stream, "SERVER_PROTOCOL": protocol}
    return ClientConnection(environ if sock is None else {**environ, "gunicorn.socket": sock})


def test_a_waiting_client_has_not_left(pair: tuple[socket.socket, socket.socket]) -> None:
    client = _client(pair[0])
    pair[1].sendall(b"the next request")
    assert not client.abandoned()
    assert not client.abandoned()


@pytest.mark.parametrize("how", ["close", "half", "reset"])
def test_a_client_that_left_is_noticed(pair: tuple[socket.socket, socket.socket], how: str) -> None:
    ours, theirs = pair
    client = _client(ours)
    assert not client.abandoned()
    if how == "half":
        theirs.shutdown(socket.SHUT_WR)
    else:
        if how == "reset":
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
    assert client.abandoned()


def test_a_closed_socket_counts_as_gone(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].close()
    assert _client(pair[0]).abandoned()


def test_other_servers_say_nothing() -> None:
    client = _client(None)
    client.close_after_response()
    client.linger()
    client.abort()
    assert not client.abandoned()
    assert not client.closing


def test_close_after_response(pair: tuple[socket.socket, socket.socket]) -> None:
    client = _client(pair[0])
    assert not client.closing
    client.close_after_response()
    assert client.closing


def test_linger_lets_the_client_read_before_the_close(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.sendall(bytes(100_000))
    theirs.shutdown(socket.SHUT_WR)
    ours.sendall(b"answer")
    _client(ours).linger()
    ours.close()
    assert theirs.recv(100) == b"answer"
    assert theirs.recv(100) == b""  # an orderly end, not a reset


def test_linger_is_bounded_in_bytes(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.setblocking(False)
    client = _client(ours)
    sent = 0
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    try:
        while sent < 1 << 21:
            sent += theirs.send(bytes(65536))
    except BlockingIOError:
        pass
    client.linger()
    ours.setblocking(False)
    assert ours.recv(1)  # the rest is left unread


@pytest.mark.parametrize(("protocol", "reset"), [("HTTP/1.0", True), ("HTTP/1.1", False)])
def test_abort_resets_where_a_close_would_look_like_the_end(
    pair: tuple[socket.socket, socket.socket], protocol: str, reset: bool
) -> None:
    ours, theirs = pair
    _client(ours, protocol).abort()
    ours.close()
    if reset:
        with pytest.raises(ConnectionResetError):
            theirs.recv(1)
    else:
        assert theirs.recv(1) == b""


def test_linger_is_bounded_in_time(pair: tuple[socket.socket, socket.socket]) -> None:
    """A client that sends a byte now and then would hold its place for days."""
    ours, theirs = pair
    over = threading.Event()

    def trickle() -> None:
        with contextlib.suppress(OSError):
            while not over.wait(0.2):
                theirs.sendall(b"x")

    trickling = threading.Thread(target=trickle)
    lingering = threading.Thread(target=_client(ours).linger)
    trickling.start()
    lingering.start()
    lingering.join(4)  # it is bounded by one second
    lasting = lingering.is_alive()
    over.set()
    trickling.join()
    theirs.shutdown(socket.SHUT_WR)
    lingering.join()
    assert not lasting
