"""The circuit breaker: what opens it, what is nobody's fault, and its options."""

from __future__ import annotations

import pytest

from gateway import CircuitBreaker, NotSent, UpstreamResponse
from gateway.errors import (
    HeadTimeout,
    PoolTimeout,
    UpstreamError,
)
from gateway.policies.retry import Retry
from gateway.policy import policy_faults
from tests.policies.circuits import (
    FAILURES,
    NEITHER,
    Setup,
    kept_back,
    named,
    opened,
    usual,
)
from tests.support.outline import answer, make_context


@pytest.mark.parametrize("failure", FAILURES, ids=named)
def test_failures_in_a_row_open_it(setup: Setup, failure: UpstreamResponse | UpstreamError) -> None:
    for _ in range(5):
        assert setup.send(failure) is failure
    result = setup.send()
    assert kept_back(result)
    assert isinstance(result, NotSent)
    assert (result.status, result.retry_after, result.party) == (503, 30.0, "gateway")
    assert setup.asked == 5


@pytest.mark.parametrize("status", [200, 204, 301, 400, 404, 429, 500, 501])
def test_an_answer_in_between_begins_the_row_anew(setup: Setup, status: int) -> None:
    for _ in range(3):
        setup.fail(4)
        setup.send(answer(status))
    assert setup.value is None


@pytest.mark.parametrize("result", NEITHER, ids=named)
def test_what_says_nothing_of_the_upstream(
    setup: Setup, result: UpstreamResponse | Exception
) -> None:
    setup.fail(4)
    for _ in range(10):
        assert setup.send(result) is result
    assert not setup.is_open
    setup.fail()
    assert setup.is_open


def test_failures_of_all_workers_are_one_row(setup: Setup) -> None:
    workers = [setup.worker() for _ in range(4)]
    for worker in workers:
        setup.fail(1, worker)
    setup.send(answer(), workers[2])
    for worker in workers:
        setup.fail(1, worker)
    assert not setup.is_open
    setup.fail(1, workers[0])
    assert all(kept_back(setup.send(worker=worker)) for worker in workers)


def test_a_row_that_rested_for_long_begins_anew(setup: Setup) -> None:
    setup.fail(4)
    setup.now += 301
    setup.fail(4)
    assert not setup.is_open


@pytest.mark.parametrize("off", [None, 0])
def test_any_number_of_failures_in_a_row(off: int | None) -> None:
    setup = Setup(CircuitBreaker(failures=off, ratio=1.0, minimum=50))
    setup.fail(49)
    assert not setup.is_open
    setup.fail()
    assert setup.is_open


def test_seeds_form() -> None:
    setup = Setup(CircuitBreaker(failures=5, recovery=30))
    setup.fail(5)
    result = setup.send()
    assert isinstance(result, NotSent)
    assert 30 <= (result.retry_after or 0) <= 33
    setup.now += 33
    assert setup.send(answer()) is not None
    assert not setup.is_open


def test_own_rule() -> None:
    def counts(outcome: UpstreamResponse | UpstreamError) -> bool:
        if isinstance(outcome, UpstreamResponse):
            return outcome.status == 418
        return isinstance(outcome, PoolTimeout)

    setup = Setup(usual(failures=2, counts=counts))
    setup.fail(9)
    setup.send(HeadTimeout())
    setup.send(HeadTimeout())
    assert not setup.is_open
    setup.send(answer(418))
    setup.send(PoolTimeout())
    assert setup.is_open


def test_own_rule_that_fails_frees_the_probe() -> None:
    def counts(outcome: UpstreamResponse | UpstreamError) -> bool:
        raise ZeroDivisionError

    setup = opened()
    setup.now += 30
    worker = setup.worker(usual(counts=counts))
    assert isinstance(setup.send(answer(), worker), ZeroDivisionError)
    assert isinstance(setup.send(HeadTimeout(), worker), ZeroDivisionError)
    assert setup.send(answer()) is not None
    assert not setup.is_open


