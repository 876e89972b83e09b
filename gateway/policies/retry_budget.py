"""How many retries a service's load is worth, so that an outage is not multiplied."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

_WINDOW = 10.0
# What is saved up for later is at most this many times the minimum, or what the requests of this
# many seconds brought: enough for all that break when one of a few instances is gone, and too
# little to make an outage a quarter worse.
_SAVED = 10
_REMEMBERED = 2.5


class RetryBudget:
    """Counts requests and retries of one service in this worker, whose own it is.

    ratio: retries for each request, over time and at any moment. minimum: retries that are always
    allowed at a time, and in every 10 seconds that have any request; 0 for none. Two limits hold
    together: on retries under way, against slow failures, and on those made, against quick ones.
    One that is too many at the moment waits for its turn, `patience` seconds at the most.
    """

    def __init__(
        self,
        ratio: float,
        minimum: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        patience: float = 1.0,
    ) -> None:
        self._ratio = ratio
        self._minimum = minimum
        self._clock = clock
        self._patience = patience
        self._turn = threading.Condition()
        self._waiting = 0
        self._active = 0
        self._retrying = 0
        self._least = float(_SAVED * max(minimum, 1))
        self._recent = 0.0
        self._saved = float(minimum)
        self._deposited = clock()

    def begin(self) -> None:
        """A request begins: it brings its share."""
        with self._turn:
            self._active += 1
            now = self._clock()
            # Few requests bring the minimum between them; many bring no more than their ratio.
            passed = min(now - self._deposited, _WINDOW)
            share = max(self._ratio, self._minimum * passed / _WINDOW)
            self._recent = self._recent * math.exp(-passed / _REMEMBERED) + 1
            most = max(self._least, self._ratio * self._recent)
            self._saved = min(self._saved + share, most)
            self._deposited = now

    def end(self) -> None:
        """A request that began has its response head, or failed."""
        with self._turn:
            self._active -= 1

    def take(self, deadline: float = math.inf) -> bool:
        """Whether a retry may be made; if so, `give_back` tells when it is over. Waits for its
        turn until `deadline`, by the clock."""
        until = min(self._clock() + self._patience, deadline)
        with self._turn:
            if self._saved < 1 - 1e-9:  # shares add up to 0.9999999 as often as to 1
                return False
            self._saved -= 1
            while self._retrying + 1 > max(self._minimum, self._ratio * self._active):
                left = until - self._clock()
                if left <= 0:
                    self._saved += 1
                    return False
                self._waiting += 1
                self._turn.wait(left)
                self._waiting -= 1
            self._retrying += 1
            return True

    def give_back(self) -> None:
        """A retry has its response head, or failed, or was given up."""
        with self._turn:
            self._retrying -= 1
            if self._waiting:
                self._turn.notify()
