"""When a store that failed is tried again, and by whom."""

from __future__ import annotations

import logging

import pytest

from gateway.state.outage import Outage

log = logging.getLogger("tests.state")
BROKEN = ConnectionError("where it is")


class Clock:
    """A time to be set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def away() -> tuple[Outage, Clock]:
    """One that has just failed, to be left alone for two seconds."""
    clock = Clock()
    outage = Outage(log, "the store", "we go on", pause=2.0, timer=clock)
    assert [outage.down, outage.failed(BROKEN), outage.down] == [False, True, True]
    return outage, clock


def test_only_the_first_failure_is_news(caplog: pytest.LogCaptureFixture) -> None:
    outage, _ = away()
    assert not outage.failed(BROKEN)
    outage.over()
    assert [outage.down, outage.failed(BROKEN)] == [False, True]
    failed = "the store failed (ConnectionError): we go on"
    told = [(one.name, one.levelname, one.message) for one in caplog.records]
    assert told == [("tests.state", "WARNING", t) for t in (failed, "the store is back", failed)]


def test_one_tries_after_each_pause() -> None:
    outage, clock = away()
    clock.now += 1.9
    assert not outage.may_try()
    clock.now += 0.1
    assert [outage.may_try(), outage.may_try()] == [True, False]
    outage.failed(BROKEN)
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
