"""The beat of a worker, and the one that is elected."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from gateway.pulse import Pulse
from gateway.state import MemoryState
from gateway.state.election import Lease
from tests.support.gunicorn import wait_for

Workers = list[Pulse]


@pytest.fixture
def workers() -> Iterator[Workers]:
    """Three workers of one gateway, not begun."""
    state = MemoryState()
    pulses = [Pulse(state, beat=0.02) for _ in range(3)]
    yield pulses
    for pulse in pulses:
        pulse.end()


def test_nothing_to_do_means_no_thread(workers: Workers) -> None:
    before = threading.active_count()
    workers[0].begin()
    assert threading.active_count() == before


def test_actions_run_at_every_beat_also_after_one_failed(workers: Workers) -> None:
    beats: list[int] = []

    def action() -> None:
        beats.append(1)
        if len(beats) == 1:
            raise RuntimeError

    workers[0].at_beat(action)
    workers[0].begin()
    workers[0].begin()
    assert wait_for(lambda: len(beats) > 3)


def test_one_worker_has_the_duties_and_another_takes_over(workers: Workers) -> None:
    at_work: list[int] = []

    for number, pulse in enumerate(workers):

        def duty(over: threading.Event, number: int = number) -> None:
            at_work.append(number)
            over.wait()
            at_work.remove(number)

        pulse.when_elected("duty", duty)
        pulse.begin()
    assert wait_for(lambda: len(at_work) == 1)
    first = at_work[0]
    assert [pulse.elected for pulse in workers].count(True) == 1
    workers[first].end()
    assert wait_for(lambda: bool(at_work) and at_work != [first], 1.0)


def test_a_duty_that_fails_is_started_again(workers: Workers) -> None:
    tries: list[int] = []

    def duty(over: threading.Event) -> None:
        tries.append(1)
        if len(tries) < 2:
            raise RuntimeError

    workers[0].when_elected("duty", duty)
    workers[0].begin()
    assert wait_for(lambda: len(tries) == 2)


def test_a_lease_runs_out_when_its_holder_is_silent() -> None:
    now = 100.0
    state = MemoryState(lambda: now)
    one, two = Lease(state, "office", 1.5), Lease(state, "office", 1.5)
    assert one.take()
    assert not two.take()
    now += 1.0
    assert one.take()
    now += 1.0
    assert not two.take()
    now += 0.6
    assert two.take()
    assert not one.take()
    two.give_up()
    assert one.take()
    two.give_up()
    assert not two.take()
