"""What a worker remembers of credentials that were verified."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import cachetools

from gateway.authentication.identity import Identity

#: Seconds for which a verified token is remembered at most.
LONGEST = 300.0


class VerifiedTokens:
    """Verified tokens of this worker: `size` of them at most, the least used leaves first.

    Each is kept for five minutes at most and never past its `exp`; one whose `exp` is past is not
    kept. size: 0 keeps none. clock: seconds since the epoch. `forget` drops them all, also those
    that are being verified meanwhile: whoever verifies takes `turn` before, and hands it to `keep`.
    """

    def __init__(self, size: int, clock: Callable[[], float] = time.time) -> None:
        self.turn = 0
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._known: cachetools.TLRUCache[str, Identity] = cachetools.TLRUCache(
            max(size, 1), ttu=_until, timer=clock
        )

    def get(self, token: str) -> Identity | None:
        """Who a remembered token proves."""
        with self._lock:
            return self._known.get(token)

    def keep(self, token: str, identity: Identity, turn: int) -> None:
        """Remember a token that was verified. turn: as it was before that."""
        # A token inside the leeway after its exp is verified anew each time.
        if self._size == 0 or identity.claims["exp"] <= self._clock():
            return
        with self._lock:
            if turn == self.turn:
                self._known[token] = identity

    def forget(self) -> None:
        """Forget all, since what they were verified with does not hold any more."""
        with self._lock:
            self.turn += 1
            self._known.clear()


def _until(token: str, identity: Identity, now: float) -> float:
    """When to forget a token: cachetools asks once, as it is stored."""
    expires: float = identity.claims["exp"]
    return min(expires, now + LONGEST)
