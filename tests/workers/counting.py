"""A backend that counts how many requests are inside it at the same time."""

from __future__ import annotations

import select
import socket
import threading
import time
from types import TracebackType

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_LEFT = select.POLLRDHUP | select.POLLHUP | select.POLLERR


class CountingBackend:
    """A backend on a free port of 127.0.0.1; a context manager.

    Every request stays inside for `hold` seconds, or until its client leaves. `/stream` answers at
    once and then sends bytes until it is told to end: those are inside meanwhile. `peak` is the
    largest number that was ever inside, `served` how many requests there were.
    """

    def __init__(self, hold: float = 0.05) -> None:
        self.hold = hold
        self.peak = 0
        self.served = 0
        self.end_streams = threading.Event()
        self._inside: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> CountingBackend:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end_streams.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def inside(self) -> int:
        """How many requests are being worked on."""
        with self._lock:
            self._prune()
            return len(self._inside)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while head := _head(connection):
                    self._enter(connection)
                    try:
                        self._answer(connection, stream=b"/stream" in head.split(b"\r\n")[0])
                    finally:
                        self._leave(connection)
            except OSError:
                return

    def _enter(self, connection: socket.socket) -> None:
        with self._lock:
            self.served += 1
            self._prune()
            self._inside.add(connection)
            self.peak = max(self.peak, len(self._inside))

    def _prune(self) -> None:
        """Those whose client has gone are not inside any more."""
        for connection in list(self._inside):
            if connection.fileno() < 0 or _gone(connection, 0):
                self._inside.discard(connection)

    def _leave(self, connection: socket.socket) -> None:
        with self._lock:
            self._inside.discard(connection)

    def _answer(self, connection: socket.socket, *, stream: bool) -> None:
        if stream:
            connection.sendall(_CHUNKED)
            while not self.end_streams.is_set():
                connection.sendall(b"1\r\n.\r\n")
                self.end_streams.wait(0.02)
            self._leave(connection)  # before the gateway can know
            connection.sendall(b"0\r\n\r\n")
        elif not _gone(connection, self.hold):
            self._leave(connection)
            connection.sendall(_OK)


def _head(connection: socket.socket) -> bytes:
    """A request's head; empty when the client has gone."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            return b""
        head += piece
    return head


def _gone(connection: socket.socket, seconds: float) -> bool:
    """Whether the client leaves within so many seconds."""
    waiting = select.poll()
    waiting.register(connection, _LEFT)
    end = time.monotonic() + seconds
    while True:
        left = max(end - time.monotonic(), 0)
        if waiting.poll(left * 1000):
            return True
        if time.monotonic() >= end:
            return False
