"""The gateway's windows as a storage of the `limits` library, which Flask-Limiter works on.

Whatever asks Flask-Limiter's own strategy, `limiter.limiter`, meets the same store as the gateway's
requests.
"""

from __future__ import annotations

import time

from limits.limits import GRANULARITIES
from limits.storage import MovingWindowSupport, Storage

from gateway.rate_limiting.windows import Hit, Windows

# Redis counts in floating point.
_UNLIMITED = 2**52


class WindowStorage(Storage, MovingWindowSupport):
    """`limits` operations over Windows. A plain counter is a window without a limit."""

    STORAGE_SCHEME = ["gatehouse"]

    def __init__(self, windows: Windows) -> None:
        super().__init__()
        self.windows = windows

    @property
    def base_exceptions(self) -> type[Exception]:
        """Errors of the store may be of any kind."""
        return Exception

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` if the window has room."""
        return self.windows.acquire([Hit(key, limit, expiry, amount)])[0]

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the window began (seconds since the epoch), and the hits in it."""
        window = self.windows.peek(Hit(key, limit, expiry))
        return time.time() + window.reset - expiry, limit - window.remaining

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count without a limit; returns the hits of the last `expiry` seconds."""
        _, [window] = self.windows.acquire([Hit(key, _UNLIMITED, expiry, amount)])
        return _UNLIMITED - window.remaining

    def get(self, key: str) -> int:
        """A counter's value needs its expiry; without one there is none to give."""
        return 0

    def get_expiry(self, key: str) -> float:
        """A moving window has no end; now."""
        return time.time()

    def check(self) -> bool:
        """Whether the store answers."""
        return self.windows.check()

    def reset(self) -> int | None:
        """Not offered: it would lift every client's limits at once."""
        raise NotImplementedError("limits are not reset all at once")

    def clear(self, key: str) -> None:
        """Forget one key's hits, for the window its name ends with (`limits` puts it there)."""
        parts = key.rsplit("/", 3)
        if len(parts) == 4 and parts[2].isdigit() and parts[3] in GRANULARITIES:
            seconds = GRANULARITIES[parts[3]].GRANULARITY.seconds
            self.windows.clear(Hit(key, 1, int(parts[2]) * seconds))
