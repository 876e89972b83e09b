"""Windows that go on when their store does not: the local store steps in, and says so.

Each hit says what it wants then: to be decided locally, to pass, or to have the request refused.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from gateway.rate_limiting.windows import (
    Hit,
    StoreUnavailable,
    Window,
    Windows,
    untouched,
)
from gateway.state.outage import Outage

log = logging.getLogger("gateway.rate_limiting")


class FallbackWindows:
    """Asks `primary`; while it fails, `local` decides with the same limits.

    So for hits whose on_failure is "local". With one that is "closed" the request is refused:
    acquire raises StoreUnavailable. "open" ones pass uncounted, as do "closed" ones that refuse
    nothing. `primary` is the store that counts; that `local` may have a store of its own to fall
    back to makes no difference to them.

    `counted` is called for every decision that the primary did not make. The primary is tried again
    each `pause` seconds, by one request. Which store answers is remembered by this worker alone.
    """

    def __init__(
        self,
        primary: Windows,
        local: Windows,
        counted: Callable[[], object],
        *,
        name: str = "shared",
        pause: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._primary = primary
        self._local = local
        self._counted = counted
        self._pause = pause
        self._wall = wall
        self._outage = Outage(
            log, f"rate limit store {name}", "local limits apply", pause=pause, timer=clock
        )

    @property
    def degraded(self) -> bool:
        """Whether the local store is deciding at the moment."""
        return self._outage.down

    def acquire(self, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        """See Windows.acquire. Raises StoreUnavailable, and what the local store raises."""
        down = self._outage.down
        if down and not self._outage.may_try():
            return self._without(hits)
        try:
            answer = self._primary.acquire(hits)
        except Exception as error:  # noqa: BLE001  whatever its driver raises, requests go on
            self._outage.failed(error)
            return self._without(hits)
        if down:
            self._outage.over()
        return answer

    def _without(self, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        """Decide without the primary."""
        self._counted()
        if all(hit.on_failure == "local" for hit in hits):
            return self._local.acquire(hits)
        if any(hit.on_failure == "closed" and not (hit.dry or hit.forced) for hit in hits):
            raise StoreUnavailable(self._pause)
        kept = [hit for hit in hits if hit.on_failure == "local"]
        allowed, windows = self._local.acquire(kept) if kept else (True, [])
        told, now = iter(windows), self._wall()
        return allowed, [
            next(told) if hit.on_failure == "local" else untouched(hit, now) for hit in hits
        ]

    def peek(self, hit: Hit) -> Window:
        """See Windows.peek. Raises what the store raises that decides at the moment."""
        return (self._local if self.degraded else self._primary).peek(hit)

    def clear(self, hit: Hit) -> None:
        """See Windows.clear; in both stores. Raises what the primary raises."""
        self._local.clear(hit)
        self._primary.clear(hit)

    def check(self) -> bool:
        """Whether the primary answers."""
        return not self.degraded and self._primary.check()
