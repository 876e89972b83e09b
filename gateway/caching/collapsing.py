"""One request upstream for many who ask for the same at the same time, on all workers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Protocol

from gateway.caching.store import Outcome
from gateway.errors import ClientGone

#: Seconds between two looks at the store: at first, and at most. Each is half as long again as the
#: one before.
LEAST_PAUSE, MOST_PAUSE = 0.005, 0.05
# How often those who wait look at their clients, in seconds.
_SLICE = 0.25
# For how long somebody is the only one who asks, where nobody waits for him.
_UNAWAITED = 5.0


class Claims(Protocol):
    """The part of a store that says who asks; none of it raises."""

    def claim(self, key: bytes, owner: bytes, seconds: float) -> bool: ...
    def release(self, key: bytes, owner: bytes, outcome: Outcome) -> None: ...
    def outcome(self, key: bytes, waited: float) -> Outcome | None: ...


class Flight:
    """A request upstream, or the wait for another worker's, as the rest of this worker sees it.
    began, until: the monotonic times when it began, and from which nobody waits for it."""

    __slots__ = ("_ended", "began", "key", "leading", "outcome", "owner", "until")

    def __init__(self, key: bytes, began: float, until: float) -> None:
        self.key = key
        self.began = began
        self.until = until
        self.owner = os.urandom(8)
        self.leading = False
        self.outcome: Outcome | None = None
        self._ended = threading.Event()

    def end(self, outcome: Outcome) -> None:
        """Let those who wait go on."""
        self.outcome = outcome
        self._ended.set()

    def wait(self, seconds: float) -> Outcome | None:
        """How it ended; None if it did not in this time."""
        # Looked at before: gevent's Event forgets who begins to wait between `set` and its effect,
        # if the time of all others is over just then. He would wait for good.
        return self.outcome if self._ended.is_set() or self._ended.wait(seconds) else None


class Collapsing:
    """Who asks upstream for a key, and who waits for him: for `seconds` at most, each of the two.

    Of each worker, one looks at the store while the request is another worker's; the others of that
    worker wait for him. What is remembered is as much as this worker has requests under way.
    """

    def __init__(
        self,
        claims: Claims,
        seconds: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._claims = claims
        self._seconds = seconds or _UNAWAITED
        self._monotonic = monotonic
        self._sleep = sleep
        self._flights: dict[bytes, Flight] = {}
        self._changing = threading.Lock()

    def begin(self, key: bytes) -> Flight | None:
        """Be the one who asks; None where somebody else is, on any worker."""
        flight, own = self._flight(key)
        if not own or self._lead(flight):
            return flight if own else None
        self.end(flight, "again")
        return None

    def turn(
        self,
        key: bytes,
        end: float,
        abandoned: Callable[[], bool],
        stand_aside: Callable[[], object] = lambda: None,
    ) -> Flight | Outcome:
        """Be the one who asks, or wait until that is over, or until the monotonic time `end`.
        stand_aside: called before it waits.

        Whoever gets a Flight calls `end` with it, whatever happens, and looks first whether what he
        asks for came in the meantime. Raises ClientGone if the client leaves while it waits.
        """
        flight, own = self._flight(key)
        if not own:
            stand_aside()
            return self._follow(flight, end, abandoned)
        if self._lead(flight):
            return flight
        try:
            stand_aside()
            return self._watch(flight, end, abandoned)
        finally:
            self.end(flight, "again")

    def end(self, flight: Flight, outcome: Outcome) -> None:
        """The request is over, or nobody is to wait for it any more. May be called again."""
        with self._changing:
            if flight.outcome is not None:
                return
            if self._flights.get(flight.key) is flight:
                del self._flights[flight.key]
            flight.outcome = outcome
        if flight.leading:  # before the others go on: one of them may want to claim it
            self._claims.release(flight.key, flight.owner, outcome)
        flight.end(outcome)

    def _flight(self, key: bytes) -> tuple[Flight, bool]:
        """The one under way, or a new one, which is the caller's own."""
        now = self._monotonic()
        with self._changing:
            flight = self._flights.get(key)
            if flight is not None and now < flight.until:
                return flight, False
            flight = self._flights[key] = Flight(key, now, now + self._seconds)
            return flight, True

    def _lead(self, flight: Flight) -> bool:
        flight.leading = self._claims.claim(flight.key, flight.owner, self._seconds)
        return flight.leading

    def _follow(self, flight: Flight, end: float, abandoned: Callable[[], bool]) -> Outcome:
        while True:
            now = self._monotonic()
            left = min(end, flight.until) - now
            if left <= 0:
                return "alone" if now >= end else "again"
            outcome = flight.wait(min(left, _SLICE))
            if outcome is not None:
                return outcome
            if abandoned():
                raise ClientGone

    def _watch(self, flight: Flight, end: float, abandoned: Callable[[], bool]) -> Outcome:
        pause = LEAST_PAUSE
        while True:
            now = self._monotonic()
            left = min(end, flight.until) - now
            if left <= 0:
                return "alone" if now >= end else "again"
            self._sleep(min(left, pause))
            pause = min(pause * 1.5, MOST_PAUSE)
            outcome = self._claims.outcome(flight.key, self._monotonic() - flight.began)
            if outcome is not None:
                self.end(flight, outcome)  # not only this one's time is over
                return outcome
            if abandoned():
                raise ClientGone
