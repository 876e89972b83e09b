"""Windows that go on when their store does not: the local store steps in, and says so."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from gateway.rate_limiting.windows import Hit, Window, Windows

# How long nobody else tries a primary that one request is waiting for.
_TRYING = 30.0

log = logging.getLogger("gateway.rate_limiting")


class FallbackWindows:
    """Asks `primary`; while it fails, `local` decides with the same limits.

    `counted` is called for every decision made locally. The primary is tried again each `pause`
    seconds, by one request. Which store answers is remembered by this worker alone.
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
    ) -> None:
        self._primary = primary
        self._local = local
        self._counted = counted
        self._name = name
        self._pause = pause
        self._clock = clock
        self._down_until: float | None = None

    @property
    def degraded(self) -> bool:
        """Whether the local store is deciding at the moment."""
        return self._down_until is not None

    def acquire(self, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        """See Windows.acquire. Raises what the local store raises."""
        down_until = self._down_until
        if down_until is not None:
            now = self._clock()
            if now < down_until:
                return self._locally(hits)
            self._down_until = now + _TRYING  # others stay local while this one tries
        try:
            answer = self._primary.acquire(hits)
        except Exception as error:  # noqa: BLE001  whatever its driver raises, requests go on
            if self._down_until is None:
                log.warning(
                    "rate limit store %s failed (%s): local limits apply",
                    self._name,
                    type(error).__name__,
                )
            self._down_until = self._clock() + self._pause
            return self._locally(hits)
        if down_until is not None:
            self._down_until = None
            log.warning("rate limit store %s is back", self._name)
        return answer

    def _locally(self, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        self._counted()
        return self._local.acquire(hits)

    def peek(self, hit: Hit) -> Window:
        """See Windows.peek. Raises what the store raises that decides at the moment."""
        return (self._local if self.degraded else self._primary).peek(hit)

    def clear(self, key: str, seconds: int) -> None:
        """See Windows.clear; in both stores. Raises what the primary raises."""
        self._local.clear(key, seconds)
        self._primary.clear(key, seconds)

    def check(self) -> bool:
        """Whether the primary answers."""
        return not self.degraded and self._primary.check()
