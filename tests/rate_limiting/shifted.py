"""Every store of windows with a clock that a test moves, so that one test fits all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import redis

from gateway.rate_limiting.windows import CLOCK_STEP, Hit, Windows

# Redis goes by its own clock: instead of moving that on, every hit is made older.
_SHIFT = """
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  local hits = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  for n = 1, #hits, 2 do
    redis.call('ZADD', key, tonumber(hits[n + 1]) - tonumber(ARGV[1]), hits[n])
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
    """Windows under test. `slack`: seconds that its times may be off, since its clock goes on."""

    windows: Windows
    move: Callable[[float], object]
    slack: float = 0.0


def shifter(url: str) -> Callable[[float], None]:
    """Moves the clock of a Redis, as far as it can tell."""
    client = redis.Redis.from_url(url)

    def move(seconds: float) -> None:
        client.eval(_SHIFT, 0, str(seconds))

    return move


def mover(clock: Clock) -> Callable[[float], None]:
    """Moves a clock of ours."""

    def move(seconds: float) -> None:
        clock.now += seconds

    return move


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
        return [time for time in times if time > self.now - hit.seconds]

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
