"""Active health: an instance is asked at intervals how it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gateway.state import Value

_PATH = re.compile(r"/[!\"$-~]*")  # visible ASCII without `#`
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_OURS = frozenset({"host", "connection", "content-length", "transfer-encoding"})
#: A verdict that nobody renewed for so many intervals, and for so many seconds, counts no longer.
#: The seconds are those in which another worker takes over from a prober that died, and some.
STALE, AT_LEAST = 3, 5.0


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How to ask an instance, and what to make of its answers.

    path: asked with GET at the instance's origin; a path in the service's address is not put
    before it. interval: seconds between two probes of an instance, give or take the share jitter.
    timeout: seconds to connect and get the response head; at most the interval. healthy,
    unhealthy: answers in a row that change the verdict. statuses: those that are good. host: sent
    as `Host`, None for the instance's own. headers: sent besides; they may name another
    `User-Agent` than `gatehouse-health`.

    An instance counts as healthy until its probes have said otherwise. One worker alone probes,
    each time over a connection of its own: a probe also tests that connections are accepted, and
    takes no place that a request might need.
    """

    path: str = "/health"
    interval: float = 10.0
    timeout: float = 1.0
    healthy: int = 2
    unhealthy: int = 3
    statuses: Collection[int] = range(200, 300)
    jitter: float = 0.1
    host: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def faults(self) -> list[str]:
        """What is wrong with the options."""
        told = {
            "path must begin with / and have no spaces": _PATH.fullmatch(self.path),
            "interval must be above 0": self.interval > 0,
            "timeout must be above 0 and at most the interval": 0 < self.timeout <= self.interval,
            "healthy and unhealthy must be at least 1": min(self.healthy, self.unhealthy) >= 1,
            "statuses must be some of 200 to 599": self.statuses
            and all(200 <= status <= 599 for status in self.statuses),
            "jitter must be a share from 0 to below 1": 0 <= self.jitter < 1,
            "host must be a name": self.host is None or _VALUE.fullmatch(self.host),
            "headers must be names with plain values, none of them about the connection": all(
                _TOKEN.fullmatch(name) and _VALUE.fullmatch(value) and name.lower() not in _OURS
                for name, value in self.headers.items()
            ),
        }
        return [f"HealthCheck: {fault}" for fault, well in told.items() if not well]

    def verdict(self, old: Value | None, failed: str, now: float) -> Value:
        """The next verdict after `old`. failed: why the probe was no good, empty if it was."""
        healthy, since, streak = True, now, 0
        if old is not None and now < old["expires"]:
            healthy, since, streak = old["healthy"], old["since"], old["streak"]
        streak = 0 if healthy == (not failed) else streak + 1
        if streak >= (self.unhealthy if healthy else self.healthy):
            healthy, since, streak = not healthy, now, 0
        return {
            "healthy": healthy,
            "since": since,
            "checked": now,
            "reason": failed,
            "streak": streak,
            "expires": now + max(STALE * self.interval, AT_LEAST),
        }
