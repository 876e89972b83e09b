"""The hits of one key in the embedded store, inside a transaction.

Hit times are kept in blocks: a decision reads the blocks of the oldest live hit and of the
newest, whatever the limit's size.

    key + "m"           see _META
    key + "b" + number  up to 64 times
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from typing import Any

from gateway.rate_limiting.windows import CLOCK_STEP, Hit, Window, judge, spent

BLOCK = 64
# Hits ever counted, first that may be live, oldest block; times of the first live and the newest
# hit; when the newest expires.
_META = struct.Struct("<QQQddd")
_NUMBER = struct.Struct(">Q")
_TIME = struct.Struct("<d")


def expiry_of(meta: bytes) -> float:
    """When a key's newest hit expires."""
    expires: float = _META.unpack(meta)[5]
    return expires


class History:
    """The hits of one key. Those from `first` on are live, and in order."""

    def __init__(self, transaction: Any, name: bytes, seconds: int, now: float) -> None:
        self._transaction = transaction
        self._name = name
        self._seconds = seconds
        self.total = self.first = self._tail = 0
        self.oldest = self.newest = self.expires = 0.0
        self.begun = 0
        stored = transaction.get(name + b"m")
        self.known = stored is not None
        if stored is not None:
            self.total, self.first, self._tail, self.oldest, self.newest, _ = _META.unpack(stored)
            self._skip_expired(now)

    def _skip_expired(self, now: float) -> None:
        cutoff = now - self._seconds
        if self.newest <= cutoff or self.newest > now + CLOCK_STEP:
            self.first = self.total
        elif self.oldest <= cutoff:
            self.first = self._search(cutoff)
            self.oldest = self._at(self.first)

    def _search(self, cutoff: float) -> int:
        """The first hit after `cutoff`; the newest is."""
        low, high = self.first // BLOCK, (self.total - 1) // BLOCK
        while low < high:  # the first block whose newest hit is live
            middle = (low + high) // 2
            if self._at(middle * BLOCK + BLOCK - 1) > cutoff:
                high = middle
            else:
                low = middle + 1
        times = array("d", self._block(low))
        return low * BLOCK + bisect_right(times, cutoff, lo=max(self.first - low * BLOCK, 0))

    def _block(self, number: int) -> bytes:
        return self._transaction.get(self._name + b"b" + _NUMBER.pack(number)) or b""

    def _at(self, index: int) -> float:
        number, offset = divmod(index, BLOCK)
        time: float = _TIME.unpack_from(self._block(number), offset * _TIME.size)[0]
        return time

    def window(self, hit: Hit, now: float) -> Window:
        """The window that a hit finds."""
        live = self.total - self.first
        decisive = self.oldest
        over = live + hit.cost - hit.limit
        if over > 1 and live:
            decisive = self._at(self.first + min(over, live) - 1)
        return judge(hit, live, self.oldest, decisive, now)

    def count(self, hit: Hit, found: Window, now: float) -> Window:
        """Count a hit that found this window; returns the window after it. Settles `expires`, and
        how many blocks were `begun`."""
        self._append(now, hit.cost if hit.cost <= hit.limit else hit.limit, hit.limit)
        return spent(hit, found)

    def _append(self, now: float, count: int, limit: int) -> None:
        if self.first == self.total:
            self.oldest = now
        else:
            now = max(now, self.newest)  # the clock may have been set back a little
        self.newest = now
        stamp = _TIME.pack(now)
        number, offset = divmod(self.total, BLOCK)
        block = self._block(number) if offset else b""
        left, written, begun = count, 0, int(not offset)
        while left:
            fits = min(left, BLOCK - offset)
            key = self._name + b"b" + _NUMBER.pack(number + written)
            self._transaction.put(key, block + stamp * fits)
            left, written, offset, block = left - fits, written + 1, 0, b""
        self.total += count
        if self.total - self.first > limit:
            # Only by force there are more, and those before the newest `limit` decide nothing.
            self.first = self.total - limit
            self.oldest = self._at(self.first)
        self._drop_old(written + 4)
        self.begun = begun + written - 1
        self.expires = expires = now + self._seconds
        meta = _META.pack(self.total, self.first, self._tail, self.oldest, now, expires)
        self._transaction.put(self._name + b"m", meta)

    def _drop_old(self, most: int) -> None:
        """Delete blocks without a live hit: more than are written, but not very many at once."""
        end = min(self.first // BLOCK, self._tail + most)
        while self._tail < end:
            self._transaction.delete(self._name + b"b" + _NUMBER.pack(self._tail))
            self._tail += 1

    def delete(self) -> None:
        """Forget the key."""
        for number in range(self._tail, self.total // BLOCK + 1):
            self._transaction.delete(self._name + b"b" + _NUMBER.pack(number))
        self._transaction.delete(self._name + b"m")
