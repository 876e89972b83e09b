"""Moving windows in the embedded store: exact across all workers of a machine.

The table `windows` has a History for each key. The table `expiry` has, as milliseconds and key,
when to look whether the key can be forgotten.
"""

from __future__ import annotations

import hashlib
import logging
import random
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

from gateway.rate_limiting.history import History, expiry_of
from gateway.rate_limiting.windows import Hit, Window, spent
from gateway.state import EmbeddedStore

log = logging.getLogger("gateway.rate_limiting")

_MOMENT = struct.Struct(">Q")
# Keys in use are looked at this many seconds after their hits would have expired.
_LATER = 60.0
_SWEEP_ODDS = 1 / 64
_SWEEP_MOST = 32
_COMPLAIN = 60.0


def digest(key: str, seconds: int) -> bytes:
    """A key of fixed length: LMDB's are bounded, names of users are not."""
    return hashlib.blake2b(f"{seconds}|{key}".encode(), digest_size=16).digest()


class EmbeddedWindows:
    """Windows in an EmbeddedStore. Raises StoreError or OSError when it cannot be used.

    When the store gets crowded, keys are forgotten early, those next that would expire next.
    """

    def __init__(self, store: EmbeddedStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._complained = -_COMPLAIN

    def acquire(self, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        """See Windows.acquire."""
        names = [digest(hit.key, hit.seconds) for hit in hits]
        with self._store.write(b"windows") as transaction:
            now = self._clock()
            found = [
                History(transaction, name, hit.seconds, now)
                for name, hit in zip(names, hits, strict=True)
            ]
            windows = [h.window(hit, now) for h, hit in zip(found, hits, strict=True)]
            if any(window.retry for window in windows):
                return False, windows
            lost = self._count(transaction, names, found, hits, now)
        if lost:
            self._complain()
        return True, [spent(h, w) for h, w in zip(hits, windows, strict=True)]

    def _count(
        self,
        transaction: Any,
        names: Sequence[bytes],
        found: Sequence[History],
        hits: Sequence[Hit],
        now: float,
    ) -> int:
        grown = 0
        for name, history, hit in zip(names, found, hits, strict=True):
            if hit.cost:
                expires, blocks = history.append(now, hit.cost)
                grown += blocks
                if not history.known:
                    self._watch(transaction, name, expires)
        # More can go than comes, or a crowd of new clients would fill the store.
        most = _SWEEP_MOST if random.random() < _SWEEP_ODDS else 2 * grown  # noqa: S311  no secret
        return self._sweep(transaction, now, most) if most else 0

    def peek(self, hit: Hit) -> Window:
        """See Windows.peek."""
        with self._store.read(b"windows") as transaction:
            now = self._clock()
            name = digest(hit.key, hit.seconds)
            return History(transaction, name, hit.seconds, now).window(hit, now)

    def clear(self, key: str, seconds: int) -> None:
        """See Windows.clear."""
        with self._store.write(b"windows") as transaction:
            name = digest(key, seconds)
            History(transaction, name, seconds, self._clock()).delete()

    def check(self) -> bool:
        """Whether the store can be opened."""
        with self._store.read(b"windows"):
            return True

    def _watch(self, transaction: Any, name: bytes, expires: float) -> None:
        moment = _MOMENT.pack(int((expires + _LATER) * 1000))
        transaction.put(moment + name, b"", db=self._store.table(b"expiry"))

    def _sweep(self, transaction: Any, now: float, most: int) -> int:
        """Forget keys whose last hit has expired; look again later at those that were used.
        Returns how many were forgotten earlier, for want of room."""
        crowded = self._store.crowded(transaction)
        due = _MOMENT.pack(int(now * 1000))
        lost = 0
        for _ in range(most):
            name = self._next(transaction, b"" if crowded else due)
            if name is None:
                break
            stored = transaction.get(name + b"m")
            if stored is None:
                continue
            expires = expiry_of(stored)
            if expires > now and not crowded:
                self._watch(transaction, name, expires)
                continue
            lost += expires > now
            History(transaction, name, 0, now).delete()
        return lost

    def _next(self, transaction: Any, due: bytes) -> bytes | None:
        """Take the first key off the expiry table; only one from before `due`, if that is said."""
        with transaction.cursor(db=self._store.table(b"expiry")) as cursor:
            if not cursor.first() or (due and cursor.key()[:8] >= due):
                return None
            name = bytes(cursor.key()[8:])
            cursor.delete()
            return name

    def _complain(self) -> None:
        now = time.monotonic()
        if now >= self._complained + _COMPLAIN:
            self._complained = now
            log.warning("rate limit store lmdb is crowded: hits are forgotten before they expire")
