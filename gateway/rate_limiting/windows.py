"""What limits are made of: a hit, what its window says, and the stores that count.

Moving windows let at most so many through in the seconds just past: unlike windows that start
anew on the minute, none lets twice its limit through around a boundary. Token buckets space
requests, with a burst. Periods count up to a limit until they end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

#: Hits further in the future than this many seconds mean that the clock was set back: the window
#: begins anew. Nearer ones are kept. Periods are kept in any case, and for this much longer.
CLOCK_STEP = 60.0


#: What decides when the shared store cannot be asked; see Limiter.limit.
OnFailure = Literal["local", "open", "closed"]


# Not frozen: one is made for each limit of each request, which would take three times as long.
@dataclass(slots=True)
class Hit:
    """A request to count `cost` against at most `limit` in any `seconds` of `key`.

    cost: 0 counts nothing and is never refused.
    burst: None for a moving window; else a token bucket (GCRA), which spaces requests by
    seconds / limit and lets so many more come at once. paced: those ahead of their time wait
    for it. ends: None, or the end of a calendar period, in seconds since the epoch: hits are
    counted up to `limit` until then, and the key names the period. dry: counted where there is
    room, and refuses nothing. forced: counted also where there is no room, and refuses nothing.
    peek: asks for room and is not counted; refused where there is none for `cost`. on_failure:
    what decides when the shared store cannot be asked; hits that refuse nothing are then counted
    locally or, with "closed" as with "open", not at all.
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
    peek: bool = False
    on_failure: OnFailure = "local"


@dataclass(frozen=True, slots=True)
class Window:
    """A window after a decision.

    remaining: hits still allowed now, at least 0. reset: seconds until the oldest hit leaves, of a
    bucket until it is full, of a period until it ends. retry: seconds until this hit would be
    allowed; 0 if it is, above 0 also for a dry hit that found no room. wait: seconds that a paced
    hit, once counted, has to wait for its time; 0 for dry and forced ones.
    """

    remaining: int
    reset: float
    retry: float
    wait: float = 0


class StoreUnavailable(Exception):
    """The shared store does not answer, and a hit is to be decided by no other. A retry is safe:
    nothing was counted. retry: seconds until the store is tried again."""

    def __init__(self, retry: float) -> None:
        super().__init__("the shared store of limits does not answer")
        self.retry = retry


class Windows(Protocol):
    """A store of moving windows, token buckets and periods.

    What counts together has one `name_of`: windows and buckets by key and seconds, periods by key.
    """

    def acquire(self, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        """Count all hits, or none if one is over its limit; decided in one indivisible step.

        Returns whether they were counted, and a window for each hit. A refused step counts
        nothing, not even forced hits. No two of the hits may count in one window.
        """
        ...

    def peek(self, hit: Hit) -> Window:
        """The window of a hit, without counting it."""
        ...

    def clear(self, hit: Hit) -> None:
        """Forget what was counted in the hit's window."""
        ...

    def check(self) -> bool:
        """Whether the store answers."""
        ...


def name_of(hit: Hit) -> str:
    """What tells a window from all others."""
    if hit.ends is not None:
        return f"p|{hit.key}"
    if hit.burst is not None:
        return f"b{hit.seconds}|{hit.key}"
    return f"{hit.seconds}|{hit.key}"


def is_level(hit: Hit) -> bool:
    """Whether a Level is all that is kept: of buckets and periods, not of moving windows."""
    return hit.burst is not None or hit.ends is not None


def capacity_of(hit: Hit) -> int:
    """How much may be counted at once when nothing was before."""
    return hit.limit if hit.burst is None or hit.ends is not None else hit.burst + 1


def refused(hits: Sequence[Hit], windows: Sequence[Window]) -> bool:
    """Whether one of the hits, which find these windows, keeps all from being counted."""
    for window in windows:
        if window.retry:
            break
    else:
        return False
    return any(
        window.retry and not hit.dry and not hit.forced
        for hit, window in zip(hits, windows, strict=True)
    )


def counts(hit: Hit, window: Window) -> bool:
    """Whether a hit is counted that finds this window, if none refuses."""
    return not hit.peek and hit.cost > 0 and (not window.retry or hit.forced)


def waits(hit: Hit) -> bool:
    """Whether a hit, once counted, waits for its time."""
    return hit.paced and hit.ends is None and not (hit.dry or hit.forced or hit.peek)


def judge(hit: Hit, live: int, oldest: float, decisive: float, now: float) -> Window:
    """The window of a hit that finds `live` hits in a moving window, before it is counted.

    oldest: when the oldest was counted; decisive: when the one was that must leave first.
    """
    room = hit.limit - live
    reset = max(oldest + hit.seconds - now, 0) if live else float(hit.seconds)
    if room >= hit.cost:
        return Window(room, reset, 0)
    room = max(room, 0)
    if not hit.cost:
        return Window(room, reset, 0)
    if hit.cost > hit.limit:
        return Window(room, reset, float(hit.seconds))
    return Window(room, reset, max(decisive + hit.seconds - now, 0.001))


def spent(hit: Hit, window: Window) -> Window:
    """A moving window after its hit was counted."""
    remaining = window.remaining - hit.cost
    return Window(remaining if remaining > 0 else 0, window.reset, 0)


def untouched(hit: Hit, now: float) -> Window:
    """The window of a hit where nothing was counted."""
    if hit.ends is not None:
        return Window(hit.limit, max(hit.ends - now, 0.0), 0)
    return Window(capacity_of(hit), 0.0 if is_level(hit) else float(hit.seconds), 0)
