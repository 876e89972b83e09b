"""When a store that failed is tried again, and by whom."""

from __future__ import annotations

from gateway.state.outage import Outage


class Clock:
    """A time to be set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def away() -> tuple[Outage, Clock]:
    """One that has just failed, to be left alone for two seconds."""
    clock = Clock()
    outage = Outage(2.0, clock)
    assert [outage.down, outage.failed(), outage.down] == [False, True, True]
    return outage, clock


def test_only_the_first_failure_is_news() -> None:
    outage, _ = away()
    assert not outage.failed()
    outage.over()
    assert [outage.down, outage.failed()] == [False, True]


def test_one_tries_after_each_pause() -> None:
    outage, clock = away()
    clock.now += 1.9
    assert not outage.may_try()
    clock.now += 0.1
    assert [outage.may_try(), outage.may_try()] == [True, False]
    outage.failed()
    clock.now += 1.9
    assert not outage.may_try()
    clock.now += 0.1
    assert outage.may_try()


def test_who_is_patient_tries_later() -> None:
    outage, clock = away()
    clock.now += 4.9
    assert not outage.may_try(patience=3.0)
    assert outage.may_try(patience=2.5)


def test_who_never_came_back_is_not_waited_for() -> None:
    outage, clock = away()
    clock.now += 2.0
    assert outage.may_try()
    clock.now += 29.0
    assert not outage.may_try()
    clock.now += 1.0
    assert outage.may_try()


def test_what_showed_nothing_is_tried_at_once_by_the_next() -> None:
    outage, clock = away()
    clock.now += 2.0
    assert outage.may_try()
    outage.undecided()
    assert outage.may_try()
