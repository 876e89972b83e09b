"""A limit on requests in flight that finds itself, from how long a backend takes to answer."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from gateway.errors import NotSent, UpstreamError
from gateway.exchange import Handler, UpstreamRequest, UpstreamResponse
from gateway.policy import PolicyContext

#: A window of measuring has at least so many answers, and lasts at least so many seconds.
WINDOW = 20
WINDOW_SECONDS = 0.25
#: Seconds for which the time that answers take without a queue is believed, and how many answers
#: tell it anew.
BASELINE_SECONDS = 30.0
MEASURED = 30
#: The largest limit found by itself.
MOST = 200
# An answer that takes longer than so many times the usual counts as if it took that: it moves the
# limit as far as anything does, and a few that are always slow must not decide.
_OUTLIER = 4.0
# A larger request body may take the client long to send, which says nothing of the backend.
_SMALL_BODY = 64 * 1024


@dataclass(frozen=True, slots=True)
class AdaptiveConcurrency:
    """Requests to a service in flight in each worker, at most as many as it answers without delay.

    initial, minimum, maximum: the limit at the start, and between what it moves. maximum None: 200;
        none of them goes beyond what the worker forwards at once.
    tolerance: how many times as long as usual answers may take before the limit falls.
    smoothing: how much of a change takes place at once, above 0 and up to 1.

    In flight is a request until its response head is there, and the time until then is what counts:
    a body takes as long as its client takes to read it, which says nothing of the backend. Not
    measured, for the same reason, are requests with bodies over 64 KiB; nor answers of 400 and
    above, which come quickly without merit. Timeouts, and a backend's own 503 or 504, lower the
    limit. Requests over it are 503 `overloaded` with `Retry-After: 1`; sending again is safe.

    An attempt counts by itself: behind `Retry`. Each worker has a limit of its own.
    """

    initial: int = 20
    minimum: int = 4
    maximum: int | None = None
    tolerance: float = 1.5
    smoothing: float = 0.2
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    per: ClassVar[str] = "attempt"  # pauses between attempts are not the backend's time
    once: ClassVar[bool] = True

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options."""
        found = []
        if self.minimum < 1 or self.initial < 1:
            found.append(f"minimum={self.minimum!r}, initial={self.initial!r} must be 1 or more")
        if self.maximum is not None and self.maximum < self.minimum:
            found.append(f"maximum={self.maximum!r} is below minimum={self.minimum!r}")
        if not 1 <= self.tolerance < math.inf:
            found.append(f"tolerance={self.tolerance!r} must be 1 or more")
        if not 0 < self.smoothing <= 1:
            found.append(f"smoothing={self.smoothing!r} must be above 0 and up to 1")
        return found

    def wrap(self, following: Handler, context: PolicyContext) -> Handler:
        """See gateway.policy."""
        gradient = Gradient(self, context.settings.worker_concurrency)
        return Shedding(following, gradient, self.clock)


class Shedding:
    """Forwards what is within the limit, and has it learn from how that went."""

    def __init__(self, following: Handler, gradient: Gradient, clock: Callable[[], float]) -> None:
        self._following = following
        self._clock = clock
        self.gradient = gradient

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        """Forward, or raise NotSent."""
        ticket = self.gradient.begin()
        started = self._clock()
        seconds: float | None = None
        late = False
        try:
            response = self._following(request)
            late = response.status in (503, 504)  # the backend says itself that it is too much
            if response.status < 400 and _small(request):
                seconds = self._clock() - started
        except UpstreamError as error:
            late = error.status == 504 and error.party == "upstream"
            raise
        finally:
            self.gradient.end(ticket, seconds, late)
        return response


def _small(request: UpstreamRequest) -> bool:
    length = 0 if request.body is None else request.body.length
    return length is not None and length <= _SMALL_BODY


