"""The level of one bucket or period in the embedded store, inside a transaction: key + "l"."""

from __future__ import annotations

import struct
from typing import Any

from gateway.rate_limiting.levels import Level
from gateway.rate_limiting.windows import Hit, Window

# The level, when it was right, when it is nothing.
_LEVEL = struct.Struct("<ddd")


def level_expiry(stored: bytes) -> float:
    """When a level is nothing."""
    expires: float = _LEVEL.unpack(stored)[2]
    return expires


class StoredLevel:
    """A Level that is written when something is counted."""

    __slots__ = ("_key", "_level", "_transaction", "begun", "known")

    def __init__(self, transaction: Any, name: bytes) -> None:
        self._transaction = transaction
        self._key = name + b"l"
        stored = transaction.get(self._key)
        self.known = stored is not None
        self.begun = int(not self.known)
        self._level = Level() if stored is None else Level(*_LEVEL.unpack(stored))

    @property
    def expires(self) -> float:
        """When it will be nothing."""
        return self._level.expires

    def window(self, hit: Hit, now: float) -> Window:
        """The window that a hit finds."""
        return self._level.window(hit, now)

    def count(self, hit: Hit, found: Window, now: float) -> Window:
        """Count a hit that found this window; returns the window after it."""
        level = self._level
        window = level.count(hit, found, now)
        self._transaction.put(self._key, _LEVEL.pack(level.level, level.at, level.expires))
        return window

    def delete(self) -> None:
        """Forget it."""
        self._transaction.delete(self._key)
