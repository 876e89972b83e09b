"""What is stale but may still be used is asked for anew, beside the request that uses it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from gateway.caching.asking import Asking
from gateway.caching.collapsing import Collapsing, Flight
from gateway.caching.freshness import FAILED
from gateway.caching.storing import Shelf
from gateway.caching.visit import Visit
from gateway.detached import closed, detached, read_over
from gateway.errors import ClientGone, Refusal, UpstreamError
from gateway.exchange import UpstreamRequest

# For a request that has no total timeout.
_SECONDS = 25.0
#: Least seconds between two lines in the log.
_QUIET = 60.0

log = logging.getLogger("gateway")


class Refreshing:
    """Sends copies of requests, as their callers' own, and has what comes kept. One at a time for
    each key, on all workers; none while too much is under way beside this worker's requests.

    A failure is logged once a minute at most: what is kept remains as it is.
    """

    def __init__(
        self,
        asking: Asking,
        shelf: Shelf,
        collapsing: Collapsing,
        wall: Callable[[], float],
        start: Callable[[Callable[[], object]], bool],
        most: int,
    ) -> None:
        self._asking = asking
        self._shelf = shelf
        self._collapsing = collapsing
        self._wall = wall
        self._start = start
        self._most = most
        self._told = -_QUIET

    def begin(self, visit: Visit) -> None:
        """Have it asked for, unless somebody does already. Waits for nothing, raises nothing."""
        if visit.wants.no_store or visit.wants.only_if_cached:
            return
        flight = self._collapsing.begin(visit.place.key)
        if flight is None:
            return
        if not self._start(partial(self._refresh, visit.request, flight)):
            self._collapsing.end(flight, "again")

    def _refresh(self, request: UpstreamRequest, flight: Flight) -> None:
        seconds = request.timeouts.total or _SECONDS
        copy = replace(detached(request, seconds), method="GET")
        try:
            self._ask(copy, flight, copy.deadline + seconds)
        except (UpstreamError, Refusal, ClientGone) as error:
            self._failed(copy, str(error))
        finally:
            self._collapsing.end(flight, "again")
            closed(copy)

    def _ask(self, copy: UpstreamRequest, flight: Flight, end: float) -> None:
        place = self._shelf.find(copy, surely=True)
        if place is None or place.entry is None or place.key != flight.key:
            return
        visit = Visit(copy, place)
        visit.look(self._wall())
        if visit.standing == "fresh":  # somebody was quicker
            return
        visit.standing = "stale"  # nobody is there to get it, should asking fail
        response = self._asking.ask(visit, flight)
        if response.status in FAILED:
            self._failed(copy, f"status {response.status}")
        read_over(response, end, self._most)

    def _failed(self, copy: UpstreamRequest, why: str) -> None:
        now = time.monotonic()
        if now >= self._told + _QUIET:
            self._told = now
            log.warning("%s: what is stale could not be renewed (%s)", copy.exchange.service, why)
