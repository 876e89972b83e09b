"""An open circuit: nothing passes, then one request does, and what comes of it."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable

import pytest

from gateway import CircuitBreaker, UpstreamRequest, UpstreamResponse
from gateway.errors import (
    UpstreamError,
)
from gateway.policies.circuit import LEASE, Circuit, Rules, Ticket
from gateway.state import MemoryState, Value
from tests.policies.circuits import (
    FAILURES,
    NEITHER,
    Setup,
    kept_back,
    named,
    opened,
)
from tests.support.outline import answer


def test_nothing_passes_before_recovery_then_one_does() -> None:
    setup = opened()
    setup.now += 29.5
    assert kept_back(setup.send())
    setup.now += 0.5
    inner: list[object] = []

    def probed(request: UpstreamRequest) -> UpstreamResponse:
        setup.outcome = lambda request: answer()
        inner.extend(setup.send(worker=worker) for worker in (setup.first, setup.worker()))
        return answer()

    setup.outcome = probed
    before = setup.asked
    assert isinstance(setup.send(), UpstreamResponse)
    assert all(map(kept_back, inner))
    assert setup.asked == before + 1
    assert not setup.is_open
    assert isinstance(setup.send(answer()), UpstreamResponse)


@pytest.mark.parametrize("failure", FAILURES, ids=named)
def test_a_probe_that_fails_leaves_it_open_for_longer(
    failure: UpstreamResponse | UpstreamError,
) -> None:
    setup = opened(recovery=30, longest=80)
    for wait in (30, 60, 80, 80):
        setup.now += wait - 0.5
        assert kept_back(setup.send())
        setup.now += 0.5
        assert setup.send(failure) is failure
    assert setup.is_open


@pytest.mark.parametrize("result", NEITHER, ids=named)
def test_a_probe_that_told_nothing_makes_way_at_once(
    result: UpstreamResponse | Exception,
) -> None:
    setup = opened()
    setup.now += 30
    assert setup.send(result) is result
    assert setup.is_open
    assert isinstance(setup.send(answer()), UpstreamResponse)
    assert not setup.is_open


def in_flight(setup: Setup, during: Callable[[], None], end: object = None) -> None:
    """A request during which something else happens."""

    def asked(request: UpstreamRequest) -> UpstreamResponse:
        during()
        if isinstance(end, BaseException):
            raise end
        return answer() if end is None else answer(503)

    setup.outcome = asked
    setup.send()


def test_a_probe_whose_worker_died_is_followed_by_another() -> None:
    setup = opened()
    setup.now += 30

    def dies() -> None:  # it is never heard of again
        setup.now += LEASE - 0.1
        assert kept_back(setup.send(answer(), other))
        setup.now += 0.1
        assert isinstance(setup.send(answer(), other), UpstreamResponse)
        assert not setup.is_open

    other = setup.worker()
    in_flight(setup, dies, "late failure")
    assert not setup.is_open, "what the first probe says late is nobody's"


class Overtaken(MemoryState):
    """A store in which somebody else comes between reading and changing."""

    between: Callable[[], object] | None = None

    def get(self, key: str) -> Value | None:
        """See SharedState.get."""
        value = super().get(key)
        between, self.between = self.between, None
        if between is not None:
            between()
        return value


def test_of_two_that_want_to_probe_one_may() -> None:
    state = Overtaken(lambda: setup.now)
    setup = Setup(state=state)
    setup.fail(5)
    setup.now += 30
    before = setup.asked

    def other_probes() -> None:
        # It is under way while the first goes on.
        rules = Rules(5, None, 20, 10.0, 30.0, 300.0)
        assert isinstance(Circuit("things", rules, state).enter(), Ticket)

    state.between = other_probes
    assert kept_back(setup.send(answer()))
    assert setup.asked == before


def test_who_wants_to_probe_what_has_just_closed_passes_as_all_do() -> None:
    state = Overtaken(lambda: setup.now)
    setup = Setup(state=state)
    setup.fail(5)
    setup.now += 30
    other = setup.worker()
    state.between = lambda: setup.send(answer(), other)
    assert isinstance(setup.send(answer()), UpstreamResponse)
    assert not setup.is_open


def test_a_slow_probe_of_a_living_worker_stays_the_only_one() -> None:
    setup = opened()
    setup.now += 30

    def slow() -> None:
        for _ in range(40):
            setup.now += 1
            setup.first.beat()
            assert kept_back(setup.send(answer(), other))

    other = setup.worker()
    in_flight(setup, slow)
    assert not setup.is_open


def test_late_failures_do_not_make_it_last(setup: Setup) -> None:
    def late(times: int) -> None:
        if times:
            in_flight(setup, lambda: late(times - 1), "failure")
        else:
            setup.fail(5)
            setup.now += 5

    late(10)
    assert setup.value is not None
    assert setup.value["until"] == setup.now - 5 + 30
    assert setup.value["times"] == 1


def test_late_failures_do_not_count_after_it_closed(setup: Setup) -> None:
    def late(times: int) -> None:
        if times:
            in_flight(setup, lambda: late(times - 1), "failure")
        else:
            setup.fail(5)
            setup.now += 30
            setup.send(answer())

    late(10)
    assert not setup.is_open
    assert setup.value is not None
    assert setup.value["failures"] == 0


def test_late_successes_do_not_close_it(setup: Setup) -> None:
    in_flight(setup, lambda: setup.fail(5))
    assert setup.is_open
    assert kept_back(setup.send())


def test_a_new_process_knows_and_closes_nothing() -> None:
    setup = opened()
    assert kept_back(setup.send(answer(), setup.worker()))
    setup.now += 30
    setup.fail(1, setup.worker())
    assert kept_back(setup.send(answer(), setup.worker()))


def test_who_fails_again_soon_is_out_for_longer_and_else_not() -> None:
    setup = opened()
    setup.now += 30
    setup.send(answer())
    setup.now += 29
    setup.fail(5)
    assert setup.value is not None
    assert setup.value["until"] - setup.now == 60
    setup.now += 60
    setup.send(answer())
    setup.now += 60
    setup.fail(5)
    assert setup.value["until"] - setup.now <= 30


def test_clock_of_the_store_set_back_opens_it_for_no_longer() -> None:
    setup = opened()
    setup.now -= 10_000
    assert isinstance(setup.send(answer()), UpstreamResponse)
    assert not setup.is_open


def test_wall_clock_may_do_what_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    jumping = itertools.count(step=10_000.0)
    monkeypatch.setattr(time, "time", lambda: next(jumping))
    setup = opened()
    assert kept_back(setup.send())
    setup.now += 30
    assert isinstance(setup.send(answer()), UpstreamResponse)


def test_random_share() -> None:
    setup = Setup(CircuitBreaker(draw=lambda: 0.5))
    setup.fail(5)
    assert setup.value is not None
    assert setup.value["until"] == pytest.approx(setup.now + 31.5)


def test_told_once_when_it_opens_half_opens_and_closes(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway.circuits")
    setup.fail(9)
    setup.now += 30
    setup.fail()
    setup.now += 60
    setup.send(answer())
    setup.send(answer())
    assert [record.getMessage() for record in caplog.records] == [
        "things: circuit open for 30.0 s",
        "things: circuit half-open, one request tries",
        "things: circuit open for 60.0 s more",
        "things: circuit half-open, one request tries",
        "things: circuit closed",
    ]
