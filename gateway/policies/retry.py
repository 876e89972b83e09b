"""Trying again, somewhere else if possible, where that cannot do the work twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import ClassVar

from gateway.errors import ClientGone, NoTarget, NotSent, UpstreamError
from gateway.exchange import IDEMPOTENT, UNAVAILABLE, Handler, UpstreamRequest, UpstreamResponse
from gateway.headers import seconds_to_wait
from gateway.policies.retry_budget import RetryBudget
from gateway.policy import PolicyContext
from gateway.replay import replayable

# A client that leaves while we wait to try again is noticed within this many seconds.
_SLICE = 0.5


def _sleep(seconds: float) -> None:
    time.sleep(seconds)  # looked up at each call: gevent replaces it


@dataclass(frozen=True, slots=True)
class Retry:
    """Sends a request again that got no usable answer.

    Any method, if not one byte was sent; those in `methods` also after a broken or silent answer
    and after one of `statuses`. Never what another policy kept back, nor a client's broken body.
    All tries lie within the request's deadline, and another instance is asked if there is one.

    attempts: tries in all, from 2 to 10.
    methods: those that may reach a backend twice; default: the idempotent ones (RFC 9110, 9.2.2).
    idempotency_key: also any method whose request has an `Idempotency-Key`. Only for backends that
        keep to it.
    statuses: those that are worth another try. Their `Retry-After` is waited for if the deadline
        lets us, otherwise the answer is passed on.
    backoff: the most seconds to wait before the second try, doubled for each further one, and the
        most ever; what is waited is random below it.
    try_seconds: the most a single try may take to its response head; None: what is left of the
        deadline. A body over `replay_bytes` or of unknown length has to be here first.
    replay_bytes: how much of a request's body is kept in memory for another try. If more of it was
        sent, there is none. Below 65536, uploads may not survive an instance that is down.
    budget_ratio, budget_minimum: retries for each request of this worker to the service, and how
        many there may be always, at a time and in 10 seconds.
    """

    attempts: int = 2
    methods: Collection[str] = IDEMPOTENT
    idempotency_key: bool = False
    statuses: Collection[int] = UNAVAILABLE
    backoff: tuple[float, float] = (0.025, 0.25)
    try_seconds: float | None = None
    replay_bytes: int = 65536
    budget_ratio: float = 0.2
    budget_minimum: int = 3
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    wall: Callable[[], float] = field(default=time.time, repr=False)
    sleep: Callable[[float], None] = field(default=_sleep, repr=False)
    jitter: Callable[[float, float], float] = field(default=random.uniform, repr=False)

    per: ClassVar[str] = "either"
    repeats: ClassVar[bool] = True
    once: ClassVar[bool] = True

    def wrap(self, following: Handler, context: PolicyContext) -> Handler:
        """The handler that tries more than once; it has the service's budget in this worker."""
        budget = RetryBudget(self.budget_ratio, self.budget_minimum, self.clock)

        def retrying(request: UpstreamRequest) -> UpstreamResponse:
            budget.begin()
            try:
                return _Tries(self, following, budget, request).run()
            finally:
                budget.end()

        return retrying

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options."""
        first, most = self.backoff
        bound = self.try_seconds
        named = isinstance(self.methods, str)
        judged = {
            f"attempts={self.attempts} must be from 2 to 10": 2 <= self.attempts <= 10,
            "methods must be a set of names in capitals": not named
            and all(method and method == method.upper() for method in self.methods),
            "statuses must be from 400 to 599": all(400 <= one <= 599 for one in self.statuses),
            f"backoff={self.backoff} must be the first and the most, from 0": 0 <= first <= most,
            f"try_seconds={bound} must be above 0": bound is None or bound > 0,
            f"replay_bytes={self.replay_bytes} is below 0": self.replay_bytes >= 0,
            f"budget_ratio={self.budget_ratio} must be from 0 to 1": 0 <= self.budget_ratio <= 1,
            f"budget_minimum={self.budget_minimum} is below 0": self.budget_minimum >= 0,
            "a budget of nothing never retries": self.budget_ratio or self.budget_minimum,
        }
        return [fault for fault, well in judged.items() if not well]


class _Tries:
    """One request on its way through its tries."""

    __slots__ = ("_body", "_budget", "_following", "_options", "_repeatable", "_request", "_sent")

    def __init__(
        self, options: Retry, following: Handler, budget: RetryBudget, request: UpstreamRequest
    ) -> None:
        self._options = options
        self._following = following
        self._budget = budget
        body = request.body
        self._body = None if body is None else replayable(body, options.replay_bytes)
        tried = [] if request.tried is None else request.tried
        self._request = replace(request, body=self._body, tried=tried)
        self._repeatable = request.method in options.methods or (
            options.idempotency_key and _has_key(request)
        )
        self._sent = False  # whether an upstream may have worked on it

    def run(self) -> UpstreamResponse:
        """The outcome of the last try that was worth making, which may be an error to raise."""
        outcome = self._try()
        for retry in range(1, self._options.attempts):
            wait = self._wait(outcome, retry)
            if wait is None or not self._rewind() or not self._take():
                break
            try:
                if isinstance(outcome, UpstreamResponse):
                    outcome.body.close()
                self._pause(wait)
                outcome = self._try()
            finally:
                self._budget.give_back()
        if isinstance(outcome, UpstreamResponse):
            return outcome
        try:
            raise outcome
        finally:
            del outcome  # or the error and this frame would hold each other

    def _try(self) -> UpstreamResponse | UpstreamError:
        request = self._request
        seconds = self._options.try_seconds
        if seconds is not None and self._body_is_here():
            deadline = min(request.deadline, self._options.clock() + seconds)
            request = replace(request, deadline=deadline)
        try:
            response = self._following(request)
        except UpstreamError as error:
            self._sent = self._sent or not error.retry_safe
            if self._sent:  # what another layer does with it must count all tries
                error.retry_safe = False
            return error
        self._sent = True
        return response

    def _body_is_here(self) -> bool:
        """A client that is slow to send must not be taken for an upstream that is to answer."""
        body = self._body
        if body is None:
            return True
        if body.length is not None and body.length <= self._options.replay_bytes:
            while not body.arrived:
                body.fetch(self._request.deadline)
        return body.arrived

    def _wait(self, outcome: UpstreamResponse | UpstreamError, retry: int) -> float | None:
        """How long to wait before this retry, in seconds; None: there must not be one."""
        options = self._options
        if isinstance(outcome, UpstreamError):
            kept_back = isinstance(outcome, NotSent | NoTarget)
            if kept_back or not (outcome.retry_safe or self._repeatable):
                return None
            asked = outcome.retry_after or 0.0
        else:
            if outcome.status not in options.statuses or not self._repeatable:
                return None
            asked = _retry_after(outcome, options.wall())
        first, most = options.backoff
        wait = max(options.jitter(0.0, min(most, first * 2 ** (retry - 1))), asked)
        return wait if options.clock() + wait < self._request.deadline else None

    def _take(self) -> bool:
        """Whether the budget has a retry for us, perhaps after others had theirs."""
        return self._budget.take(self._request.deadline)

    def _rewind(self) -> bool:
        """Whether there is a whole body to send again, or none at all."""
        if self._body is None:
            return True
        body = self._body.rewound()
        if body is None:
            return False
        self._request = replace(self._request, body=body)
        return True

    def _pause(self, seconds: float) -> None:
        """Wait; ClientGone if nobody is left to answer."""
        clock = self._options.clock
        end = clock() + seconds
        while True:
            if self._request.abandoned():
                raise ClientGone
            left = end - clock()
            if left <= 0:
                return
            self._options.sleep(min(left, _SLICE))


def _has_key(request: UpstreamRequest) -> bool:
    return any(name.lower() == "idempotency-key" and value for name, value in request.headers)


def _retry_after(response: UpstreamResponse, now: float) -> float:
    """What an answer asks to wait, in seconds; 0 for nothing."""
    asked = next((value for name, value in response.headers if name.lower() == "retry-after"), "")
    return seconds_to_wait(asked, now)
