"""Who asks goes on being the one who asks, as long as he lives and somebody says so."""

from __future__ import annotations

import pytest

from gateway.caching.leases import LEASE, Leases
from gateway.caching.memory import MemoryResponses
from gateway.caching.store import Outcome
from tests.caching.handling import Clock

KEY, ANOTHER = b"k" * 16, b"a" * 16
OWNER, OTHER = b"owner   ", b"other   "
LONG = 5.0


class Two:
    """Two workers over one store; only the first has a pulse, whose beats are told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryResponses(1 << 20, self.clock)
        self.here, self.there = (Leases(self.store, self.clock) for _ in range(2))
        self.here.renew()

    def passes(self, seconds: float) -> None:
        """With a beat each second."""
        for _ in range(int(seconds)):
            self.clock.now += 1
            self.here.renew()

    def is_free(self, key: bytes = KEY) -> bool:
        """Whether another may ask."""
        return self.store.outcome(key, LONG) is not None


@pytest.fixture
def two() -> Two:
    """Two workers."""
    return Two()


def test_it_is_held_while_it_is_renewed_and_no_longer_than_was_asked_for(two: Two) -> None:
    assert two.here.claim(KEY, OWNER, LONG)
    two.passes(LONG - 1)
    assert not two.there.claim(KEY, OTHER, LONG)
    two.passes(1)
    assert two.there.claim(KEY, OTHER, LONG)
    two.passes(1)
    assert not two.here.claim(KEY, OWNER, LONG)


def test_a_worker_that_died_holds_it_for_a_moment(two: Two) -> None:
    assert two.here.claim(KEY, OWNER, LONG)
    two.passes(1)
    two.clock.now += LEASE - 0.01
    assert not two.is_free()
    two.clock.now += 0.01
    assert two.is_free()


def test_without_a_pulse_it_is_held_for_all_of_its_time(two: Two) -> None:
    assert two.there.claim(KEY, OTHER, LONG)
    two.clock.now += LONG - 0.01
    assert not two.is_free()


def test_what_is_over_is_not_renewed(two: Two) -> None:
    assert two.here.claim(KEY, OWNER, LONG)
    assert two.here.claim(ANOTHER, OTHER, LONG)
    two.passes(1)
    two.here.release(KEY, OWNER, "again")
    two.passes(2)
    assert two.is_free()
    assert not two.is_free(ANOTHER)


def test_what_is_another_workers_by_now_stays_his(two: Two) -> None:
    assert two.here.claim(KEY, OWNER, LONG)
    two.clock.now += LEASE  # no beat came
    assert two.there.claim(KEY, OTHER, LONG)
    two.passes(3)
    assert not two.is_free()
    two.here.release(KEY, OWNER, "alone")
    assert not two.is_free()
    two.there.release(KEY, OTHER, "again")
    assert two.is_free()


def test_one_that_ends_while_it_is_renewed_holds_nobody_up() -> None:
    clock = Clock()
    leases: list[Leases] = []

    class Slow(MemoryResponses):
        """It ends just before it is claimed anew."""

        def claim(self, key: bytes, owner: bytes, seconds: float) -> bool:
            if leases and seconds < LONG and clock.now > begun:
                leases[0].release(key, owner, "alone")
            return super().claim(key, owner, seconds)

    begun = clock.now
    store = Slow(1 << 20, clock)
    leases.append(Leases(store, clock))
    leases[0].renew()
    assert leases[0].claim(KEY, OWNER, LONG)
    clock.now += 1
    leases[0].renew()
    told: Outcome | None = store.outcome(KEY, LONG)
    assert told == "alone"
    assert store.claim(KEY, OTHER, LONG)


def test_a_child_renews_nothing_of_its_parents(two: Two) -> None:
    assert two.here.claim(KEY, OWNER, LONG)
    two.here.forget()
    two.passes(LEASE)
    assert two.is_free()
