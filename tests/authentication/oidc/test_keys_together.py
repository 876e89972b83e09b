"""Keys fetched by many at once: other machines, workers that die or are slow, and threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gateway.authentication.oidc.entry import AGAIN, BUSY, Entry
from gateway.authentication.oidc.keys import IssuerKeys
from gateway.state import MemoryState
from tests.authentication.oidc.machine import FIRST, SECOND, Machine, has, unavailable
from tests.authentication.oidc.support import Document, keys_of
from tests.support.gunicorn import wait_for


class Skewed:
    """A state whose clock is heard with a difference, as workers hear that of Redis."""

    lag = 0.0

    def __init__(self, state: MemoryState, ahead: float) -> None:
        self.get, self.scan, self.change = state.get, state.scan, state.change
        self.refresh = state.refresh
        self.clock = lambda: state.clock() + ahead


@pytest.mark.parametrize("ahead", [-2.0, -0.01, 0.01, 2.0])
def test_clocks_that_differ_a_little_fetch_no_more_than_one(ahead: float) -> None:
    machine = Machine(FIRST)
    during: list[IssuerKeys] = []

    def fetch() -> Any:
        assert machine.document.fetches < 9
        for other in during:
            other.look()
        return machine.document()

    usual = keys_of(fetch, machine.state, draw=lambda: 0.0)
    other = keys_of(machine.document, Skewed(machine.state, ahead), draw=lambda: 0.0)
    during.append(other)
    for turn, number in ((1, 0), (2, 7)):
        for worker in (usual, other, usual, other):
            assert has(worker, number) == (number == 0)
        assert machine.document.fetches == turn
        machine.clock.now += AGAIN + 3
    assert has(other, 0)
    assert machine.document.fetches == 2


def test_who_dies_while_fetching_is_followed_by_another() -> None:
    machine = Machine(FIRST)

    def died(work: Callable[[], None]) -> None:
        claim = Entry().claimed(machine.clock.now, "dead", "none").value()
        machine.state.change("oidc/test", lambda _: claim)
        work()

    assert unavailable(machine.worker(run=died))
    assert machine.document.fetches == 0
    machine.clock.now += BUSY
    assert has(machine.worker())


def test_who_was_too_slow_changes_nothing() -> None:
    machine = Machine(FIRST)
    slow = Document(SECOND)

    def fetch() -> Any:
        machine.clock.now += BUSY + 1
        assert has(machine.worker())
        return slow()

    worker = keys_of(fetch, machine.state)
    worker.look()
    assert has(worker, 0)
    assert machine.entry.keys == (machine.document()[0][0],)


class Slow(Document):
    """An issuer that answers when it is told to."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        super().__init__(*keys)
        self.answer = threading.Event()

    def __call__(self) -> Any:
        self.fetches += 1
        assert self.answer.wait(20)
        self.fetches -= 1
        return super().__call__()


def threads(run: Callable[[Callable[[], None]], None]) -> dict[str, Any]:
    """The options of a worker whose fetches run beside its requests, in real time."""
    return {"run": run, "sleep": time.sleep}


def start(work: Callable[[], None]) -> None:
    """Do it in a thread."""
    threading.Thread(target=work, daemon=True).start()


@pytest.mark.parametrize("number", [0, 1])
def test_many_requests_of_many_workers_wait_for_one_fetch(number: int) -> None:
    """Those that lose read what the one that won has found."""
    state, document = MemoryState(), Slow(FIRST, SECOND)
    if number:  # some keys are known, but not that one
        keys_of(Document(FIRST), state).look()
    workers = [keys_of(document, state, **threads(start)) for _ in range(4)]
    with ThreadPoolExecutor(40) as pool:
        found = [pool.submit(has, workers[turn % 4], number) for turn in range(40)]
        assert wait_for(lambda: document.fetches == 1)
        time.sleep(0.1)
        assert document.fetches == 1
        if number:
            assert all(has(worker) for worker in workers)  # a key at hand is not waited for
        document.answer.set()
        assert all(one.result(20) for one in found)
    assert document.fetches == 1


@pytest.mark.parametrize("number", [0, 1])
def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Whoever waited in vain is told that nobody can say, also if only that key is not there."""
    monkeypatch.setattr("gateway.authentication.oidc.keys.WAIT", 0.2)
    state, document = MemoryState(), Slow(FIRST, SECOND)
    if number:
        keys_of(Document(FIRST), state).look()
    workers = [keys_of(document, state, **threads(start)) for _ in range(2)]
    assert all(unavailable(worker, number) for worker in workers)
    document.answer.set()
    assert wait_for(lambda: not any(unavailable(worker, number) for worker in workers))
    assert all(has(worker, number) for worker in workers)
    assert document.fetches == 1


def test_without_a_thread_the_next_one_tries_again() -> None:
    machine = Machine(FIRST)
    threads = [None, lambda work: work()]

    def run(work: Callable[[], None]) -> None:
        start = threads.pop(0)
        if start is None:
            raise RuntimeError("can't start new thread")
        start(work)

    worker = machine.worker(run=run)
    assert unavailable(worker)
    assert has(worker)
    assert threads == []
