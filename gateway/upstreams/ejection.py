"""Passive health: an instance that keeps failing real requests is left out for a while."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.state import Value


@dataclass(frozen=True, slots=True)
class Ejection:
    """When and for how long an instance is left out.

    failures: in a row, seen by one worker: no connection, no answer, a broken answer, or a 502, 503
    or 504. seconds: how long the first time; the second time twice as long and so on, up to
    longest. most: the share of instances that may be out at a time.

    None is left out unless another does well: the last one never is, and when all fail, leaving
    one out helps nobody. Who comes back is out again at its first failure, until it has answered
    every worker well once. An instance that stayed in for as long as it was out last time begins
    anew.
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

    def until(self, verdict: Value | None, now: float) -> float:
        """Until when an instance is left out, 0 if it is not. A time that is too far off is of
        before the clock was set back."""
        until: float = 0.0 if verdict is None else verdict["until"]
        return until if now < until <= now + self.longest else 0.0

    def verdict(self, old: Value | None, now: float) -> Value:
        """The next verdict after `old`."""
        times = 1
        if old is not None and self.until(old, now):
            return old  # another worker was quicker
        if old is not None and old["until"] <= now < old["expires"]:
            times = old["times"] + 1
        seconds = min(self.seconds * times, self.longest)
        return {"until": now + seconds, "times": times, "expires": now + 2 * seconds}


def probed(old: Value | None, good: bool, needed: int, now: float) -> Value | None:
    """A verdict after an active probe: `needed` good ones in a row lift it. One that followed soon
    upon another stands: what is wrong there, the probes do not see."""
    if old is None or now >= old["until"] or old["times"] > 1:
        return old
    passed = old.get("passed", 0) + 1 if good else 0
    return {**old, "passed": passed, "until": now if passed >= needed else old["until"]}
