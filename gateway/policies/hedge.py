"""Asking a second instance when the first is slow, and taking whichever answers first."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from queue import Empty, SimpleQueue
from typing import ClassVar

from gateway import parallel
from gateway.errors import ClientGone, HeadTimeout
from gateway.exchange import Attempt, Exchange, Handler, UpstreamRequest, UpstreamResponse
from gateway.policy import PolicyContext

_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_PERCENTILE = re.compile(r"p[1-9]\d")
# The client is looked at as often as the transport does it.
_SLICE = 0.5
# Attempts end by themselves at the deadline; only one that cannot be interrupted lasts longer.
_GRACE = 0.25
#: Least adaptive delay in seconds: below it, a hedge would only follow the noise of the machine.
_LEAST = 0.01
_REMEMBERED = 200
_RENEWED = 20
# What an attempt notes on its own record and is not simply taken over.
_JOINED = {"attempts", "bodies", "upstream_seconds"}
_TAKEN = tuple(field.name for field in fields(Exchange) if field.name not in _JOINED)


@dataclass(frozen=True, slots=True)
class Hedge:
    """A second attempt, at another instance, when no response head came in time.

    after: seconds to wait before it, or a percentile such as "p95" of the last 200 times to a head
        that this worker saw, 0.01 at least; no hedge before 20 are known.
    most: further attempts for one request, each `after` the one before.
    budget: share of requests that may be hedged, from above 0 to 1; what is not used is saved up
        for ten hedges. A slow backend gets no more than this on top of its load.
    accept_5xx: let a 5xx answer win. Otherwise it is only taken when nothing else comes: an
        instance that fails quickly must not beat one that is merely slow.

    For GET, HEAD and OPTIONS without a body. The other attempts are cancelled when one wins; their
    connections are closed. If all fail, the first one's failure is told. A failure before the hedge
    is told at once: trying again is `Retry`'s business. Costs two hops between threads for each
    request; while too much is under way beside requests, or the budget is spent, there is no hedge.
    """

    after: float | str = "p95"
    most: int = 1
    budget: float = 0.1
    accept_5xx: bool = False

    per: ClassVar[str] = "either"
    repeats: ClassVar[bool] = True
    once: ClassVar[bool] = True

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options."""
        found = []
        if isinstance(self.after, str):
            if not _PERCENTILE.fullmatch(self.after):
                found.append(f"after={self.after!r} must be seconds, or p10 to p99")
        elif not self.after > 0:
            found.append(f"after={self.after!r} must be above 0")
        if not 1 <= self.most <= 3:
            found.append(f"most={self.most!r} must be from 1 to 3")
        if not 0 < self.budget <= 1:
            found.append(f"budget={self.budget!r} is a share, above 0 and up to 1")
        return found

    def wrap(self, following: Handler, context: PolicyContext) -> Handler:
        """See gateway.policy."""
        delay = Delay(self.after)
        budget = Budget(self.budget)

        def handle(request: UpstreamRequest) -> UpstreamResponse:
            body = request.body
            if request.method not in _METHODS or (body is not None and body.length != 0):
                return following(request)
            affordable = budget.earn()
            if affordable and delay.seconds is not None:
                race = _Race(request, following, self, delay, budget)
                if race.start():
                    return race.result()
            started = time.monotonic()
            response = following(request)
            delay.note(time.monotonic() - started)
            return response

        return handle


class Delay:
    """How long to wait before a hedge: fixed, or learned from what was noted. This worker's own.

    `seconds` is None as long as nothing is known.
    """

    __slots__ = ("_noted", "_share", "_times", "seconds")

    def __init__(self, after: float | str) -> None:
        self.seconds: float | None = None
        self._share = 0.0
        if isinstance(after, str):
            self._share = int(after[1:]) / 100
        else:
            self.seconds = after
        self._times = [0.0] * _REMEMBERED
        self._noted = 0

    def note(self, seconds: float) -> None:
        """A response head came after so many seconds, or had not come by then."""
        if not self._share:
            return
        self._times[self._noted % _REMEMBERED] = seconds
        self._noted += 1
        if self._noted % _RENEWED == 0:
            known = sorted(self._times[: self._noted])
            self.seconds = max(_LEAST, known[int(len(known) * self._share)])


class Budget:
    """Hedges that may still be made: each request earns a share of one. This worker's own.

    Counted in thousandths, ten whole ones at most; the first is there from the start.
    """

    __slots__ = ("_changing", "_saved", "_share")

    def __init__(self, share: float) -> None:
        self._share = max(1, round(share * 1000))
        self._saved = 1000
        self._changing = threading.Lock()

    def earn(self) -> bool:
        """Account for a request; whether a hedge could be paid."""
        with self._changing:
            self._saved = min(self._saved + self._share, 10_000)
            return self._saved >= 1000

    def spend(self) -> bool:
        """Pay for a hedge; False if there is not enough."""
        with self._changing:
            if self._saved < 1000:
                return False
            self._saved -= 1000
            return True


class _Interest:
    """Whether an attempt's answer is wanted. It knows nothing else: response bodies hold it."""

    __slots__ = ("client", "lost")

    def __init__(self) -> None:
        self.lost = False
        # Set for the winner alone: while the attempts run, the calling thread looks at the client,
        # and two must not do it at the same time.
        self.client: Callable[[], bool] | None = None

    def gone(self) -> bool:
        """What the transport asks while it waits."""
        return self.lost or (self.client is not None and self.client())


