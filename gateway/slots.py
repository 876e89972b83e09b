"""A bounded number of places, cheap to take while some are free.

`threading.Semaphore` does the same, but under gevent each release forces a switch of greenlets,
which costs more than the rest of a pool together.
"""

from __future__ import annotations

import threading
import time
from collections import deque


class Slots:
    """`size` places. Taking a free one is a single atomic operation; only waiters use a lock."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = deque([None] * size)
        self._waiting = 0
        self._changed = threading.Condition()

    @property
    def taken(self) -> int:
        """Places in use, and those that wait for one."""
        return self.size - len(self._free) + self._waiting

    def take(self, deadline: float) -> bool:
        """Take a place, waiting until the monotonic time `deadline`; False if none came free."""
        try:
            self._free.pop()
        except IndexError:
            return self._wait(deadline)
        return True

    def _wait(self, deadline: float) -> bool:
        with self._changed:
            # Counted before looking again: a release from now on sees that somebody waits.
            self._waiting += 1
            try:
                while True:
                    try:
                        self._free.pop()
                    except IndexError:
                        left = deadline - time.monotonic()
                        if left <= 0:
                            return False
                        self._changed.wait(left)
                    else:
                        return True
            finally:
                self._waiting -= 1

    def release(self) -> None:
        """Give a place back."""
        self._free.append(None)
        if self._waiting:
            with self._changed:
                self._changed.notify()
