"""Several workers with one circuit against a plain model, in any order of what can happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
from greenlet import getcurrent, greenlet
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway import UpstreamRequest, UpstreamResponse
from gateway.errors import ClientGone, HeadTimeout, PoolTimeout
from gateway.policies.circuit import LEASE
from gateway.state import MemoryState
from tests.policies.circuits import Worker, kept_back, usual
from tests.support.outline import answer, make_context, outline

FAILURES, RECOVERY, LONGEST = 2, 10.0, 25.0
WORKERS = 3


@dataclass(eq=False)
class InFlight:
    """A request that the upstream has, and has not answered."""

    worker: int
    began_at: int  # the model's change then
    probe: bool
    task: Any


class Model:
    """What a circuit should be."""

    def __init__(self) -> None:
        self.open = False
        self.changes = 0
        self.until = 0.0
        self.times = 0
        self.row = 0
        self.last = 0.0
        self.probe: InFlight | None = None
        self.probe_until = 0.0

    def admits(self, now: float) -> bool:
        """Whether a request passes."""
        if not self.open:
            return True
        return now >= self.until and (self.probe is None or now >= self.probe_until)

    def trip(self, now: float) -> None:
        """Open, or open for longer."""
        again = self.open or now < self.until
        self.times = self.times + 1 if again else 1
        self.open, self.probe, self.row = True, None, 0
        self.changes += 1
        self.until = now + min(self.times * RECOVERY, LONGEST)

    def close(self, now: float) -> None:
        """After a good probe."""
        self.open, self.probe, self.row = False, None, 0
        self.changes += 1
        self.until = now + min(self.times * RECOVERY, LONGEST)

    def settle(self, request: InFlight, how: str, now: float) -> None:
        """Take in how a request ended."""
        if request.probe:
            if request is self.probe:
                {"good": self.close, "bad": self.trip}.get(how, self.free)(now)
        elif not self.open and request.began_at == self.changes:
            if how == "good":
                self.row = 0
            elif how == "bad":
                self.row = self.row + 1 if now - self.last <= LONGEST else 1
                self.last = now
                if self.row == FAILURES:
                    self.trip(now)

    def free(self, _now: float) -> None:
        """The probe told nothing."""
        self.probe = None


ERRORS: dict[str, type[Exception]] = {
    "timeout": HeadTimeout,
    "gone": ClientGone,
    "busy": PoolTimeout,
}
ENDS = ["good", "bad", *ERRORS]
MEANS = {"timeout": "bad", "gone": "nothing", "busy": "nothing"}


def end_of(how: str) -> UpstreamResponse | Exception:
    """What the upstream does."""
    return ERRORS[how]() if how in ERRORS else answer(200 if how == "good" else 503)


class Workers(RuleBasedStateMachine):
    """Requests that begin and end in any order, workers that are killed, and time that passes."""

    @initialize()
    def start(self) -> None:
        self.now = 1000.0
        self.model = Model()
        self.state = MemoryState(lambda: self.now)
        self.breaker = usual(failures=FAILURES, recovery=RECOVERY, longest=LONGEST)
        self.workers = [self.new_worker() for _ in range(WORKERS)]
        self.flying: list[InFlight] = []
        self.killed: list[InFlight] = []  # kept, or they would be ended in an orderly way

    def new_worker(self) -> Worker:
        context = make_context(state=self.state)
        return Worker(self.breaker.wrap(self.upstream, context), context.pulse._actions)

    def upstream(self, request: UpstreamRequest) -> UpstreamResponse:
        """Holds the request until the test says how it ends."""
        end = end_of(getcurrent().parent.switch("sent"))
        if isinstance(end, Exception):
            raise end
        return end

    def begin(self, worker: int) -> InFlight | None:
        """Send a request; None if it was kept back."""

        def run() -> object:
            try:
                return self.workers[worker].handler(outline())
            except Exception as error:
                return error

        probe = self.model.open
        task = greenlet(run)
        result = task.switch()
        if result == "sent":
            return InFlight(worker, self.model.changes, probe, task)
        assert kept_back(result), result
        return None

    @rule(workers=st.lists(st.integers(0, WORKERS - 1), min_size=1, max_size=4))
    def send_some(self, workers: list[int]) -> None:
        """Requests come."""
        for worker in workers:
            self.send(worker)

    def send(self, worker: int) -> None:
        """A request comes; it passes if it should."""
        expected = self.model.admits(self.now)
        request = self.begin(worker)
        assert (request is not None) == expected
        if request is not None:
            self.flying.append(request)
            if request.probe:
                self.model.probe, self.model.probe_until = request, self.now + LEASE

    @precondition(lambda self: self.flying)
    @rule(ends=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(ENDS)), min_size=1))
    def end_some(self, ends: list[tuple[int, str]]) -> None:
        """Requests end, in any order."""
        for place, how in ends[: len(self.flying)]:
            self.end(self.flying.pop(place % len(self.flying)), how)
            self.agrees()

    def end(self, request: InFlight, how: str) -> None:
        """A request ends; the circuit closes only by the good end of a probe."""
        was_open = self.model.open
        self.model.settle(request, MEANS.get(how, how), self.now)
        request.task.switch(how)
        assert request.task.dead
        if was_open and not self.is_open:
            assert request.probe
            assert how == "good"

    @precondition(lambda self: not self.model.open)
    @rule()
    def outage(self) -> None:
        """Failures in a row, whatever else is under way."""
        while not self.model.open:
            request = self.begin(0)
            assert request is not None
            self.end(request, "bad")

    @precondition(lambda self: self.model.open)
    @rule(worker=st.integers(0, WORKERS - 1), how=st.sampled_from(["good", "bad", "stays"]))
    def probe(self, worker: int, how: str) -> None:
        """It is time for a probe, and one comes."""
        self.now = max(self.now, self.model.until, self.model.probe_until)
        self.send(worker)
        if how != "stays":
            self.end(self.flying.pop(), how)

    @rule(worker=st.integers(0, WORKERS - 1))
    def live(self, worker: int) -> None:
        """A worker beats for a while, as it does unless it dies."""
        for _ in range(6):
            self.now += 1.0
            self.beat(worker)

    @precondition(lambda self: len(self.flying) > 3)
    @rule(worker=st.integers(0, WORKERS - 1))
    def kill(self, worker: int) -> None:
        """A worker dies with all it was doing, and a new one takes its place."""
        self.killed += [request for request in self.flying if request.worker == worker]
        self.flying = [request for request in self.flying if request.worker != worker]
        self.workers[worker] = self.new_worker()

    @rule(worker=st.integers(0, WORKERS - 1))
    def beat(self, worker: int) -> None:
        """A worker's pulse beats."""
        self.workers[worker].beat()
        model = self.model
        probe = model.probe
        mine = probe is not None and probe.worker == worker and probe in self.flying
        if mine and model.probe_until - self.now < LEASE / 2:
            model.probe_until = self.now + LEASE

    @rule(seconds=st.sampled_from([0.5, 2.0, 3.0, LEASE, RECOVERY, LONGEST, 2 * LONGEST]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    @property
    def is_open(self) -> bool:
        value = self.state.get("circuit/things")
        return value is not None and bool(value["open"])

    @invariant()
    def agrees(self) -> None:
        """All workers see what the model says."""
        if hasattr(self, "model"):
            value = self.state.get("circuit/things") or {"open": False, "until": 0.0, "failures": 0}
            assert value["open"] == self.model.open
            assert value["failures"] == self.model.row
            assert not self.model.open or value["until"] == self.model.until

    def teardown(self) -> None:
        """Whatever happened, one good probe closes it in the end."""
        if not hasattr(self, "model"):
            return
        self.now += 2 * LONGEST + LEASE
        was_open = self.is_open
        request = self.begin(0)
        assert request is not None
        assert (self.begin(1) is None) == was_open
        request.task.switch("good")
        assert not self.is_open


TestWorkers = Workers.TestCase
TestWorkers.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