# -- ratio -----------------------------------------------------------------------------------


def alternating(setup: Setup, pairs: int) -> None:
    """So many answers, each after a failure."""
    for _ in range(pairs):
        setup.fail()
        setup.send(answer())


def test_half_of_twenty_requests_open_it() -> None:
    setup = Setup(CircuitBreaker())
    alternating(setup, 10)  # the last failure was the 19th request
    assert not setup.is_open
    setup.fail()
    assert setup.is_open


def test_less_than_the_share_does_not() -> None:
    setup = Setup(CircuitBreaker(failures=None, ratio=0.5))
    for _ in range(100):
        setup.fail()
        setup.send(answer())
        setup.send(answer())
    assert not setup.is_open


def test_only_the_window_counts() -> None:
    setup = Setup(CircuitBreaker(failures=None, minimum=4))
    for _ in range(10):
        setup.fail(3)
        setup.now += 11
    assert not setup.is_open


def test_workers_add_up_at_beats() -> None:
    setup = Setup(CircuitBreaker(failures=None, ratio=0.5, minimum=20))
    busy = setup.worker()
    busy.beat()
    for _ in range(100):
        setup.send(answer(), busy)
    busy.beat()
    assert setup.shared.scan("") == {}, "as long as nothing fails, nothing is told"
    setup.fail()
    busy.beat()
    setup.fail(98)
    assert not setup.is_open
    setup.fail()
    assert setup.is_open


def test_what_was_not_told_is_forgotten_with_the_window() -> None:
    setup = Setup(CircuitBreaker(failures=None, ratio=0.5, minimum=20, window=10))
    busy = setup.worker()
    busy.beat()
    for _ in range(1000):
        setup.send(answer(), busy)
    for _ in range(120):
        setup.now += 0.25
        busy.beat()
    setup.fail()
    busy.beat()
    setup.fail(80)
    assert setup.is_open


def test_counts_of_before_are_dropped_when_it_closes() -> None:
    setup = Setup(CircuitBreaker(failures=3, minimum=4, recovery=1, draw=lambda: 0.0))
    setup.fail(3)
    setup.now += 1
    setup.send(answer())
    assert not setup.is_open
    setup.fail(2)
    setup.send(answer())
    assert not setup.is_open


# -- options ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("breaker", "fault"),
    [
        (CircuitBreaker(failures=-1), "failures is below 0"),
        (CircuitBreaker(ratio=0), "ratio=0 is a share, above 0 and up to 1"),
        (CircuitBreaker(ratio=1.5), "ratio=1.5 is a share, above 0 and up to 1"),
        (
            CircuitBreaker(failures=0, ratio=None),
            "without failures and ratio it never opens: leave it out",
        ),
        (CircuitBreaker(minimum=0), "minimum=0 must be at least 1"),
        (CircuitBreaker(window=0), "window=0 must be above 0"),
        (CircuitBreaker(recovery=0), "recovery=0 must be above 0 and at most longest=300.0"),
        (
            CircuitBreaker(recovery=400),
            "recovery=400 must be above 0 and at most longest=300.0",
        ),
        (
            CircuitBreaker(scope="host"),  # type: ignore[arg-type]
            "scope='host' must be 'service' or 'target'",
        ),
        (CircuitBreaker(statuses={42}), "statuses must lie between 100 and 599"),
    ],
)
def test_faults(breaker: CircuitBreaker, fault: str) -> None:
    assert policy_faults([breaker], make_context()) == [f"CircuitBreaker: {fault}"]


def test_order() -> None:
    target, service = CircuitBreaker(scope="target"), CircuitBreaker()
    assert policy_faults([Retry(), target], make_context()) == []
    assert policy_faults([service, Retry()], make_context()) == []
    assert policy_faults([target, Retry()], make_context()) == [
        "CircuitBreaker works per attempt and must come after Retry"
    ]
    assert policy_faults([service, service], make_context()) == ["CircuitBreaker is there twice"]
