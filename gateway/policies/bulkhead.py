"""A bound on how much of a worker one service may occupy."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from gateway.errors import ClientGone, NotSent
from gateway.exchange import Handler, UpstreamRequest, UpstreamResponse
from gateway.policy import PolicyContext
from gateway.response_bodies import watch
from gateway.slots import Slots

# Waiting is cut into pieces of so many seconds, after each of which the client is looked at.
_SLICE = 0.5


@dataclass(frozen=True, slots=True)
class Bulkhead:
    """At most `limit` requests of a service in flight in each worker.

    limit: None is 60 % of what the worker forwards at once, at least 1. Each worker counts its own:
        a backend sees up to `limit` times the number of workers.
    wait: seconds to wait for a place, never beyond the request's deadline; 0: none.

    A request keeps its place until its response body is over, and while `Retry` pauses: it keeps a
    thread as long. Who waits keeps one, too, so at most half as many wait as may be in flight, and
    they never take the last place of the worker from other services. Further requests, and those
    that waited in vain, are 503 `bulkhead_full` with `Retry-After: 1`; sending again is safe.
    """

    limit: int | None = None
    wait: float = 0.25

    # Below what repeats, pauses between attempts would not count, though a thread is kept.
    per: ClassVar[str] = "request"
    once: ClassVar[bool] = True

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options."""
        found = []
        if self.limit is not None and self.limit < 1:
            found.append(f"limit={self.limit!r} must be 1 or more, or None")
        if not 0 <= self.wait < float("inf"):
            found.append(f"wait={self.wait!r} must be seconds, 0 or more")
        return found

    def wrap(self, following: Handler, context: PolicyContext) -> Handler:
        """See gateway.policy."""
        all_places = context.settings.worker_concurrency
        limit = max(1, all_places * 6 // 10) if self.limit is None else self.limit
        waiting = max(0, min(limit // 2, all_places - limit - 1)) if self.wait else 0
        return Compartment(following, limit, waiting, self.wait)


class Compartment:
    """The places of one service, and those to wait for one in; this worker's own."""

    def __init__(self, following: Handler, limit: int, waiting: int, seconds: float) -> None:
        self._following = following
        self._seconds = seconds
        self.places = Slots(limit)
        self.waiting = Slots(waiting)

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        """Forward in a place, once there is one."""
        if not self.places.take(0):
            self._wait(request)
        try:
            response = self._following(request)
        except BaseException:
            self.places.release()
            raise
        return watch(request, response, self._leave)

    def _leave(self, _error: BaseException | None) -> None:
        self.places.release()

    def _wait(self, request: UpstreamRequest) -> None:
        """Take a place as soon as there is one."""
        if not self.waiting.take(0):
            raise _full()
        try:
            self._take(request)
        finally:
            self.waiting.release()

    def _take(self, request: UpstreamRequest) -> None:
        end = min(time.monotonic() + self._seconds, request.deadline)
        while (now := time.monotonic()) < end:
            if self.places.take(min(now + _SLICE, end)):
                return
            if request.abandoned():
                raise ClientGone
        raise _full()


def _full() -> NotSent:
    return NotSent("bulkhead_full", "The service is busy.", retry_after=1)
