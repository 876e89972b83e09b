"""Connections of one worker to one upstream instance, kept open between requests.

State of this worker alone: sockets cannot be shared. A pool holds none before its first use, so
an application loaded before the fork shares none by accident.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable

from gateway.errors import ClientGone, PoolTimeout
from gateway.slots import Slots
from gateway.transport.connection import Connection

Dial = Callable[[float], Connection]

# Waiting is cut into pieces of so many seconds, after each of which the client is looked at.
_SLICE = 0.5


def _stays() -> bool:
    return False


class ConnectionPool:
    """At most `size` connections. An idle one is reused for `idle_seconds`, newest first.

    `dial` opens a connection within the seconds it is given. `size` counts busy connections;
    a request that finds none free waits for one.
    """

    def __init__(self, dial: Dial, size: int, idle_seconds: float) -> None:
        self._dial = dial
        self._idle_seconds = idle_seconds
        self._idle: deque[Connection] = deque()
        self._slots = Slots(size)
        self._retired = False

    @property
    def in_flight(self) -> int:
        """Requests that use a connection or wait for one."""
        return self._slots.taken

    def checkout(
        self,
        connect: float,
        deadline: float,
        *,
        fresh: bool = False,
        abandoned: Callable[[], bool] = _stays,
    ) -> Connection:
        """A connection to use alone: an idle one that still lives, or a new one.

        `connect` is the time to make one in seconds, `deadline` the monotonic time until which to
        wait for a slot. Raises PoolTimeout, ConnectTimeout or ConnectFailed, all safe to retry;
        ClientGone if `abandoned` says so after a wait.
        """
        if not self._slots.take(0):
            self._wait(deadline, abandoned)
        try:
            connection = None if fresh else self._reuse()
            if connection is None:
                connection = self._dial(min(connect, max(deadline - time.monotonic(), 0.001)))
        except BaseException:
            self._slots.release()
            raise
        return connection

    def _wait(self, deadline: float, abandoned: Callable[[], bool]) -> None:
        """Take a slot as soon as one is free; none for a client that has left meanwhile."""
        while True:
            taken = self._slots.take(min(time.monotonic() + _SLICE, deadline))
            if abandoned():
                if taken:
                    self._slots.release()
                raise ClientGone
            if taken:
                return
            if time.monotonic() >= deadline:
                raise PoolTimeout

    def _reuse(self) -> Connection | None:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took the last one
                return None
            # Readable while idle means closed, or bytes nobody asked for: never a next response.
            young = time.monotonic() - connection.idle_since < self._idle_seconds
            if young and not connection.readable():
                connection.reused = True
                connection.wrote = False
                return connection
            connection.close()
        return None

    def give_back(self, connection: Connection) -> None:
        """Return a connection whose exchange ended cleanly."""
        connection.idle_since = now = time.monotonic()
        self._idle.append(connection)
        if self._retired:
            self.close()
        # The oldest go first; without this a burst would leave its sockets open for good.
        with contextlib.suppress(IndexError):  # other threads take from it meanwhile
            while now - self._idle[0].idle_since > self._idle_seconds:
                self._idle.popleft().close()
        self._slots.release()

    def discard(self, connection: Connection) -> None:
        """Close a connection of which nothing more can be trusted."""
        connection.close()
        self._slots.release()

    def retire(self) -> None:
        """The instance is no longer one: requests under way end in their own time, and their
        connections are closed then."""
        self._retired = True
        self.close()

    def close(self) -> None:
        """Close what is idle."""
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()
