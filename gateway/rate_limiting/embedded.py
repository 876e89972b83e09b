"""Windows in the embedded store: exact across all workers of a machine.

The table `windows` has a History for each moving window, a StoredLevel for each bucket and period.
The table `expiry` has, as milliseconds and key, when to look whether the key can be forgotten;
periods stand behind all others.
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
from gateway.rate_limiting.stored_level import StoredLevel, level_expiry
from gateway.rate_limiting.windows import Hit, Window, counts, is_level, name_of, refused
from gateway.state import EmbeddedStore

log = logging.getLogger("gateway.rate_limiting")

_MOMENT = struct.Struct(">Q")
# Added to the moments of periods: a crowd of clients must not lift anybody's quota.
_PERIODS = 1 << 63
# Keys in use are looked at this many seconds after their hits would have expired.
_LATER = 60.0
_SWEEP_ODDS = 1 / 64
_SWEEP_MOST = 32
_COMPLAIN = 60.0


def digest(hit: Hit) -> bytes:
    """A key of fixed length: LMDB's are bounded, names of users are not."""
    return hashlib.blake2b(name_of(hit).encode("utf-8", "surrogatepass"), digest_size=16).digest()


class EmbeddedWindows:
    """Windows in an EmbeddedStore. Raises StoreError or OSError when it cannot be used.

    When the store gets crowded, keys are forgotten early, those next that would expire next;
    periods only when there is nothing else.
    """

    def __init__(self, store: EmbeddedStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._complained = -_COMPLAIN

    def acquire(self, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        """See Windows.acquire."""
        names = [digest(hit) for hit in hits]
        with self._store.write(b"windows") as transaction:
            now = self._clock()
            found = [
                _find(transaction, name, hit, now) for name, hit in zip(names, hits, strict=True)
            ]
            windows = [f.window(hit, now) for f, hit in zip(found, hits, strict=True)]
            if refused(hits, windows):
                return False, windows
            grown = 0
            for index, hit in enumerate(hits):
                window = windows[index]
                if counts(hit, window):
                    kept = found[index]
                    windows[index] = kept.count(hit, window, now)
                    grown += kept.begun
                    if not kept.known:
                        rank = 0 if hit.ends is None else _PERIODS
                        self._watch(transaction, names[index], kept.expires, rank)
            lost = self._make_room(transaction, now, grown)
        if lost:
            self._complain()
        return True, windows

    def _make_room(self, transaction: Any, now: float, grown: int) -> int:
        # More can go than comes, or a crowd of new clients would fill the store.
        most = _SWEEP_MOST if random.random() < _SWEEP_ODDS else 2 * grown  # noqa: S311  no secret
        return self._sweep(transaction, now, most) if most else 0

    def peek(self, hit: Hit) -> Window:
        """See Windows.peek."""
        with self._store.read(b"windows") as transaction:
            now = self._clock()
            return _find(transaction, digest(hit), hit, now).window(hit, now)

    def clear(self, hit: Hit) -> None:
        """See Windows.clear."""
        with self._store.write(b"windows") as transaction:
            _find(transaction, digest(hit), hit, self._clock()).delete()

    def check(self) -> bool:
        """Whether the store can be opened."""
        with self._store.read(b"windows"):
            return True

    def _watch(self, transaction: Any, name: bytes, expires: float, rank: int) -> None:
        moment = _MOMENT.pack(rank + int((expires + _LATER) * 1000))
        transaction.put(moment + name, b"", db=self._store.table(b"expiry"))

    def _sweep(self, transaction: Any, now: float, most: int) -> int:
        """Forget keys whose last hit has expired; look again later at those that were used.
        Returns how many were forgotten earlier, for want of room."""
        crowded = self._store.crowded(transaction)
        due = _PERIODS if crowded else int(now * 1000)
        lost = 0
        for _ in range(most):
            found = self._next(transaction, due)
            if found is None:
                break
            rank, name = found
            expires = _expiry(transaction, name)
            if expires is None:
                continue
            if expires > now and not crowded:
                self._watch(transaction, name, expires, rank)
                continue
            lost += expires > now
            History(transaction, name, 0, now).delete()
            StoredLevel(transaction, name).delete()
        return lost

    def _next(self, transaction: Any, due: int) -> tuple[int, bytes] | None:
        """Take the first key off the expiry table that is due before this moment: its rank and
        itself. Periods come after all others."""
        with transaction.cursor(db=self._store.table(b"expiry")) as cursor:
            for rank in (0, _PERIODS):
                if cursor.set_range(_MOMENT.pack(rank)):
                    key = bytes(cursor.key())
                    if _MOMENT.unpack_from(key)[0] < rank + due:
                        cursor.delete()
                        return rank, key[_MOMENT.size :]
        return None

    def _complain(self) -> None:
        now = time.monotonic()
        if now >= self._complained + _COMPLAIN:
            self._complained = now
            log.warning("rate limit store lmdb is crowded: hits are forgotten before they expire")


def _find(transaction: Any, name: bytes, hit: Hit, now: float) -> History | StoredLevel:
    if is_level(hit):
        return StoredLevel(transaction, name)
    return History(transaction, name, hit.seconds, now)


def _expiry(transaction: Any, name: bytes) -> float | None:
    """When all that was counted under a name has expired; None if there is nothing."""
    times = transaction.get(name + b"m")
    if times is not None:
        return expiry_of(times)
    level = transaction.get(name + b"l")
    return None if level is None else level_expiry(level)
