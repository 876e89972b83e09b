"""How full a token bucket or a period is: one number, and when it was right.

A bucket is GCRA told by its level. It drains at limit / seconds and holds burst + 1, so of a full
one `burst` can come at once with the one whose time has come. A level and its moment, rather than
the theoretical arrival time alone, stay exact at any rate, and tell a clock that was set back from
what was counted by force. A period is a bucket that does not drain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gateway.rate_limiting.windows import CLOCK_STEP, Hit, Window, capacity_of, waits

# Part of a hit that rounding may take away.
_ROUNDING = 1e-6


@dataclass(slots=True)
class Level:
    """The level of a bucket or a period as it was `at` a moment; it is nothing from `expires` on.

    Times are seconds since the epoch.
    """

    level: float = 0.0
    at: float = 0.0
    expires: float = 0.0
    new: bool = True

    def window(self, hit: Hit, now: float) -> Window:
        """The window that a hit finds. Brings the level to `now`."""
        self._drain(hit, now)
        return judge_level(hit, self.level, now)

    def count(self, hit: Hit, _found: Window, now: float) -> Window:
        """Count a hit, for which the level was brought to `now`; returns the window after it."""
        before = self.level
        self.level += hit.cost
        if hit.ends is not None:
            self.expires = max(hit.ends, now) + CLOCK_STEP
        else:
            self.expires = self.at + self.level * hit.seconds / hit.limit
        return _after(hit, before, self.level, now)

    def _drain(self, hit: Hit, now: float) -> None:
        if now >= self.expires:
            self.level, self.at = 0.0, now
        elif hit.ends is None:
            if self.at > now + CLOCK_STEP:
                self.level, self.at = 0.0, now
            elif now > self.at:  # otherwise the clock may have been set back a little
                drained = (now - self.at) * hit.limit / hit.seconds
                self.level, self.at = max(self.level - drained, 0.0), now


def judge_level(hit: Hit, level: float, now: float) -> Window:
    """The window of a hit that finds this level, before it is counted."""
    room = capacity_of(hit) - level
    remaining = _whole(room)
    reset = _reset(hit, level, now)
    if room + _ROUNDING >= hit.cost or not hit.cost:
        return Window(remaining, reset, 0)
    if hit.ends is not None:
        return Window(remaining, reset, max(reset, 0.001))
    if hit.cost > capacity_of(hit):
        return Window(remaining, reset, float(hit.seconds))
    return Window(remaining, reset, max((hit.cost - room) * hit.seconds / hit.limit, 0.001))


def _after(hit: Hit, before: float, level: float, now: float) -> Window:
    wait = before * hit.seconds / hit.limit if waits(hit) else 0.0
    return Window(_whole(capacity_of(hit) - level), _reset(hit, level, now), 0, wait)


def _whole(room: float) -> int:
    return max(math.floor(room + _ROUNDING), 0)


def _reset(hit: Hit, level: float, now: float) -> float:
    if hit.ends is not None:
        return max(hit.ends - now, 0.0)
    return level * hit.seconds / hit.limit
