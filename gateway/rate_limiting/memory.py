"""Windows in this process alone."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence

from gateway.rate_limiting.levels import Level
from gateway.rate_limiting.windows import (
    CLOCK_STEP,
    Hit,
    Window,
    counts,
    is_level,
    judge,
    name_of,
    refused,
    spent,
)

_SWEEP = 60.0


class Times:
    """The times of the hits in one moving window, oldest first."""

    __slots__ = ("_times", "expires", "new")

    def __init__(self) -> None:
        self._times: list[float] = []
        self.expires = 0.0
        self.new = True

    def window(self, hit: Hit, now: float) -> Window:
        """The window that a hit finds. Forgets the hits that have left it."""
        times = self._times
        if times:
            if times[-1] > now + CLOCK_STEP:
                times.clear()
            del times[: bisect_right(times, now - hit.seconds)]
        if not times:
            return judge(hit, 0, now, now, now)
        live = len(times)
        over = live + hit.cost - hit.limit
        decisive = times[0] if over <= 1 else times[min(over, live) - 1]
        return judge(hit, live, times[0], decisive, now)

    def count(self, hit: Hit, window: Window, now: float) -> Window:
        """Count a hit that found this window; returns the window after it."""
        times = self._times
        last = max(now, times[-1]) if times else now
        times.extend([last] * (hit.cost if hit.cost <= hit.limit else hit.limit))
        if len(times) > hit.limit:
            # Only by force there are more, and those before the newest `limit` decide nothing.
            del times[: -hit.limit]
        self.expires = last + hit.seconds
        return spent(hit, window)


class MemoryWindows:
    """Windows in this process alone: for one worker, for tests, and when every store is gone.

    most: windows it remembers; beyond them, those that came first are forgotten.
    """

    def __init__(self, clock: Callable[[], float] = time.time, *, most: int = 100_000) -> None:
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._kept: dict[str, Times | Level] = {}
        self._swept = 0.0

    def acquire(self, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        """See Windows.acquire."""
        with self._lock:
            now = self._clock()
            self._sweep(now)
            found = [self._find(hit) for hit in hits]
            windows = [kept.window(hit, now) for kept, hit in zip(found, hits, strict=True)]
            if refused(hits, windows):
                return False, windows
            for index, hit in enumerate(hits):
                window = windows[index]
                if counts(hit, window):
                    windows[index] = found[index].count(hit, window, now)
                    if found[index].new:
                        self._keep(hit, found[index])
            return True, windows

    def _find(self, hit: Hit) -> Times | Level:
        found = self._kept.get(name_of(hit))
        if found is not None:
            return found
        return Level() if is_level(hit) else Times()

    def _keep(self, hit: Hit, found: Times | Level) -> None:
        self._kept[name_of(hit)] = found
        found.new = False
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]

    def _sweep(self, now: float) -> None:
        if abs(now - self._swept) < _SWEEP:
            return
        self._swept = now
        for name, kept in list(self._kept.items()):
            if kept.expires + CLOCK_STEP <= now:  # the clock may be set back so far
                del self._kept[name]

    def peek(self, hit: Hit) -> Window:
        """See Windows.peek."""
        with self._lock:
            return self._find(hit).window(hit, self._clock())

    def clear(self, hit: Hit) -> None:
        """See Windows.clear."""
        with self._lock:
            self._kept.pop(name_of(hit), None)

    def check(self) -> bool:
        """Always there."""
        return True
