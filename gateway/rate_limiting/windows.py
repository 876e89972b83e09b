"""Moving windows: at any moment, at most so many hits in the seconds just past.

Unlike windows that start anew on the minute, none lets twice its limit through around a boundary.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

#: Hits further in the future than this many seconds mean that the clock was set back: the window
#: begins anew. Nearer ones are kept.
CLOCK_STEP = 60.0


#: What decides when the shared store cannot be asked; see Limiter.limit.
OnFailure = Literal["local", "open", "closed"]


@dataclass(frozen=True, slots=True)
class Hit:
    """A request to count `cost` against at most `limit` in any `seconds` of `key`.

    burst: None for a moving window; else a token bucket (GCRA), which spaces requests by
    seconds / limit and lets so many more come at once. paced: those ahead of their time wait
    for it. ends: None, or the end of a calendar period, in seconds since the epoch: hits are
    counted up to `limit` until then, and the key names the period. dry: counted where there is
    room, and refuses nothing. forced: counted also where there is no room.
    """

    key: str
    limit: int
    seconds: int
    cost: int = 1
    burst: int | None = None
    paced: bool = False
    ends: float | None = None
    dry: bool = False
    forced: bool = False
    on_failure: OnFailure = "local"


@dataclass(frozen=True, slots=True)
class Window:
    """A window after a decision.

    remaining: hits still allowed now. reset: seconds until the oldest hit leaves, of a bucket
    until it is full, of a period until it ends. retry: seconds until this hit would be allowed; 0
    if it is. wait: seconds that a paced hit has to wait for its time.
    """

    remaining: int
    reset: float
    retry: float
    wait: float = 0


class Windows(Protocol):
    """A store of moving windows."""

    def acquire(self, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        """Count all hits, or none if one is over its limit; decided in one indivisible step.

        Returns whether they were counted, and a window for each hit.
        """
        ...

    def peek(self, hit: Hit) -> Window:
        """The window of a hit, without counting it."""
        ...

    def clear(self, key: str, seconds: int) -> None:
        """Forget the hits of a key."""
        ...

    def check(self) -> bool:
        """Whether the store answers."""
        ...


def judge(hit: Hit, live: int, oldest: float, decisive: float, now: float) -> Window:
    """The window of a hit that finds `live` hits, before it is counted.

    oldest: when the oldest was counted; decisive: when the one was that must leave first.
    """
    room = hit.limit - live
    reset = max(oldest + hit.seconds - now, 0) if live else float(hit.seconds)
    if room >= hit.cost:
        return Window(room, reset, 0)
    if hit.cost > hit.limit:
        return Window(max(room, 0), reset, float(hit.seconds))
    return Window(max(room, 0), reset, max(decisive + hit.seconds - now, 0.001))


def spent(hit: Hit, window: Window) -> Window:
    """The window after its hit was counted."""
    return Window(window.remaining - hit.cost, window.reset, 0)


class MemoryWindows:
    """Windows in this process alone: for one worker, for tests, and when every store is gone.

    most: keys it remembers; beyond them, those that came first are forgotten.
    """

    def __init__(self, clock: Callable[[], float] = time.time, *, most: int = 100_000) -> None:
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._hits: dict[tuple[str, int], list[float]] = {}
        self._swept = 0.0

    def acquire(self, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        """See Windows.acquire."""
        with self._lock:
            now = self._clock()
            self._sweep(now)
            windows = [self._window(hit, now) for hit in hits]
            if any(window.retry for window in windows):
                return False, windows
            for hit in hits:
                self._count(hit, now)
            return True, [spent(h, w) for h, w in zip(hits, windows, strict=True)]

    def _count(self, hit: Hit, now: float) -> None:
        if not hit.cost:
            return
        times = self._hits.setdefault((hit.key, hit.seconds), [])
        times.extend([max(now, times[-1]) if times else now] * hit.cost)
        if len(self._hits) > self._most:
            del self._hits[next(iter(self._hits))]

    def _window(self, hit: Hit, now: float) -> Window:
        times = self._hits.get((hit.key, hit.seconds), [])
        if times and times[-1] > now + CLOCK_STEP:
            times.clear()
        del times[: bisect_right(times, now - hit.seconds)]
        if not times:
            return judge(hit, 0, now, now, now)
        over = min(max(len(times) + hit.cost - hit.limit, 1), len(times))
        return judge(hit, len(times), times[0], times[over - 1], now)

    def _sweep(self, now: float) -> None:
        if abs(now - self._swept) < 60:
            return
        self._swept = now
        for name, times in list(self._hits.items()):
            if not times or times[-1] <= now - name[1]:
                del self._hits[name]

    def peek(self, hit: Hit) -> Window:
        """See Windows.peek."""
        with self._lock:
            return self._window(hit, self._clock())

    def clear(self, key: str, seconds: int) -> None:
        """See Windows.clear."""
        with self._lock:
            self._hits.pop((key, seconds), None)

    def check(self) -> bool:
        """Always there."""
        return True
