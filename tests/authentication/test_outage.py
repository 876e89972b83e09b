"""A server that does not answer is left alone, and the log hears of it once."""

from __future__ import annotations

import pytest

from gateway.authentication.outage import AGAIN, PATIENCE, PAUSE, Outage


class Clock:
    """Time that passes when a test says so."""

    now = 5000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock of the test's own."""
    return Clock()


@pytest.fixture
def outage(clock: Clock) -> Outage:
    """A server of which nothing is known."""
    return Outage("auth.internal", clock)


def test_a_few_failures_are_no_outage(outage: Outage) -> None:
    for _ in range(PATIENCE - 1):
        outage.silent("timeout")
        assert outage.may_ask()
    outage.answered()
    outage.silent("timeout")
    assert outage.may_ask()


def test_one_asks_for_all_once_the_pause_is_over(outage: Outage, clock: Clock) -> None:
    for _ in range(PATIENCE):
        outage.silent("timeout")
    assert not outage.may_ask()
    clock.now += PAUSE
    assert [outage.may_ask() for _ in range(3)] == [True, False, False]
    outage.silent("timeout")
    assert not outage.may_ask()
    clock.now += PAUSE
    assert outage.may_ask()
    outage.answered()
    assert all(outage.may_ask() for _ in range(3))


def test_an_answer_that_decides_nothing_ends_it_too(outage: Outage, clock: Clock) -> None:
    for _ in range(PATIENCE):
        outage.silent("timeout")
    outage.answered(well=False)
    assert outage.may_ask()
    for _ in range(3 * PATIENCE):  # such answers come at once: nobody is held up
        outage.answered(well=False)
        outage.useless("it answers 500")
    assert outage.may_ask()


def test_the_log_hears_of_it_once_a_minute(
    outage: Outage, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        outage.silent("timeout")
    assert caplog.messages == ["auth.internal decides nothing: timeout"]
    clock.now += AGAIN
    outage.useless("it answers 500")
    assert caplog.messages[1:] == ["auth.internal decides nothing: it answers 500"]


def test_the_log_hears_that_it_is_back(outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    outage.answered()
    outage.silent("timeout")
    outage.answered()
    outage.answered()
    assert caplog.messages[1:] == ["auth.internal decides again"]
    for _ in range(5):  # of what comes and goes it hears once a minute
        outage.useless("it answers 404")
        outage.answered()
    assert len(caplog.messages) == 2
