"""Who asks and who waits: one at a time, for a bounded time, and never after it is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import gevent
import gevent.event
import pytest

from gateway.caching import collapsing as module
from gateway.caching.collapsing import LEAST_PAUSE, MOST_PAUSE, Collapsing, Flight
from gateway.caching.store import Outcome
from gateway.errors import ClientGone
from tests.caching.handling import Clock, store

KEY = b"k" * 16
LATER = 30.0


def staying() -> bool:
    """A client that waits."""
    return False


class Waiting:
    """Somebody who takes a turn in a thread of his own."""

    def __init__(self, collapsing: Collapsing, end: float, abandoned: Callable[[], bool]) -> None:
        self.came: Flight | Outcome | ClientGone | None = None
        self.waits = threading.Event()
        self._take = (collapsing, end, abandoned)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        collapsing, end, abandoned = self._take
        try:
            self.came = collapsing.turn(KEY, end, abandoned, self.waits.set)
        except ClientGone as gone:
            self.came = gone

    def result(self) -> Flight | Outcome | ClientGone | None:
        """What came of it."""
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self.came


def wait_at(
    collapsing: Collapsing,
    number: int,
    abandoned: Callable[[], bool] = staying,
    end: float | None = None,
) -> list[Waiting]:
    """So many who wait, all of them by now."""
    end = time.monotonic() + LATER if end is None else end
    found = [Waiting(collapsing, end, abandoned) for _ in range(number)]
    for one in found:
        assert one.waits.wait(10)
    return found


def lead(collapsing: Collapsing) -> Flight:
    """Be the one who asks."""
    flight = collapsing.turn(KEY, time.monotonic() + LATER, staying)
    assert isinstance(flight, Flight)
    return flight


@pytest.mark.parametrize("outcome", ["again", "alone", "failed"])
def test_all_who_wait_go_on_together(outcome: Outcome) -> None:
    collapsing = Collapsing(store(), LATER)
    flight = lead(collapsing)
    waiting = wait_at(collapsing, 10)
    assert [one.came for one in waiting] == [None] * 10
    collapsing.end(flight, outcome)
    collapsing.end(flight, "alone")  # does nothing
    assert {one.result() for one in waiting} == {outcome}


def test_the_next_one_may_ask_at_once() -> None:
    shelf = store()
    collapsing = Collapsing(shelf, LATER)
    flight = lead(collapsing)
    assert shelf.outcome(KEY, LATER) is None
    collapsing.end(flight, "again")
    assert shelf.outcome(KEY, LATER) == "again"
    assert lead(collapsing) is not flight


def test_keys_are_nothing_to_each_other() -> None:
    collapsing = Collapsing(store(), LATER)
    lead(collapsing)
    assert isinstance(collapsing.turn(b"x" * 16, time.monotonic() + LATER, staying), Flight)


def test_a_client_that_leaves_waits_no_longer() -> None:
    collapsing = Collapsing(store(), LATER)
    flight = lead(collapsing)
    gone = wait_at(collapsing, 1, lambda: True)[0]
    assert isinstance(gone.result(), ClientGone)
    collapsing.end(flight, "again")


def test_waiting_ends_with_the_time_of_who_waits() -> None:
    clock = Clock()
    collapsing = Collapsing(store(), 5.0, monotonic=clock)
    flight = lead(collapsing)
    assert collapsing.turn(KEY, clock.now, staying) == "alone"
    collapsing.end(flight, "again")


class Elsewhere:
    """A store that says that another worker asks, for so many looks, and then how it ended."""

    def __init__(self, looks: int, ended: Outcome = "again") -> None:
        self.looks = looks
        self.ended = ended
        self.claims = 0
        self.waited: list[float] = []

    def claim(self, _key: bytes, _owner: bytes, _seconds: float) -> bool:
        """Only when the other one is done."""
        self.claims += 1
        return self.looks <= 0

    def release(self, _key: bytes, _owner: bytes, _outcome: Outcome) -> None:
        """Nothing was claimed."""
        raise AssertionError

    def outcome(self, _key: bytes, waited: float) -> Outcome | None:
        """Look."""
        self.looks -= 1
        self.waited.append(waited)
        return None if self.looks > 0 else self.ended


def test_another_worker_is_looked_at_with_growing_pauses() -> None:
    paused: list[float] = []
    collapsing = Collapsing(Elsewhere(12), LATER, sleep=paused.append)
    assert collapsing.turn(KEY, time.monotonic() + LATER, staying) == "again"
    assert paused[0] == LEAST_PAUSE
    assert paused == sorted(paused)
    assert paused[-1] == MOST_PAUSE
    assert len(paused) == 12


@pytest.mark.parametrize("outcome", ["again", "alone", "failed"])
def test_one_of_a_worker_looks_and_the_others_wait_for_him(outcome: Outcome) -> None:
    looking, over = threading.Event(), threading.Event()

    def sleep(_seconds: float) -> None:
        looking.set()
        over.wait(10)

    elsewhere = Elsewhere(1, outcome)
    collapsing = Collapsing(elsewhere, LATER, sleep=sleep)
    waiting = wait_at(collapsing, 5)
    assert looking.wait(10)
    over.set()
    assert {one.result() for one in waiting} == {outcome}
    assert elsewhere.claims == 1


def test_the_one_who_looks_is_bounded_too() -> None:
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.now += seconds

    collapsing = Collapsing(Elsewhere(10**6), 5.0, monotonic=clock, sleep=sleep)
    began = clock.now
    assert collapsing.turn(KEY, began + 2, staying) == "alone"
    assert clock.now - began == pytest.approx(2)
    with pytest.raises(ClientGone):
        collapsing.turn(KEY, clock.now + 2, lambda: True)


def test_the_one_who_looks_says_for_how_long_he_has_waited() -> None:
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.now += seconds

    elsewhere = Elsewhere(5)
    collapsing = Collapsing(elsewhere, 5.0, monotonic=clock, sleep=sleep)
    collapsing.turn(KEY, clock.now + 5, staying)
    pauses = [LEAST_PAUSE * 1.5**number for number in range(5)]
    assert elsewhere.waited == pytest.approx([sum(pauses[:number]) for number in range(1, 6)])


def test_the_time_of_the_one_who_looks_is_not_that_of_the_others() -> None:
    clock = Clock()
    others: list[Waiting] = []

    def sleep(seconds: float) -> None:
        others.extend([] if others else wait_at(collapsing, 3, end=clock.now + 50))
        clock.now += seconds

    collapsing = Collapsing(Elsewhere(10**6), 60.0, monotonic=clock, sleep=sleep)
    assert collapsing.turn(KEY, clock.now + 0.5, staying) == "alone"
    assert {one.result() for one in others} == {"again"}


@pytest.mark.parametrize("outcome", ["alone", "failed"])
def test_who_waits_on_other_workers_goes_on_likewise(outcome: Outcome) -> None:
    """All of them at once, though the next one asks already by the time they look."""
    shelf = store()
    here, looking, over = Collapsing(shelf, LATER), threading.Event(), threading.Event()

    def sleep(_seconds: float) -> None:
        looking.set()
        over.wait(10)

    there = Collapsing(shelf, LATER, sleep=sleep)
    flight = lead(here)
    waiting = wait_at(there, 5)
    assert looking.wait(10)
    here.end(flight, outcome)
    lead(here)
    over.set()
    assert {one.result() for one in waiting} == {outcome}


def test_who_comes_anew_is_not_told_how_it_ended_before() -> None:
    """He waits for the next one, here until his own time is over."""
    shelf = store()
    here, there = Collapsing(shelf, LATER), Collapsing(shelf, LATER)
    here.end(lead(here), "failed")
    lead(here)
    assert there.turn(KEY, time.monotonic() + 0.05, staying) == "alone"


def test_nobody_is_sent_alone_by_a_leader_whose_client_left() -> None:
    shelf = store()
    here, there = Collapsing(shelf, LATER), Collapsing(shelf, LATER)
    flight = lead(here)
    waiting = wait_at(there, 5)
    here.end(flight, "again")
    assert {one.result() for one in waiting} == {"again"}


def test_a_refresh_is_begun_once() -> None:
    shelf = store()
    here, there = Collapsing(shelf, LATER), Collapsing(shelf, LATER)
    flight = here.begin(KEY)
    assert flight is not None
    assert here.begin(KEY) is None
    assert there.begin(KEY) is None
    here.end(flight, "again")
    assert there.begin(KEY) is not None


def test_who_releases_late_takes_nothing_from_the_next() -> None:
    """After its time, another one may have claimed the key."""
    clock, shelf = Clock(), store()
    collapsing = Collapsing(shelf, 5.0, monotonic=clock)
    slow = lead(collapsing)
    shelf.release(KEY, slow.owner, "again")  # as if its time were over in the store as well
    clock.now += 5
    next_one = collapsing.turn(KEY, clock.now + 5, staying)
    assert isinstance(next_one, Flight)
    collapsing.end(slow, "alone")
    assert shelf.outcome(KEY, LATER) is None
    assert collapsing.turn(KEY, clock.now, staying) == "alone"


def test_no_greenlet_is_forgotten_whose_look_at_its_client_comes_as_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "threading", SimpleNamespace(Event=gevent.event.Event))
    flight = Flight(KEY, 0.0, LATER)

    def wait() -> Outcome:
        while True:
            outcome = flight.wait(0.01)
            if outcome is not None:
                return outcome

    gevent.spawn_later(0.005, flight.end, "again")
    waiting = [gevent.spawn(wait) for _ in range(3)]
    gevent.sleep(0)  # they wait
    time.sleep(0.02)  # what is due by now comes in one turn of the loop, the end first
    gevent.joinall(waiting, timeout=5)
    came = [one.value for one in waiting]
    gevent.killall(waiting)
    assert came == ["again"] * 3
