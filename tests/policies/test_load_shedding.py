"""The adaptive limit: what moves it, and where it comes to rest with a backend of known size."""

from __future__ import annotations

import contextlib
import heapq
import io
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import AdaptiveConcurrency, Policy, Retry, UpstreamRequest, UpstreamResponse
from gateway.bodies import RequestBody
from gateway.errors import (
    ClientGone,
    ConnectFailed,
    ConnectTimeout,
    HeadTimeout,
    NotSent,
    PoolTimeout,
)
from gateway.exchange import BodySource
from gateway.policies.load_shedding import BASELINE_SECONDS, MEASURED, WINDOW, Gradient, Shedding
from gateway.policy import policy_faults
from tests.support.outline import answer, make_context, outline


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Backend:
    """Answers in `seconds` as long as at most `capacity` requests are in it, and proportionally
    later with more; `spread` multiplies each by chance. Asked far more often than it can serve."""

    def __init__(
        self,
        capacity: int,
        seconds: float,
        spread: Callable[[random.Random], float] = lambda _: 1.0,
        **options: Any,
    ) -> None:
        self.clock = Clock()
        options = {"maximum": 400, **options}
        self.gradient = Gradient(AdaptiveConcurrency(clock=self.clock, **options), 1000)
        self.capacity = capacity
        self.seconds = seconds
        self.shed = 0
        self._spread = spread
        self._chance = random.Random(7)
        self._under_way: list[tuple[float, int, float]] = []

    def run(self, seconds: float, *, load: float = 3.0) -> float:
        """So much time, `load` times what it can serve; returns the limit at the end."""
        clock, gradient = self.clock, self.gradient
        end, arrival = clock.now + seconds, clock.now
        while arrival < end:
            if self._under_way and self._under_way[0][0] <= arrival:
                clock.now, ticket, began = heapq.heappop(self._under_way)
                gradient.end(ticket, clock.now - began, False)
                continue
            clock.now = arrival
            arrival += self._chance.expovariate(load * self.capacity / self.seconds)
            try:
                ticket = gradient.begin()
            except NotSent:
                self.shed += 1
                continue
            slower = max(1.0, gradient.in_flight / self.capacity) * self._spread(self._chance)
            heapq.heappush(self._under_way, (clock.now + self.seconds * slower, ticket, clock.now))
        return gradient.limit


def exponential(chance: random.Random) -> float:
    """As service times of queues are usually thought of."""
    return chance.expovariate(1)


def two_kinds(chance: random.Random) -> float:
    """Half of the requests are quick."""
    return chance.choice([0.1, 1.9])


def outliers(chance: random.Random) -> float:
    """One in a hundred takes very long."""
    return 50.0 if chance.random() < 0.01 else 0.5


@pytest.mark.parametrize("capacity", [10, 40])
def test_the_limit_settles_near_what_the_backend_can_do(capacity: int) -> None:
    backend = Backend(capacity, 0.05)
    backend.run(150)
    for _ in range(6):  # and stays there under lasting overload
        assert capacity <= backend.run(15) <= 2.2 * capacity


@pytest.mark.parametrize("spread", [exponential, two_kinds, outliers])
def test_chance_does_not_carry_it_away(spread: Callable[[random.Random], float]) -> None:
    backend = Backend(40, 0.05, spread)
    backend.run(90)
    assert all(25 <= backend.run(15) <= 120 for _ in range(4))


def test_a_backend_that_is_not_full_is_never_held_back() -> None:
    backend = Backend(40, 0.05)
    assert 20 < backend.run(20, load=0.2) < 60  # it grows as far as it is used, and no further
    backend.shed = 0
    assert 20 < backend.run(60, load=0.2) < 60
    assert backend.shed == 0


def test_a_slow_phase_sheds_and_is_overcome() -> None:
    backend = Backend(40, 0.05)
    backend.run(45)
    backend.seconds = 0.5
    lowest = min(backend.run(1) for _ in range(20))
    assert lowest < 40
    backend.seconds = 0.05
    backend.run(120)
    assert 40 <= backend.run(15) <= 88


def test_a_backend_that_stays_slower_is_believed() -> None:
    backend = Backend(40, 0.05)
    backend.run(45)
    backend.seconds = 0.15
    backend.run(3 * BASELINE_SECONDS)
    assert 40 <= backend.run(15) <= 88


def test_a_backend_that_grows_is_used() -> None:
    backend = Backend(10, 0.05)
    backend.run(20)
    backend.capacity = 60
    backend.run(40)
    assert backend.run(10) >= 60


