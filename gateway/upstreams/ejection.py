"""Passive health: an instance that keeps failing real requests is left out for a while."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.state import Value


@dataclass(frozen=True, slots=True)
class Ejection:
    """When and for how long an instance is left out.

    failures: in a row, seen by one worker: no connection, no answer, a broken answer, or a 502, 503
    or 504. seconds: how long the first time; the second time twice as long and so on, up to
    longest. most: the share of instances that may be out at a time; the last one never is. An
    instance that stayed in for as long as it was out last time begins anew.
    """

    failures: int = 5
    seconds: float = 30.0
    longest: float = 300.0
    most: float = 0.5

    def __post_init__(self) -> None:
        if self.failures < 1 or self.seconds <= 0 or self.longest < self.seconds:
            raise ValueError("Ejection needs failures >= 1 and 0 < seconds <= longest")
        if not 0 <= self.most <= 1:
            raise ValueError("Ejection: most is a share, from 0 to 1")

    def permitted(self, ejected: int, instances: int) -> bool:
        """Whether one more may be left out, when `ejected` of `instances` are."""
        out = ejected + 1
        return out < instances and out <= instances * self.most

    def verdict(self, old: Value | None, now: float) -> Value:
        """The next verdict after `old`."""
        times = 1
        if old is not None:
            if now < old["until"]:
                return old  # another worker was quicker
            last = min(self.seconds * old["times"], self.longest)
            if now < old["until"] + last:
                times = old["times"] + 1
        return {"until": now + min(self.seconds * times, self.longest), "times": times}
