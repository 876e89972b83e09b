"""Every store of windows with a clock that a test moves, so that one test fits all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import redis

from gateway.rate_limiting.windows import CLOCK_STEP, Hit, Windows

# Redis goes by its own clock: instead of moving that on, all that was counted is made older.
_SHIFT = """
for _, key in ipairs(redis.call('KEYS', '{gatehouse}:window:*')) do
  local left = redis.call('PTTL', key)
  if redis.call('TYPE', key).ok == 'zset' then
    local hits = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for n = 1, #hits, 2 do
      redis.call('ZADD', key, tonumber(hits[n + 1]) - tonumber(ARGV[1]), hits[n])
    end
  else
    local level, at, words = string.match(redis.call('GET', key), '^(%S+) (%S+) (.*)$')
    at = string.format('%.17g', tonumber(at) - tonumber(ARGV[1]))
    redis.call('SET', key, level .. ' ' .. at .. ' ' .. words)
  end
  redis.call('PEXPIRE', key, left - tonumber(ARGV[1]) * 1000)
end
"""


@dataclass(slots=True)
class Clock:
    """A clock that stands still until it is moved."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Store:
    """Windows under test. `slack`: seconds that its times may be off, since its clock goes on.

    `time` is what its clock has come to; `told` turns such a time into one that a hit may name.
    """

    windows: Windows
    move: Callable[[float], object]
    time: Callable[[], float]
    told: Callable[[float], float]
    slack: float = 0.0


def store_of(windows: Windows, clock: Clock) -> Store:
    """A store that goes by a clock of ours."""

    def move(seconds: float) -> None:
        clock.now += seconds

    return Store(windows, move, clock, lambda moment: moment)


def redis_store(windows: Windows, url: str) -> Store:
    """A store in a Redis, which goes by its own clock."""
    client = redis.Redis.from_url(url)
    moved = 0.0

    def move(seconds: float) -> None:
        nonlocal moved
        moved += seconds
        client.eval(_SHIFT, 0, str(seconds))

    return Store(
        windows, move, lambda: time.time() + moved, lambda moment: moment - moved, slack=5.0
    )


@dataclass(slots=True)
class Model:
    """What windows are to do, said in the plainest way: a list of times for each."""

    now: float = 0.0
    hits: dict[tuple[str, int], list[float]] = field(default_factory=dict)

    def live(self, hit: Hit) -> list[float]:
        """The times that still count."""
        times = self.hits.get((hit.key, hit.seconds), [])
        if times and times[-1] > self.now + CLOCK_STEP:
            return []
        return [one for one in times if one > self.now - hit.seconds]

    def room(self, hit: Hit) -> int:
        """How much may be counted now."""
        return max(hit.limit - len(self.live(hit)), 0)

    def acquire(self, hits: Sequence[Hit]) -> bool:
        """Count all or none."""
        if any(hit.cost > hit.limit - len(self.live(hit)) for hit in hits):
            return False
        for hit in hits:
            times = self.live(hit)
            times += [max([self.now, *times[-1:]])] * hit.cost
            self.hits[hit.key, hit.seconds] = times
        return True

    def retry(self, hit: Hit) -> float:
        """Seconds until there is room for the hit."""
        times = self.live(hit)
        over = len(times) + hit.cost - hit.limit
        if over <= 0:
            return 0.0
        if hit.cost > hit.limit:
            return float(hit.seconds)
        return times[over - 1] + hit.seconds - self.now

    def reset(self, hit: Hit) -> float:
        """Seconds until the oldest hit leaves."""
        times = self.live(hit)
        return times[0] + hit.seconds - self.now if times else float(hit.seconds)


@dataclass(slots=True)
class BucketModel:
    """What buckets are to do, as GCRA has it: a theoretical arrival time each, in fractions."""

    now: Fraction = Fraction(0)
    arrivals: dict[str, Fraction] = field(default_factory=dict)

    def ahead(self, hit: Hit) -> Fraction:
        """How far ahead of its time the next one would be, in seconds."""
        return max(self.arrivals.get(hit.key, self.now) - self.now, Fraction(0))

    def tolerated(self, hit: Hit) -> Fraction:
        """How far ahead of its time a hit of this cost may be."""
        assert hit.burst is not None
        return (hit.burst + 1 - hit.cost) * self.interval(hit)

    def interval(self, hit: Hit) -> Fraction:
        """Seconds between two."""
        return Fraction(hit.seconds, hit.limit)

    def acquire(self, hits: Sequence[Hit]) -> bool:
        """Count all or none."""
        if any(hit.cost and self.ahead(hit) > self.tolerated(hit) for hit in hits):
            return False
        for hit in hits:
            ahead = self.ahead(hit)
            self.arrivals[hit.key] = self.now + ahead + hit.cost * self.interval(hit)
        return True
