"""Who asks upstream for what, said again and again while he does: a worker that dies holds up
nobody for long."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from gateway.caching.store import Outcome, ResponseStore

#: For how long a claim counts that is not renewed, in seconds.
LEASE = 2.0
# What is asked for since less than this need not be renewed yet, with a beat a second.
_YOUNG = 0.5


class _Held(NamedTuple):
    """A claim. since, until: monotonic times."""

    key: bytes
    since: float
    until: float


class Leases:
    """The claims of this worker, each made for LEASE and renewed until its time is over.

    They are made for all of their time where nobody renews them, as in a process without a pulse.
    Raises what the store raises; what is not renewed for that runs out.
    """

    def __init__(
        self, store: ResponseStore, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        # By owner. Each step is whole by itself: no lock is needed.
        self._held: dict[bytes, _Held] = {}
        self._renewed = -math.inf

    def claim(self, key: bytes, owner: bytes, seconds: float) -> bool:
        """See ResponseStore.claim."""
        now = self._monotonic()
        if seconds <= LEASE or now - self._renewed >= LEASE:
            return self._store.claim(key, owner, seconds)
        taken = self._store.claim(key, owner, LEASE)
        if taken:
            self._held[owner] = _Held(key, now, now + seconds)
        return taken

    def release(self, key: bytes, owner: bytes, outcome: Outcome) -> None:
        """See ResponseStore.release."""
        self._held.pop(owner, None)
        self._store.release(key, owner, outcome)

    def renew(self) -> None:
        """To be called every second: what is still being asked for is claimed anew."""
        now = self._renewed = self._monotonic()
        for owner, held in list(self._held.items()):
            if now - held.since < _YOUNG:
                continue
            left = min(LEASE, held.until - now)
            if left <= 0 or not self._store.claim(held.key, owner, left):
                self._held.pop(owner, None)
            elif owner not in self._held:  # released meanwhile, maybe just before
                self._store.release(held.key, owner, "again")

    def forget(self) -> None:
        """In a process that was forked: what is claimed is its parent's."""
        self._held.clear()