class _Leg:
    """One attempt, in a thread of its own and with a record of its own."""

    __slots__ = ("ended", "error", "exchange", "interest", "response")
    response: UpstreamResponse  # once it ended without an error

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.interest = _Interest()
        self.error: BaseException | None = None
        self.ended = 0.0

    def run(self, handler: Handler, request: UpstreamRequest) -> None:
        """Send the request and keep what comes of it."""
        try:
            self.response = handler(request)
        except BaseException as error:  # noqa: BLE001  raised where it is waited for
            self.error = error
        self.ended = time.monotonic()

    def result(self) -> UpstreamResponse:
        """The response, or the failure is raised."""
        error, self.error = self.error, None
        try:
            if error is not None:
                raise error
            return self.response
        finally:
            del error  # its traceback holds this frame

    def drop(self) -> None:
        """Nobody wants its answer: close what is open."""
        if self.error is None:
            self.response.body.close()
        self.error = None  # its traceback holds this leg
        for body in self.exchange.bodies:
            body.close()


class _Race:
    """The attempts of one request; the calling thread waits for the first that is usable."""

    def __init__(
        self,
        request: UpstreamRequest,
        following: Handler,
        options: Hedge,
        delay: Delay,
        budget: Budget,
    ) -> None:
        self._request = request
        self._following = following
        self._options = options
        self._delay = delay
        self._budget = budget
        self._after = delay.seconds or _LEAST
        self._started = time.monotonic()
        self._next = self._started + self._after
        self._most = options.most
        self._tried = [] if request.tried is None else request.tried
        self._earlier = len(self._tried)
        self._legs: list[_Leg] = []
        self._heard: list[_Leg] = []
        self._ended: SimpleQueue[_Leg] = SimpleQueue()
        self._over = False

    def start(self, admit: Callable[[str], bool] | None = None) -> bool:
        """Begin an attempt; False if too much is under way."""
        request = self._request
        leg = _Leg(replace(request.exchange, attempts=[], bodies=[], upstream_seconds=0.0))
        own = replace(
            request,
            exchange=leg.exchange,
            tried=self._tried,
            admit=request.admit if admit is None else admit,
            abandoned=leg.interest.gone,
        )
        self._legs.append(leg)
        if parallel.start(lambda: self._run(leg, own)):
            return True
        self._legs.pop()
        return False

    def _run(self, leg: _Leg, request: UpstreamRequest) -> None:
        leg.run(self._following, request)
        self._ended.put(leg)
        if self._over:
            self._drop_late()

    def _drop_late(self) -> None:
        """Close what came after the end; of the two threads that look, one finds it."""
        with suppress(Empty):
            while True:
                self._ended.get_nowait().drop()

    def result(self) -> UpstreamResponse:
        """The first usable response; else what the first attempt came to."""
        decisive: _Leg | None = None
        try:
            decisive = self._decided()
        finally:
            self._over = True
            self._settle(decisive)
            self._drop_late()
        return decisive.result()

    def _decided(self) -> _Leg:
        while len(self._heard) < len(self._legs):
            leg = self._next_word()
            if leg is not None:
                self._heard.append(leg)
                if self._usable(leg):
                    return leg
        return next((leg for leg in self._heard if leg.error is None), self._legs[0])

    def _usable(self, leg: _Leg) -> bool:
        return leg.error is None and (leg.response.status < 500 or self._options.accept_5xx)

    def _next_word(self) -> _Leg | None:
        """The next leg that ended; None after a while in which none did, perhaps with one more."""
        limit = self._request.deadline + _GRACE
        now = time.monotonic()
        end = min(limit, self._next if self._most else limit, now + _SLICE)
        try:
            return self._ended.get(timeout=max(end - now, 0))
        except Empty:
            pass
        if self._request.abandoned():
            raise ClientGone
        now = time.monotonic()
        if now >= limit:
            raise HeadTimeout("no attempt came to an end")
        if self._most and now >= self._next:
            self._hedge(now)
        return None

    def _hedge(self, now: float) -> None:
        self._most -= 1
        self._next = now + self._after
        asked = frozenset(self._tried[self._earlier :])
        admit = self._request.admit

        def elsewhere(name: str) -> bool:
            return name not in asked and (admit is None or admit(name))

        if not (self._budget.spend() and self.start(elsewhere)):
            self._most = 0

    def _settle(self, decisive: _Leg | None) -> None:
        """Note on the request's record how it went; what nobody needs is closed."""
        now = time.monotonic()
        exchange = self._request.exchange
        exchange.upstream_seconds += now - self._started
        for leg in self._legs:
            if leg is not decisive:
                leg.interest.lost = True
                exchange.attempts += [_cut(attempt, now) for attempt in leg.exchange.attempts]
        for leg in self._heard:
            if leg is not decisive:
                leg.drop()
        if decisive is None:
            return
        decisive.interest.client = self._request.abandoned
        exchange.attempts += decisive.exchange.attempts
        exchange.bodies += decisive.exchange.bodies
        for name in _TAKEN:
            setattr(exchange, name, getattr(decisive.exchange, name))
        if decisive.error is None:
            self._delay.note((self._legs[0].ended or now) - self._started)


def _cut(attempt: Attempt, now: float) -> Attempt:
    """An attempt as it stands; one under way is cancelled at this moment."""
    return attempt if attempt.ended else replace(attempt, ended=now, error="cancelled")
