"""Who asks upstream for what, as the workers of a machine tell each other."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import islice
from typing import Any

from gateway.caching.store import OUTCOME_SECONDS, OUTCOMES, Outcome
from gateway.state import EmbeddedStore

# Whose it is, until when, and for how long it was made.
_CLAIM = struct.Struct(">8sdd")
# When it was released; how it ended follows. It is kept beside the claim, which may be another's
# by then, under a longer key.
_RELEASED = struct.Struct(">d")
_ENDED = b"\0"
# So many are looked at whenever one is made: what nobody released goes, with time.
_SWEPT = 4


class Claims:
    """The table `claims`, by key: who asks, and for a moment how it ended. Raises StoreError or
    OSError.

    clock: one that all workers share. A claim that is made for longer than it can be, because the
    clock was set back, holds no more; an outcome from times to come says nothing.
    """

    def __init__(self, store: EmbeddedStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def take(self, key: bytes, owner: bytes, seconds: float) -> bool:
        """See ResponseStore.claim."""
        with self._store.read(b"claims") as transaction:
            if self._holder(transaction.get(key)) not in (None, owner):
                return False
        with self._store.write(b"claims") as transaction:
            if self._holder(transaction.get(key)) not in (None, owner):
                return False
            self._sweep(transaction, key)
            transaction.put(key, _CLAIM.pack(owner, self._clock() + seconds, seconds))
            return True

    def _holder(self, stored: bytes | None) -> bytes | None:
        if stored is None or len(stored) != _CLAIM.size:
            return None
        owner, until, seconds = _CLAIM.unpack(stored)
        now = self._clock()
        return owner if now < until <= now + seconds else None

    def _sweep(self, transaction: Any, key: bytes) -> None:
        # Keys are digests: those that follow another one are any.
        with transaction.cursor() as cursor:
            if not (cursor.set_range(key) or cursor.first()):
                return
            near = list(islice(cursor, _SWEPT))
        for other, stored in near:
            if self._holder(stored) is None and self._ended(stored, OUTCOME_SECONDS) is None:
                transaction.delete(other)

    def release(self, key: bytes, owner: bytes, outcome: Outcome) -> None:
        """See ResponseStore.release."""
        with self._store.write(b"claims") as transaction:
            if self._holder(transaction.get(key)) != owner:
                return
            transaction.delete(key)
            if outcome != "again":
                told = _RELEASED.pack(self._clock()) + outcome.encode()
                transaction.put(key + _ENDED, told)

    def outcome(self, key: bytes, waited: float) -> Outcome | None:
        """See ResponseStore.outcome."""
        with self._store.read(b"claims") as transaction:
            ended = self._ended(transaction.get(key + _ENDED), waited)
            if ended is not None:
                return ended
            return "again" if self._holder(transaction.get(key)) is None else None

    def _ended(self, stored: bytes | None, waited: float) -> Outcome | None:
        if stored is None or stored[_RELEASED.size :] not in OUTCOMES:
            return None
        (at,) = _RELEASED.unpack_from(stored)
        if 0 <= self._clock() - at < min(waited, OUTCOME_SECONDS):
            return OUTCOMES[stored[_RELEASED.size :]]
        return None
