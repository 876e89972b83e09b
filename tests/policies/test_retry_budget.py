"""The budget: a little of the load is tried again, and an outage is not multiplied."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable

import pytest

from gateway.policies.retry_budget import RetryBudget


class Clock:
    """A clock that stands still until it is put forward."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def take_all(budget: RetryBudget, most: int = 1000) -> int:
    """How many retries it allows one after the other, each over before the next."""
    for number in range(most):
        if not budget.take():
            return number
        budget.give_back()
    return most


def test_a_quiet_service_has_its_minimum() -> None:
    budget = RetryBudget(0.2, 3, Clock(), patience=0)
    budget.begin()
    assert take_all(budget) == 3


def test_each_request_brings_its_share() -> None:
    budget = RetryBudget(0.2, 3, Clock(), patience=0)
    budget.begin()
    take_all(budget)
    for _ in range(19):
        budget.begin()
    assert take_all(budget) == 4  # with the first one's


def test_the_minimum_comes_again_every_ten_seconds() -> None:
    clock = Clock()
    budget = RetryBudget(0.2, 3, clock, patience=0)
    budget.begin()
    take_all(budget)
    budget.end()
    for seconds, allowed in ((10.0, 3), (1000.0, 3), (3.4, 1)):
        clock.now += seconds
        budget.begin()
        assert take_all(budget) == allowed
        budget.end()


def test_good_times_do_not_pay_for_a_storm() -> None:
    clock = Clock()
    budget = RetryBudget(0.2, 3, clock, patience=0)
    for _ in range(10_000):
        clock.now += 0.1
        budget.begin()
        budget.end()
    assert take_all(budget) == 30


def test_what_a_few_seconds_brought_is_saved_up() -> None:
    clock = Clock()
    budget = RetryBudget(0.2, 3, clock, patience=0)
    for _ in range(100_000):
        clock.now += 0.001
        budget.begin()
        budget.end()
    assert 490 < take_all(budget) <= 500, "the share of two and a half seconds"


def test_one_too_many_waits_for_its_turn() -> None:
    budget = RetryBudget(0.2, 1, patience=20)
    for _ in range(10):
        budget.begin()
    assert budget.take()
    assert budget.take()
    taken: list[bool] = []
    waiting = threading.Thread(target=lambda: taken.append(budget.take()))
    waiting.start()
    waiting.join(0.1)
    assert taken == []
    budget.give_back()
    waiting.join(10)
    assert taken == [True]


def test_nobody_waits_beyond_the_deadline() -> None:
    budget = RetryBudget(0.2, 1, patience=20)
    budget.begin()
    assert budget.take()
    budget._saved = 5.0
    assert not budget.take(time.monotonic() + 0.05)
    assert budget._saved == 5.0, "a retry that was not made costs nothing"


@pytest.mark.parametrize(
    ("ratio", "minimum", "active", "at_a_time"),
    [(0.2, 3, 1, 3), (0.2, 3, 15, 3), (0.2, 3, 24, 4), (0.2, 3, 100, 20), (0.0, 2, 100, 2)],
)
def test_retries_at_a_time_are_bounded(
    ratio: float, minimum: int, active: int, at_a_time: int
) -> None:
    budget = RetryBudget(ratio, minimum, Clock(), patience=0)
    for _ in range(active):
        budget.begin()
    budget._saved = 1000.0
    assert sum(budget.take() for _ in range(200)) == at_a_time
    budget.give_back()
    assert [budget.take(), budget.take()] == [True, False], "one that is over makes room"


def test_requests_that_ended_allow_nothing_more_at_a_time() -> None:
    budget = RetryBudget(0.5, 0, Clock(), patience=0)
    for _ in range(4):
        budget.begin()
    assert [budget.take() for _ in range(3)] == [True, True, False]
    budget.give_back()
    budget.end()
    assert not budget.take()


def test_without_a_minimum_single_requests_are_not_repeated() -> None:
    budget = RetryBudget(0.2, 0, Clock(), patience=0)
    for _ in range(100):
        budget.begin()
        assert not budget.take()
        budget.end()


def outage(
    per_second: float, seconds: float, fails_after: float, backoff: float, retries: int
) -> tuple[int, int]:
    """How often an upstream that fails everything is asked, and how often clients asked."""
    clock = Clock()
    budget = RetryBudget(0.2, 3, clock, patience=0)
    events: list[tuple[float, int, Callable[[], None]]] = []
    asked = offered = serial = 0

    def later(delay: float, what: Callable[[], None]) -> None:
        nonlocal serial
        serial += 1
        heapq.heappush(events, (clock.now + delay, serial, what))

    def arrive() -> None:
        nonlocal asked, offered
        offered += 1
        asked += 1
        budget.begin()
        later(fails_after, lambda: failed(retries))
        if clock.now - 100.0 < seconds:
            later(1 / per_second, arrive)

    def failed(left: int) -> None:
        if left and budget.take():
            later(backoff, lambda: again(left))
        else:
            budget.end()

    def again(left: int) -> None:
        nonlocal asked
        asked += 1

        def over() -> None:
            budget.give_back()
            failed(left - 1)

        later(fails_after, over)

    arrive()
    while events:
        clock.now, _, what = heapq.heappop(events)
        what()
    return asked, offered


@pytest.mark.parametrize("retries", [1, 4])
@pytest.mark.parametrize("fails_after", [0.0, 0.001, 0.5, 10.0], ids=lambda s: f"after {s} s")
@pytest.mark.parametrize("per_second", [2.0, 50.0, 300.0])
def test_a_full_outage_is_asked_for_at_most_a_fifth_more(
    per_second: float, fails_after: float, retries: int
) -> None:
    asked, offered = outage(per_second, 60.0, fails_after, 0.025, retries)
    assert offered >= 60 * per_second
    assert asked <= 1.2 * offered + 10
    if fails_after < 10:
        assert asked >= 1.1 * offered, "what the budget has is used"


def test_a_trickle_may_be_tried_again_as_often_as_the_minimum_says() -> None:
    asked, offered = outage(0.1, 100.0, 0.001, 0.025, 1)
    assert asked == 2 * offered
