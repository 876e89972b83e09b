"""Clients by the hundred: what each was answered, and when."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.client import Connection, Ended

_STACK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request: its status (0: no whole answer), body, seconds it took, and when it ended."""

    status: int
    body: bytes
    seconds: float
    at: float


@dataclass(slots=True)
class Crowd:
    """Clients that ask for `path` again and again, each on a connection that it keeps."""

    port: int
    path: str = "/"
    method: str = "GET"
    pause: float = 0.0
    rounds: int | None = None
    timeout: float = 30.0
    outcomes: list[Outcome] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, clients: int) -> None:
        """Begin asking."""
        before = threading.stack_size(_STACK)
        try:
            self._threads = [
                threading.Thread(target=self._client, args=(number,), daemon=True)
                for number in range(clients)
            ]
            for thread in self._threads:
                thread.start()
        finally:
            threading.stack_size(before)

    def join(self, seconds: float = 60.0) -> None:
        """Wait until every client has had its rounds; AssertionError if one hangs."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
            assert not thread.is_alive(), "a client waits for an answer that does not come"

    def finish(self) -> None:
        """Have every client end after its current request."""
        self.over.set()
        self.join()

    def statuses(self, since: float = 0.0) -> Counter[int]:
        """How often each status was answered."""
        return Counter(one.status for one in list(self.outcomes) if one.at >= since)

    def _client(self, number: int) -> None:
        connection: Connection | None = None
        count = 0
        while not self.over.is_set() and (self.rounds is None or count < self.rounds):
            count += 1
            begun = time.monotonic()
            status, body = 0, b""
            try:
                if connection is None:
                    connection = Connection(self.port, self.timeout)
                connection.send(self._request(number, count))
                reply = connection.read_reply()
                body = reply.body
                status = reply.status if reply.clean_end else 0
                if not reply.clean_end or reply.header(b"Connection") == [b"close"]:
                    connection.close()
                    connection = None
            except (OSError, Ended):
                if connection is not None:
                    connection.close()
                connection = None
            now = time.monotonic()
            self.outcomes.append(Outcome(status, body, now - begun, now))
            # Not in step with the others, which real clients are not either.
            self.over.wait(self.pause * random.uniform(0.5, 1.5))
        if connection is not None:
            connection.close()

    def _request(self, number: int, count: int) -> bytes:
        head = f"{self.method} {self.path}?client={number}&count={count} HTTP/1.1\r\nHost: chaos"
        if self.method in ("POST", "PUT"):
            return f"{head}\r\nContent-Length: 5\r\n\r\nhello".encode()
        return f"{head}\r\n\r\n".encode()


@contextmanager
def crowd(port: int, path: str, clients: int, **options: object) -> Iterator[Crowd]:
    """A crowd at work, ended with the block."""
    make: Callable[..., Crowd] = Crowd
    working = make(port, path, **options)
    working.start(clients)
    try:
        yield working
    finally:
        working.finish()


def percentile(seconds: list[float], share: float) -> float:
    """The value that `share` of them do not exceed."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
