"""What counters of calendar periods do in every store: memory, LMDB and Redis."""

from __future__ import annotations

import pytest

from gateway.rate_limiting.windows import CLOCK_STEP, Hit
from tests.rate_limiting.shifted import Store

DAY = 86400


class Period:
    """A period that ends after a day of the store's time."""

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key
        self._end = store.time() + DAY

    def hit(self, limit: int = 3, cost: int = 1, *, forced: bool = False) -> Hit:
        """A hit in it, told at this moment."""
        ends = self._store.told(self._end)
        return Hit(self._key, limit, DAY, cost, ends=ends, forced=forced)


@pytest.fixture
def period(store: Store, key: str) -> Period:
    """A period with nothing in it."""
    return Period(store, key)


def test_counted_until_the_end(store: Store, period: Period) -> None:
    assert [store.windows.acquire([period.hit()])[0] for _ in range(4)] == [True] * 3 + [False]
    for _ in range(3):  # nothing leaves before
        store.move(DAY / 4)
        assert not store.windows.acquire([period.hit()])[0]


def test_what_is_told(store: Store, period: Period) -> None:
    untouched = store.windows.peek(period.hit())
    assert (untouched.remaining, untouched.retry) == (3, 0)
    assert untouched.reset == pytest.approx(DAY, abs=store.slack)
    store.move(DAY / 2)
    _, [window] = store.windows.acquire([period.hit(cost=3)])
    assert (window.remaining, window.retry, window.wait) == (0, 0, 0)
    assert window.reset == pytest.approx(DAY / 2, abs=store.slack)
    allowed, [window] = store.windows.acquire([period.hit()])
    assert (allowed, window.remaining) == (False, 0)
    assert window.retry == window.reset == pytest.approx(DAY / 2, abs=store.slack)


def test_gone_after_the_end(store: Store, period: Period) -> None:
    assert store.windows.acquire([period.hit(cost=3)])[0]
    # A little longer: clocks differ, and the next period has another key.
    store.move(DAY + CLOCK_STEP / 2)
    allowed, [window] = store.windows.acquire([period.hit()])
    assert not allowed
    assert 0 < window.retry <= 0.001
    store.move(CLOCK_STEP)
    assert store.windows.peek(period.hit()).remaining == 3


def test_large_quotas_are_exact(store: Store, period: Period) -> None:
    limit = 10**12
    seeded = store.windows.acquire([period.hit(limit, limit - 2, forced=True)])
    assert (seeded[0], seeded[1][0].remaining) == (True, 2)
    told = [store.windows.acquire([period.hit(limit)]) for _ in range(3)]
    assert [(allowed, window.remaining) for allowed, [window] in told] == [
        (True, 1),
        (True, 0),
        (False, 0),
    ]


def test_another_limit_meets_what_was_counted(store: Store, period: Period) -> None:
    assert store.windows.acquire([period.hit(10, 4)])[0]
    assert store.windows.acquire([period.hit(5)])[1][0].remaining == 0
    assert not store.windows.acquire([period.hit(5)])[0]
    assert store.windows.acquire([period.hit(10)])[1][0].remaining == 4


def test_the_key_names_the_period(store: Store, key: str) -> None:
    for month, seconds in (("11", 30 * DAY), ("12", 31 * DAY)):
        hit = Hit(f"{key} {month}", 1, seconds, ends=store.told(store.time() + seconds))
        assert [store.windows.acquire([hit])[0] for _ in range(2)] == [True, False]


@pytest.mark.parametrize("step", [-30, -3600])
def test_a_clock_set_back_loses_nothing(store: Store, period: Period, step: float) -> None:
    assert store.windows.acquire([period.hit(cost=2)])[0]
    store.move(step)
    assert [store.windows.acquire([period.hit()])[0] for _ in range(2)] == [True, False]


def test_clear(store: Store, period: Period) -> None:
    store.windows.acquire([period.hit(cost=3)])
    store.windows.clear(period.hit())
    assert store.windows.peek(period.hit()).remaining == 3