class Gradient:
    """The limit of one service; this worker's own.

    As in Netflix' Gradient2, a window of measuring moves it towards `limit * gradient +
    sqrt(limit)`: the gradient is the usual time to an answer over the present one, `tolerance` left
    aside, and the root is the queue that is allowed. Only a used window does: fewer in flight than
    half of the limit say nothing about it.

    Usual is not the average of all times, which would follow a backend that stays overloaded, but
    of those without a queue: of windows that did not use the limit. Where none comes for 30 s and
    the limit is reached, it is measured anew with the limit halved, so that queues drain. Envoy
    does so with a limit of 3.
    """

    def __init__(self, options: AdaptiveConcurrency, concurrency: int) -> None:
        most = MOST if options.maximum is None else options.maximum
        self._most = min(max(most, options.minimum), concurrency)
        self._least = min(options.minimum, self._most)
        self._tolerance = options.tolerance
        self._smoothing = options.smoothing
        self._clock = options.clock
        self._changing = threading.Lock()
        self.limit = float(max(self._least, min(options.initial, self._most)))
        self.in_flight = 0
        self._begun = 0  # tickets given out
        self._usual = math.inf
        self._usual_at = -math.inf
        self._draining = False  # the limit is halved, and more are in flight
        self._measuring = False  # the limit is halved, and those with new tickets meet no queue
        self._first = 0  # ticket of the first that is measured then
        self._begin_window(self._clock())

    def _begin_window(self, now: float) -> None:
        self._since = now
        self._seconds = 0.0
        self._answers = 0
        self._late = 0
        self._ended = 0
        self._peak = self.in_flight

    def begin(self) -> int:
        """Take a place, for which there is a ticket. Raises NotSent if there is none."""
        with self._changing:
            if self.in_flight >= self._allowed():
                raise NotSent("overloaded", "The service is overloaded.", retry_after=1)
            self.in_flight += 1
            self._peak = max(self._peak, self.in_flight)
            self._begun += 1
            return self._begun

    def _allowed(self) -> int:
        if self._draining or self._measuring:
            return max(self._least, int(self.limit / 2))
        return int(self.limit)

    def end(self, ticket: int, seconds: float | None, late: bool) -> None:
        """Give the place back. seconds: how long the answer took, None if that tells nothing.
        late: it did not come in time."""
        with self._changing:
            self.in_flight -= 1
            now = self._clock()
            if self._draining:
                if self.in_flight < self._allowed():
                    self._draining, self._measuring = False, True
                    self._first = self._begun + 1
                    self._begin_window(now)
                return
            # The first to begin are measured, all of them: the first to end are the quick ones.
            if not self._measuring or 0 <= ticket - self._first < MEASURED:
                self._note(seconds, late, now)

    def _note(self, seconds: float | None, late: bool, now: float) -> None:
        self._ended += 1
        if late:
            self._late += 1
        elif seconds is not None:
            self._answers += 1
            self._seconds += min(seconds, _OUTLIER * self._usual)
        if self._measuring:
            over = self._ended >= MEASURED
        else:
            told = self._answers + self._late
            over = told >= WINDOW and now - self._since >= WINDOW_SECONDS
        if over:
            self._end_window(now)

    def _end_window(self, now: float) -> None:
        limit = aim = self.limit
        used = self._peak >= limit / 2
        gradient = 1.0
        if self._answers:
            present = max(self._seconds / self._answers, 1e-9)
            gradient = max(0.5, min(1.0, self._tolerance * self._learnt(present, used, now)))
        if used and not self._measuring:
            aim = limit * gradient + math.sqrt(limit)
        limit += self._smoothing * (aim - limit)
        limit *= 1 - 0.5 * self._late / self._ended  # halved if all were late
        self.limit = max(float(self._least), min(float(self._most), limit))
        self._measuring = False
        self._begin_window(now)

    def _learnt(self, present: float, used: bool, now: float) -> float:
        """The usual time, after what can be learnt about it, over the present one."""
        if self._measuring or self._usual == math.inf:
            self._usual, self._usual_at = present, now
        elif not used:
            self._usual += self._smoothing * (present - self._usual)
            self._usual_at = now
        elif now - self._usual_at > BASELINE_SECONDS and self._peak >= int(self.limit):
            self._draining = True
        elif self._usual > 2 * present:  # a slow time is over
            self._usual *= 0.95
        return self._usual / present
