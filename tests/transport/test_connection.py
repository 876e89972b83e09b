"""A connection's limits of time are kept to the point, though every wait is cut into slices."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.errors import ConnectTimeout
from gateway.transport import connection as module
from gateway.transport.connection import Connection, connect
from gateway.urls import Origin


class Socket:
    """One at whose other end nobody is, or somebody who reads `pace` bytes at a time."""

    def __init__(self, pace: int = 0) -> None:
        self.now = 100.0
        self.sent = 0
        self._pace = pace
        self._timeout = 0.0

    def settimeout(self, seconds: float) -> None:
        self._timeout = seconds

    def recv(self, _most: int) -> bytes:
        self.now += self._timeout
        raise TimeoutError

    def send(self, data: bytes) -> int:
        if not self._pace:
            self.now += self._timeout
            raise TimeoutError
        self.now += self._timeout / 2
        size = min(self._pace, len(data))
        self.sent += size
        return size


def _open(monkeypatch: pytest.MonkeyPatch, sock: Socket) -> Connection:
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: sock.now))
    return Connection(sock)


def _never() -> bool:
    return False


@pytest.mark.parametrize("seconds", [0.2, 0.5, 0.7, 1.2])
def test_silence_is_waited_for_until_the_limit(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    sock = Socket()
    with pytest.raises(TimeoutError):
        _open(monkeypatch, sock).receive(100 + seconds, _never)
    assert sock.now == pytest.approx(100 + seconds, abs=0.01)


@pytest.mark.parametrize("pace", [0, 10])
def test_who_reads_slowly_or_nothing_has_until_the_deadline(
    monkeypatch: pytest.MonkeyPatch, pace: int
) -> None:
    sock = Socket(pace)
    with pytest.raises(TimeoutError):
        _open(monkeypatch, sock).send(b"x" * 1000, 60, 102.2, _never)
    assert sock.now == pytest.approx(102.2, abs=0.01)
    assert sock.sent < 1000


def test_who_reads_nothing_for_long_has_no_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sock = Socket()
    with pytest.raises(TimeoutError):
        _open(monkeypatch, sock).send(b"x", 3, 190, _never)
    assert sock.now == pytest.approx(103.5, abs=0.01)  # the first try is not counted


def test_what_is_read_in_time_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    sock = Socket(300)
    _open(monkeypatch, sock).send(b"x" * 1000, 3, 110, _never)
    assert sock.sent == 1000


class Late(Socket):
    """One whose wait ends long after its time, and before anybody looks at what came."""

    tried = False

    def recv(self, _most: int) -> bytes:
        if self.now > 100:
            return b"came in time"
        self.now += 9
        raise TimeoutError

    def send(self, data: bytes) -> int:
        if not self.tried:  # which is not counted
            self.tried = True
            raise TimeoutError
        self.recv(0)
        self.sent += len(data)
        return len(data)


def test_what_came_while_nobody_looked_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _open(monkeypatch, Late()).receive(101, _never) == b"came in time"


def test_what_could_be_sent_while_nobody_looked_is(monkeypatch: pytest.MonkeyPatch) -> None:
    sock = Late()
    _open(monkeypatch, sock).send(b"all", 1, 110, _never)
    assert sock.sent == 3


# -- connecting ------------------------------------------------------------------------------


def origin(host: str, port: int) -> Origin:
    """A backend at this address."""
    return Origin.parse(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_is_not_resolved(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    def resolve(*_asked: object, **_options: object) -> list[object]:
        raise AssertionError("nothing is to be resolved")

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        opened = connect(origin(host, listener.getsockname()[1]), 10.0, "")
        assert opened.sock.getpeername()[:2] == listener.getsockname()[:2]
        opened.close()


def test_a_connection_that_came_about_while_nobody_looked_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unseen(socket.socket):
        def connect(self, address: Any) -> None:
            super().connect(address)
            raise TimeoutError

    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(socket, "socket", Unseen)
        opened = connect(origin("127.0.0.1", listener.getsockname()[1]), 10.0, "")
        opened.sock.sendall(b"x")
        opened.close()


def test_who_is_not_connected_in_time_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nobody(socket.socket):
        def connect(self, address: Any) -> None:
            raise TimeoutError

    monkeypatch.setattr(socket, "socket", Nobody)
    with pytest.raises(ConnectTimeout):
        connect(origin("127.0.0.1", 9), 10.0, "")
