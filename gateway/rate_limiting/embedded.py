"""Moving windows in the embedded store: exact across all workers of a machine.

A window is a sequence of hit times, kept in blocks: a decision reads the block of the oldest
live hit and writes the block of the newest, whatever the limit's size.

    windows   key + "m"           total hits ever, first that may be live, oldest block, expiry
              key + "b" + number  up to 64 times
    expiry    minute + key        when to look whether the key can be forgotten
"""

from __future__ import annotations

import hashlib
import random
import struct
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from gateway.rate_limiting.windows import Hit, Window, judge, spent
from gateway.state import EmbeddedStore

BLOCK = 64
_META = struct.Struct("<QQQd")
_NUMBER = struct.Struct(">Q")
_MINUTE = struct.Struct(">I")
_SWEEP_ODDS = 1 / 64
_SWEEP_MOST = 32
_CLOCK_STEP = 60.0


def digest(key: str, seconds: int) -> bytes:
    """A key of fixed length: LMDB's are bounded, names of users are not."""
    return hashlib.blake2b(f"{seconds}|{key}".encode(), digest_size=16).digest()


class _Sequence:
    """The hits of one key inside a transaction."""

    def __init__(self, transaction: Any, name: bytes, now: float, seconds: int) -> None:
        self._transaction = transaction
        self._name = name
        stored = transaction.get(name + b"m")
        if stored is None:
            self.total = self.first = self._tail = 0
        else:
            self.total, self.first, self._tail, _ = _META.unpack(stored)
        self.known = stored is not None
        self._skip_expired(now, now - seconds)

    def block(self, number: int) -> array[float]:
        times = array("d")
        stored = self._transaction.get(self._name + b"b" + _NUMBER.pack(number))
        if stored is not None:
            times.frombytes(stored)
        return times

    def at(self, index: int) -> float:
        """When hit number `index` was counted."""
        return self.block(index // BLOCK)[index % BLOCK]

    def _skip_expired(self, now: float, cutoff: float) -> None:
        if self.first >= self.total:
            return
        low, high = self.first // BLOCK, (self.total - 1) // BLOCK
        while low < high:  # the first block whose newest hit is live
            middle = (low + high) // 2
            if self.block(middle)[-1] > cutoff:
                high = middle
            else:
                low = middle + 1
        times = self.block(low)
        if times[-1] > now + _CLOCK_STEP:
            self.first = self.total  # the clock was set back: these hits lie in the future
            return
        self.first = max(self.first, low * BLOCK + bisect_right(times, cutoff))

    def append(self, now: float, count: int, expires: float) -> None:
        number, offset = divmod(self.total, BLOCK)
        times = self.block(number) if offset else array("d")
        if times and times[-1] <= now + _CLOCK_STEP:
            now = max(now, times[-1])  # times never go back, or the search would miss some
        for _ in range(count):
            if len(times) == BLOCK:
                self._put(number, times)
                number, times = number + 1, array("d")
            times.append(now)
        self._put(number, times)
        self.total += count
        self._drop_old()
        meta = _META.pack(self.total, self.first, self._tail, expires)
        self._transaction.put(self._name + b"m", meta)

    def _put(self, number: int, times: array[float]) -> None:
        self._transaction.put(self._name + b"b" + _NUMBER.pack(number), times.tobytes())

    def _drop_old(self) -> None:
        """Delete blocks that hold no live hit; a few at a time keeps every decision short."""
        for _ in range(4):
            if (self._tail + 1) * BLOCK > self.first:
                return
            self._transaction.delete(self._name + b"b" + _NUMBER.pack(self._tail))
            self._tail += 1

    def delete(self) -> None:
        for number in range(self._tail, self.total // BLOCK + 1):
            self._transaction.delete(self._name + b"b" + _NUMBER.pack(number))
        self._transaction.delete(self._name + b"m")


class EmbeddedWindows:
    """Windows in an EmbeddedStore. Raises StoreError when it cannot be used."""

    def __init__(self, store: EmbeddedStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def acquire(self, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        """See Windows.acquire."""
        names = [digest(hit.key, hit.seconds) for hit in hits]
        table = self._store.table(b"windows")
        with self._store.environment().begin(write=True, db=table) as transaction:
            now = self._clock()
            found = [
                _Sequence(transaction, name, now, hit.seconds)
                for name, hit in zip(names, hits, strict=True)
            ]
            windows = [_window(s, h, now) for s, h in zip(found, hits, strict=True)]
            if any(window.retry for window in windows):
                return False, windows
            for sequence, hit, name in zip(found, hits, names, strict=True):
                sequence.append(now, hit.cost, now + hit.seconds)
                if not sequence.known:
                    self._watch(transaction, name, now + hit.seconds)
            if random.random() < _SWEEP_ODDS:  # noqa: S311  no secret
                self._sweep(transaction, now)
        return True, [spent(h, w) for h, w in zip(hits, windows, strict=True)]

    def peek(self, hit: Hit) -> Window:
        """See Windows.peek."""
        table = self._store.table(b"windows")
        with self._store.environment().begin(db=table) as transaction:
            now = self._clock()
            name = digest(hit.key, hit.seconds)
            return _window(_Sequence(transaction, name, now, hit.seconds), hit, now)

    def clear(self, key: str, seconds: int) -> None:
        """See Windows.clear."""
        table = self._store.table(b"windows")
        with self._store.environment().begin(write=True, db=table) as transaction:
            _Sequence(transaction, digest(key, seconds), self._clock(), seconds).delete()

    def check(self) -> bool:
        """Whether the store can be opened."""
        return bool(self._store.environment())

    def _watch(self, transaction: Any, name: bytes, expires: float) -> None:
        minute = _MINUTE.pack(int(expires // 60) + 1)
        transaction.put(minute + name, b"", db=self._store.table(b"expiry"))

    def _sweep(self, transaction: Any, now: float) -> None:
        """Forget keys whose last hit has expired; look again later at those that were used."""
        expiry = self._store.table(b"expiry")
        due = _MINUTE.pack(int(now // 60))
        for _ in range(_SWEEP_MOST):
            with transaction.cursor(db=expiry) as cursor:
                if not cursor.first() or cursor.key()[:4] >= due:
                    return
                name = bytes(cursor.key()[4:])
                cursor.delete()
            stored = transaction.get(name + b"m")
            if stored is None:
                continue
            expires = _META.unpack(stored)[3]
            if expires > now:
                self._watch(transaction, name, expires)
            else:
                _Sequence(transaction, name, now, 0).delete()


def _window(sequence: _Sequence, hit: Hit, now: float) -> Window:
    live = sequence.total - sequence.first
    if not live:
        return judge(hit, 0, now, now, now)
    over = live + hit.cost - hit.limit
    oldest = sequence.at(sequence.first)
    decisive = oldest if over <= 1 else sequence.at(sequence.first + min(over, live) - 1)
    return judge(hit, live, oldest, decisive, now)
