"""Who asks upstream for what, as the workers of a machine tell each other."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import islice
from typing import Any

from gateway.state import EmbeddedStore

# Whose it is, until when, and for how long it was made.
_CLAIM = struct.Struct(">8sdd")
# So many are looked at whenever one is made: what nobody released goes, with time.
_SWEPT = 4


class Claims:
    """The table `claims`, by key. Raises StoreError or OSError.

    clock: one that all workers share. A claim that is made for longer than it can be, because the
    clock was set back, holds no more.
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
            if self._holder(stored) is None:
                transaction.delete(other)

    def release(self, key: bytes, owner: bytes) -> None:
        """See ResponseStore.release."""
        with self._store.write(b"claims") as transaction:
            if self._holder(transaction.get(key)) == owner:
                transaction.delete(key)

    def is_taken(self, key: bytes) -> bool:
        """See ResponseStore.claimed."""
        with self._store.read(b"claims") as transaction:
            return self._holder(transaction.get(key)) is not None
