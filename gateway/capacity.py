"""How many requests a worker forwards at the same time, so that it can always answer others.

A backend that hangs holds the worker's threads or greenlets. The server has more of them than may
forward or wait for it: `/healthz` and `/readyz` are answered whatever the backends do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.errors import ClientGone, NotSent
from gateway.exchange import Aside, Exchange
from gateway.slots import Slots

#: Seconds for which a request waits: enough for a burst, which is nothing to refuse.
WAIT = 1.0


class Capacity:
    """The `size` requests that this worker forwards at once, and `waiting` ones that may wait to
    be; other workers have their own. Half of those that wait may be held back by a limit, or wait
    for the answer to another one."""

    __slots__ = ("_held", "_slots", "_waiting")

    def __init__(self, size: int, waiting: int = 0) -> None:
        self._slots = Slots(size)
        self._waiting = Slots(waiting)
        self._held = Slots(waiting // 2)

    @property
    def taken(self) -> int:
        """Requests being forwarded, and those that wait to be."""
        return self._slots.taken

    def enter(self, exchange: Exchange, abandoned: Callable[[], bool]) -> None:
        """Take a place for a request until its response is over, however often it is forwarded.

        Raises NotSent if none comes free, and at once if enough wait; sending again is safe.
        ClientGone if nobody was left to answer by then.
        """
        if not exchange.placed:
            waited = not self._slots.take(0)
            if waited and not self._wait():
                raise _busy()
            exchange.placed = True
            exchange.endings.append(self._slots.release)
            exchange.aside = self.stand_aside
            if waited and abandoned():
                raise ClientGone

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """A place to wait in for what is not a place to forward: a limit that spaces requests.

        Raises NotSent if half of the places are taken by such requests, or all by any.
        """
        if not self.hold():
            raise _busy()
        try:
            yield
        finally:
            self.let_go()

    def hold(self) -> bool:
        """Take such a place, if there is one."""
        if not self._held.take(0):
            return False
        if self._waiting.take(0):
            return True
        self._held.release()
        return False

    def let_go(self) -> None:
        """Give it back."""
        self._waiting.release()
        self._held.release()

    def stand_aside(self, exchange: Exchange, abandoned: Callable[[], bool]) -> Aside:
        """See Exchange.aside."""
        return _Aside(self, exchange, abandoned)

    def leave(self, exchange: Exchange) -> None:
        """Give a request's place to forward to another one."""
        exchange.endings.remove(self._slots.release)
        exchange.placed = False
        self._slots.release()

    def _wait(self) -> bool:
        if not self._waiting.take(0):
            return False
        try:
            return self._slots.take(time.monotonic() + WAIT)
        finally:
            self._waiting.release()


class _Aside:
    """A request that waits for another one, in one of the places to wait in; where there is none,
    it keeps its own."""

    def __init__(
        self, capacity: Capacity, exchange: Exchange, abandoned: Callable[[], bool]
    ) -> None:
        self._capacity = capacity
        self._exchange = exchange
        self._abandoned = abandoned
        self._holds = capacity.hold()
        if self._holds:
            exchange.endings.append(self.over)
            capacity.leave(exchange)

    def over(self) -> None:
        """See exchange.Aside."""
        if self._holds:
            self._holds = False
            self._capacity.let_go()

    def back(self) -> None:
        """See exchange.Aside."""
        self.over()
        self._capacity.enter(self._exchange, self._abandoned)


def _busy() -> NotSent:
    return NotSent("worker_busy", "The gateway is busy.", retry_after=1)
