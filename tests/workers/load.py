"""Clients that keep asking, and notice every request that gets no proper answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.client import Address, Connection, Ended

_LAST = b"GET /plain/x HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n"
_MORE = b"GET /plain/x HTTP/1.1\r\nHost: load\r\n\r\n"


class Load:
    """Threads that send one request after the other: half of them on connections that they keep,
    half on a fresh one each time. A client ends when it is told to, or cannot connect any more."""

    def __init__(self, address: Address, clients: int) -> None:
        self._address = address
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._client, args=(number % 2 == 0,), daemon=True)
            for number in range(clients)
        ]
        #: `time.monotonic()` of every good answer.
        self.answered: list[float] = []
        #: What happened to each request that was sent and got none.
        self.lost: list[str] = []
        #: How many clients could not connect.
        self.refused = 0

    def start(self) -> None:
        """Begin asking."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Have every client end after its current request; AssertionError if one hangs."""
        self._over.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a client waits for an answer that does not come"

    def answered_since(self, moment: float) -> int:
        """How many good answers came after this `time.monotonic()`."""
        return sum(at > moment for at in list(self.answered))

    def _client(self, keep: bool) -> None:
        while not self._over.is_set():
            try:
                connection = Connection(self._address)
            except (ConnectionRefusedError, ConnectionResetError, FileNotFoundError):
                # A reset before connect() has returned: the listener closed during the handshake.
                self.refused += 1
                return
            except OSError as error:
                self.lost.append(f"connect: {error!r}")
                return
            with connection:
                while self._asked(connection, keep) and not self._over.is_set():
                    pass

    def _asked(self, connection: Connection, keep: bool) -> bool:
        """Send a request and judge its answer; whether the connection can take another."""
        try:
            connection.send(_MORE if keep else _LAST)
            reply = connection.read_reply()
        except (Ended, OSError) as error:
            self.lost.append(repr(error))
            return False
        if reply.status != 200 or not reply.clean_end or reply.body != b"ok":
            self.lost.append(f"{reply.status} {reply.body[:200]!r}")
            return False
        self.answered.append(time.monotonic())
        return keep and reply.header(b"Connection") != [b"close"]


@contextmanager
def load(address: Address, clients: int = 8) -> Iterator[Load]:
    """Clients at work, ended with the block."""
    working = Load(address, clients)
    working.start()
    try:
        yield working
    finally:
        working.finish()
