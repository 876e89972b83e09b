"""The beat of a worker, and the one that is elected."""

from __future__ import annotations

import threading
import time
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


def test_an_action_may_come_later(workers: Workers) -> None:
    idle, busy = workers[:2]
    beaten: set[str] = set()
    busy.at_beat(lambda: beaten.add("first"))
    busy.begin()
    idle.begin()
    busy.at_beat(lambda: beaten.add("second"))
    idle.at_beat(lambda: beaten.add("only"))
    assert wait_for(lambda: beaten == {"first", "second", "only"})


def test_what_comes_after_the_end_begins_nothing(workers: Workers) -> None:
    pulse, before = workers[0], threading.active_count()
    pulse.begin()
    pulse.end()
    pulse.at_beat(lambda: None)
    assert threading.active_count() == before


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


def test_each_office_has_a_holder_of_its_own(workers: Workers) -> None:
    at_work: list[str] = []

    for number, pulse in enumerate(workers):

        def duty(over: threading.Event, number: int = number) -> None:
            at_work.append("elected")
            over.wait()

        def local(over: threading.Event, number: int = number) -> None:
            at_work.append(f"machine {number}")
            over.wait()

        pulse.when_elected("duty", duty)
        pulse.when_elected("local", local, office=f"machine {number}")
        pulse.begin()
    assert wait_for(lambda: len(at_work) == 4)
    assert sorted(at_work) == ["elected", "machine 0", "machine 1", "machine 2"]


def test_the_end_waits_for_a_duty_that_has_to_end_properly(workers: Workers) -> None:
    begun, ended = threading.Event(), threading.Event()

    def duty(over: threading.Event) -> None:
        begun.set()
        over.wait()
        time.sleep(0.2)
        ended.set()

    workers[0].when_elected("duty", duty, awaited=True)
    workers[0].begin()
    assert begun.wait(10)
    workers[0].end()
    assert ended.is_set()


def test_the_end_does_not_wait_for_long(workers: Workers) -> None:
    begun, free = threading.Event(), threading.Event()

    def duty(over: threading.Event) -> None:
        begun.set()
        free.wait(30)

    workers[0].when_elected("duty", duty, awaited=True)
    workers[0].begin()
    assert begun.wait(10)
    started = time.monotonic()
    workers[0].end()
    assert 0.9 < time.monotonic() - started < 5
    free.set()


@pytest.mark.parametrize("urgent", [True, False])
def test_without_anything_urgent_every_fourth_beat_takes_place(urgent: bool) -> None:
    beats: list[int] = []
    pulse = Pulse(MemoryState(), beat=0.1)
    pulse.at_beat(lambda: beats.append(1), urgent=False)
    if urgent:
        pulse.at_beat(lambda: None)
    pulse.begin()
    try:
        assert wait_for(lambda: len(beats) > 5, 5.0 if urgent else 1.2) is urgent
    finally:
        pulse.end()