def flow(gradient: Gradient, clock: Clock, count: int, **ends: Any) -> None:
    """So many requests, as many in flight at a time as may be, each half a second long."""
    while count > 0:
        tickets: list[int] = []
        while len(tickets) < count:
            try:
                tickets.append(gradient.begin())
            except NotSent:
                break
        clock.now += 0.5
        for ticket in tickets:
            gradient.end(ticket, ends.get("seconds", 0.5), ends.get("late", False))
        count -= len(tickets)


def gradient_at(limit: int, **options: Any) -> tuple[Gradient, Clock]:
    """A limit that starts there."""
    clock = Clock()
    return Gradient(AdaptiveConcurrency(initial=limit, clock=clock, **options), 1000), clock


def test_lasting_lateness_goes_down_to_the_minimum() -> None:
    gradient, clock = gradient_at(100, minimum=3)
    flow(gradient, clock, WINDOW, late=True)
    assert gradient.limit < 60
    flow(gradient, clock, 600, seconds=None, late=True)
    assert gradient.limit == 3
    assert gradient.in_flight == 0


def test_a_rare_timeout_is_no_reason() -> None:
    gradient, clock = gradient_at(50)
    for _ in range(20):
        flow(gradient, clock, 99)
        flow(gradient, clock, 1, seconds=None, late=True)
    assert gradient.limit > 50


def test_without_answers_that_tell_something_it_stays() -> None:
    gradient, clock = gradient_at(50)
    flow(gradient, clock, 500, seconds=None)
    assert gradient.limit == 50


def test_what_is_over_the_limit_is_not_sent_and_not_counted() -> None:
    gradient, _ = gradient_at(2, minimum=2)
    tickets = [gradient.begin(), gradient.begin()]
    with pytest.raises(NotSent, match="overloaded") as raised:
        gradient.begin()
    assert (raised.value.status, raised.value.retry_after) == (503, 1)
    assert raised.value.retry_safe
    assert gradient.in_flight == 2
    for ticket in tickets:
        gradient.end(ticket, None, False)
    assert gradient.in_flight == 0


def places(gradient: Gradient, most: int = 1000) -> list[int]:
    """Tickets for as many requests as may begin now."""
    tickets: list[int] = []
    with contextlib.suppress(NotSent):
        while len(tickets) < most:
            tickets.append(gradient.begin())
    return tickets


def end_all(gradient: Gradient, tickets: list[int], seconds: float) -> None:
    """Answers that took so long."""
    for ticket in tickets:
        gradient.end(ticket, seconds, False)


def test_what_is_usual_is_measured_anew_without_a_queue() -> None:
    gradient, clock = gradient_at(100, maximum=100)
    flow(gradient, clock, 200)
    clock.now += BASELINE_SECONDS
    old = places(gradient)
    end_all(gradient, old[:WINDOW], 0.6)  # not seen for 30 s: the limit is halved
    assert places(gradient) == []
    end_all(gradient, old[WINDOW:51], 0.6)  # fewer than half are left: it measures
    measured = places(gradient)
    assert len(measured) == 1
    end_all(gradient, old[51:], 9.0)  # these stood in the queue
    measured += places(gradient, MEASURED - 1)
    end_all(gradient, places(gradient), 9.0)  # these began after those that are measured
    end_all(gradient, measured[:-1], 0.7)
    rest = places(gradient)
    assert len(rest) == 49  # still halved: the last of them counts as well
    end_all(gradient, rest, 9.0)
    end_all(gradient, measured[-1:], 0.7)
    for _ in range(5):
        clock.now += 1
        end_all(gradient, places(gradient), 0.7 * 1.4)  # usual, as far as is tolerated
    assert gradient.limit == 100
    for _ in range(5):
        clock.now += 1
        end_all(gradient, places(gradient), 0.7 * 3)
    assert gradient.limit < 90


@pytest.mark.parametrize(
    ("options", "concurrency", "start", "most"),
    [
        ({}, 512, 20, 200),
        ({}, 16, 16, 16),
        ({}, 2, 2, 2),
        ({"maximum": 10}, 512, 10, 10),
        ({"initial": 300}, 512, 200, 200),
        ({"initial": 300, "maximum": 300}, 512, 300, 300),
        ({"minimum": 30}, 512, 30, 200),
    ],
)
def test_bounds(options: dict[str, int], concurrency: int, start: int, most: int) -> None:
    clock = Clock()
    gradient = Gradient(AdaptiveConcurrency(clock=clock, **options), concurrency)
    assert gradient.limit == start
    for _ in range(200):
        flow(gradient, clock, most)
    assert gradient.limit == most


