"""Workers of one gateway with a circuit breaker each, over one state and a clock that is set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gateway import CircuitBreaker, Handler, NotSent, UpstreamRequest, UpstreamResponse
from gateway.errors import (
    ClientBodyError,
    ClientGone,
    ConnectFailed,
    ConnectTimeout,
    HeadFailed,
    HeadTimeout,
    NoTarget,
    PoolTimeout,
    ProtocolViolation,
    SendFailed,
)
from gateway.state import MemoryState, SharedState, Value
from tests.support.outline import answer, make_context, outline

Outcome = UpstreamResponse | BaseException


def usual(**options: Any) -> CircuitBreaker:
    """A breaker that counts failures in a row only, and waits without a random share."""
    return CircuitBreaker(**{"ratio": None, "draw": lambda: 0.0, **options})


@dataclass
class Body:
    """A body of pieces that ends with an error, or well; nothing of it is here with the head."""

    pieces: list[bytes]
    error: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Worker:
    """One process: the breaker's handler, and what beats there."""

    handler: Handler
    beats: list[Callable[[], None]]

    def beat(self) -> None:
        """One beat of this worker's pulse."""
        for action in self.beats:
            action()


@dataclass
class Setup:
    """The workers, what the upstream answers, and what it was asked."""

    breaker: CircuitBreaker = field(default_factory=usual)
    state: SharedState | None = None
    now: float = 1000.0
    outcome: Callable[[UpstreamRequest], Outcome] = lambda request: answer()
    asked: int = 0

    def __post_init__(self) -> None:
        self.shared: SharedState = self.state or MemoryState(lambda: self.now)
        self.first = self.worker()

    def worker(self, breaker: CircuitBreaker | None = None) -> Worker:
        """A further worker, or one started anew."""
        context = make_context(state=self.shared)
        handler = (breaker or self.breaker).wrap(self._upstream, context)
        return Worker(handler, context.pulse._actions)

    def _upstream(self, request: UpstreamRequest) -> UpstreamResponse:
        self.asked += 1
        outcome = self.outcome(request)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def send(
        self, outcome: Outcome | None = None, worker: Worker | None = None
    ) -> UpstreamResponse | BaseException:
        """One request; what came of it."""
        if outcome is not None:
            self.outcome = lambda request: outcome
        try:
            return (worker or self.first).handler(outline())
        except Exception as error:
            return error

    def fail(self, times: int = 1, worker: Worker | None = None) -> None:
        """Requests that are answered 503."""
        for _ in range(times):
            self.send(answer(503), worker)

    @property
    def is_open(self) -> bool:
        """Whether the shared circuit says so."""
        value = self.value
        return value is not None and bool(value["open"])

    @property
    def value(self) -> Value | None:
        """What is shared."""
        return self.shared.get("circuit/things")


def kept_back(result: object) -> bool:
    """Whether a request was not sent because of the circuit."""
    return isinstance(result, NotSent) and result.reason == "circuit_open"


def opened(**options: float) -> Setup:
    """Workers whose circuit has just opened."""
    made = Setup(usual(**options))
    made.fail(5)
    assert made.is_open
    return made


class Broken(Exception):
    """What a store raises that is not there."""


class NoStore(MemoryState):
    """A store that can be lost, and come back."""

    lost = False

    def get(self, key: str) -> Value | None:
        """See SharedState.get."""
        if self.lost:
            raise Broken
        return super().get(key)

    def change(self, key: str, edit: Any) -> Value | None:
        """See SharedState.change."""
        if self.lost:
            raise Broken
        return super().change(key, edit)

    def refresh(self) -> None:
        """See SharedState.refresh."""
        if self.lost:
            raise Broken


#: What an upstream is blamed for, and what says nothing of it.
FAILURES = [
    *(answer(status) for status in (502, 503, 504)),
    ConnectFailed(),
    ConnectTimeout(),
    SendFailed(),
    HeadFailed(),
    HeadTimeout(),
    ProtocolViolation(),
]
NEITHER = [
    PoolTimeout(),
    NotSent("bulkhead_full"),
    NoTarget(),
    ClientGone(),
    ClientBodyError("cut short"),
    RuntimeError("a bug of ours"),
    answer(503, target=""),
    answer(200, target=""),
]


def named(outcome: object) -> str:
    """An outcome in a test's name, the same in every run."""
    if isinstance(outcome, UpstreamResponse):
        return f"status {outcome.status}"
    return type(outcome).__name__
