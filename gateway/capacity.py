"""How many requests a worker forwards at the same time, so that it can always answer others.

A backend that hangs holds the worker's threads or greenlets. The server has more of them than may
forward or wait for it: `/healthz` and `/readyz` are answered whatever the backends do.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.errors import ClientGone, NotSent
from gateway.exchange import Exchange
from gateway.slots import Slots

#: Seconds for which a request waits: enough for a burst, which is nothing to refuse.
WAIT = 1.0


class Capacity:
    """The `size` requests that this worker forwards at once, and `waiting` ones that may wait to
    be; other workers have their own."""

    __slots__ = ("_slots", "_waiting")

    def __init__(self, size: int, waiting: int = 0) -> None:
        self._slots = Slots(size)
        self._waiting = Slots(waiting)

    @property
    def taken(self) -> int:
        """Requests being forwarded, and those that wait to be."""
        return self._slots.taken

    def enter(self, exchange: Exchange, abandoned: Callable[[], bool]) -> None:
        """Take a place for a request until its response is over, however often it is forwarded.

        Raises NotSent if none comes free, and at once if enough wait; sending again is safe.
        ClientGone if nobody was left to answer by then.
        """
        if exchange.leave is None:
            waited = not self._slots.take(0)
            if waited and not self._wait():
                raise NotSent("worker_busy", "The gateway is busy.", retry_after=1)
            exchange.leave = self._slots.release
            if waited and abandoned():
                raise ClientGone

    def _wait(self) -> bool:
        if not self._waiting.take(0):
            return False
        try:
            return self._slots.take(time.monotonic() + WAIT)
        finally:
            self._waiting.release()