steps = st.lists(
    st.tuples(
        st.sampled_from(["begin", "begin", "end", "late", "untold"]),
        st.floats(0, 10),
        st.floats(0, 3),
    ),
    max_size=400,
)


@given(steps, st.integers(1, 8), st.integers(0, 30), st.integers(1, 40))
def test_never_outside_its_bounds(
    what: list[tuple[str, float, float]], minimum: int, more: int, concurrency: int
) -> None:
    clock = Clock()
    options = AdaptiveConcurrency(minimum=minimum, maximum=minimum + more, clock=clock)
    gradient = Gradient(options, concurrency)
    most = min(minimum + more, concurrency)
    under_way: list[int] = []
    for step, seconds, passing in what * 3:
        clock.now += passing
        if step == "begin":
            try:
                under_way.append(gradient.begin())
            except NotSent:
                assert len(under_way) >= min(minimum, concurrency)
        elif under_way:
            gradient.end(under_way.pop(0), None if step == "untold" else seconds, step == "late")
        assert min(minimum, concurrency) <= gradient.limit <= most
        assert gradient.in_flight == len(under_way) <= most


def limit_after(outcome: UpstreamResponse | Exception, body: BodySource | None = None) -> float:
    """The limit after a window of this outcome; it was 2 before."""
    clock = Clock()

    def backend(_request: UpstreamRequest) -> UpstreamResponse:
        clock.now += 1
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    options = AdaptiveConcurrency(initial=2, minimum=1, clock=clock)
    handler = options.wrap(backend, make_context())
    assert isinstance(handler, Shedding)
    for _ in range(WINDOW):
        with contextlib.suppress(Exception):
            handler(outline(body=body))
    assert handler.gradient.in_flight == 0
    return handler.gradient.limit


def body(length: int | None) -> RequestBody:
    """A body of the client's that says it has so many bytes."""
    return RequestBody(io.BytesIO(), length)


@pytest.mark.parametrize("status", [200, 204, 304])
def test_good_answers_raise_it(status: int) -> None:
    assert limit_after(answer(status)) > 2
    assert limit_after(answer(status), body(65536)) > 2


@pytest.mark.parametrize(
    "outcome",
    [answer(503), answer(504), HeadTimeout(), ConnectTimeout()],
    ids=["503", "504", "silent", "unconnected"],
)
def test_late_answers_lower_it(outcome: UpstreamResponse | Exception) -> None:
    assert limit_after(outcome) < 2


@pytest.mark.parametrize(
    "outcome",
    [
        *(answer(status) for status in (400, 404, 429, 500, 502)),
        ConnectFailed(),
        PoolTimeout(),
        NotSent("circuit_open"),
        NotSent("late", status=504),
        ClientGone(),
        RuntimeError("bug"),
    ],
)
def test_what_tells_nothing_leaves_it(outcome: UpstreamResponse | Exception) -> None:
    assert limit_after(outcome) == 2


@pytest.mark.parametrize("length", [None, 65537])
def test_large_uploads_leave_it(length: int | None) -> None:
    assert limit_after(answer(), body(length)) == 2


def test_a_place_is_free_with_the_head() -> None:
    handler = AdaptiveConcurrency(initial=1, minimum=1).wrap(lambda _: answer(), make_context())
    assert isinstance(handler, Shedding)
    assert [handler(outline()).status for _ in range(5)] == [200] * 5  # none of them is read
    assert handler.gradient.in_flight == 0


@pytest.mark.parametrize(
    ("policies", "fault"),
    [
        ([AdaptiveConcurrency(minimum=0)], "minimum=0, initial=20 must be 1 or more"),
        ([AdaptiveConcurrency(initial=0)], "minimum=4, initial=0 must be 1 or more"),
        ([AdaptiveConcurrency(maximum=3)], "maximum=3 is below minimum=4"),
        ([AdaptiveConcurrency(tolerance=0.9)], "tolerance=0.9 must be 1 or more"),
        ([AdaptiveConcurrency(smoothing=0)], "smoothing=0 must be above 0 and up to 1"),
    ],
)
def test_faults(policies: list[Policy], fault: str) -> None:
    assert policy_faults(policies, make_context()) == [f"AdaptiveConcurrency: {fault}"]


def test_its_place_is_behind_retry() -> None:
    assert policy_faults([Retry(), AdaptiveConcurrency()], make_context()) == []
    assert policy_faults([AdaptiveConcurrency(), Retry()], make_context()) == [
        "AdaptiveConcurrency works per attempt and must come after Retry"
    ]
