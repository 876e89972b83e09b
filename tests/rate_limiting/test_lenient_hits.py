"""Hits that refuse nothing, and hits that only ask: in every store, for every kind of window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.rate_limiting.windows import Hit
from tests.rate_limiting.shifted import Store

HOUR = 3600


@pytest.fixture(params=["window", "bucket", "period"])
def hit(request: pytest.FixtureRequest, store: Store, key: str) -> Hit:
    """A hit in a window, a bucket or a period that has room for three."""
    if request.param == "window":
        return Hit(key, 3, HOUR)
    if request.param == "bucket":
        return Hit(key, 1, HOUR, burst=2)
    return Hit(key, 3, HOUR, ends=store.told(store.time() + HOUR))


@pytest.fixture
def other(key: str) -> Hit:
    """A hit with room for one."""
    return Hit(f"{key} other", 1, HOUR)


Left = Callable[[Hit], int]


@pytest.fixture
def left(store: Store) -> Left:
    """What is left of a window."""
    return lambda hit: store.windows.peek(hit).remaining


def test_dry_hits_are_counted_while_there_is_room(store: Store, hit: Hit) -> None:
    dry = replace(hit, dry=True)
    told = [store.windows.acquire([dry]) for _ in range(5)]
    assert [allowed for allowed, _ in told] == [True] * 5
    assert [window.remaining for _, [window] in told] == [2, 1, 0, 0, 0]
    assert [window.retry > 0 for _, [window] in told] == [False] * 3 + [True] * 2
    # What found no room was not counted: it would delay the others for longer.
    assert told[-1][1][0].retry == pytest.approx(told[-2][1][0].retry, abs=store.slack)


def test_a_dry_hit_without_room_keeps_no_other_from_being_counted(
    store: Store, hit: Hit, other: Hit, left: Left
) -> None:
    store.windows.acquire([replace(hit, cost=3)])
    allowed, windows = store.windows.acquire([replace(hit, dry=True), other])
    assert allowed
    assert (windows[0].retry > 0, windows[1].retry) == (True, 0)
    assert left(other) == 0


@pytest.mark.parametrize("how", ["dry", "forced"])
def test_what_others_refuse_is_not_counted(
    store: Store, hit: Hit, other: Hit, left: Left, how: str
) -> None:
    lenient = replace(hit, dry=True) if how == "dry" else replace(hit, forced=True)
    assert store.windows.acquire([lenient, other])[0]
    assert not store.windows.acquire([lenient, other])[0]
    assert left(hit) == 2


def test_forced_hits_are_counted_without_room(
    store: Store, hit: Hit, other: Hit, left: Left
) -> None:
    forced = replace(hit, forced=True)
    told = [store.windows.acquire([forced]) for _ in range(5)]
    assert [(allowed, window.remaining, window.retry) for allowed, [window] in told] == [
        (True, 2, 0),
        (True, 1, 0),
        (True, 0, 0),
        (True, 0, 0),
        (True, 0, 0),
    ]
    allowed, [window] = store.windows.acquire([hit])
    assert (allowed, window.remaining) == (False, 0)
    assert store.windows.acquire([forced, other])[0]
    assert left(other) == 0


def test_a_bucket_has_to_work_off_what_was_forced(store: Store, key: str) -> None:
    hit = Hit(key, 1, HOUR, burst=2)
    store.windows.acquire([replace(hit, cost=10, forced=True)])
    assert store.windows.acquire([hit])[1][0].retry == pytest.approx(8 * HOUR, abs=store.slack)
    store.move(8 * HOUR + store.slack)
    assert [store.windows.acquire([hit])[0] for _ in range(2)] == [True, False]


def test_a_window_forgets_what_was_forced_with_its_hits(store: Store, key: str) -> None:
    hit = Hit(key, 100, HOUR)
    store.windows.acquire([replace(hit, cost=70)])
    store.move(HOUR / 2)
    store.windows.acquire([replace(hit, cost=90, forced=True)])
    store.move(HOUR / 2 + 2 * store.slack)  # the first 70 would have left
    _, [window] = store.windows.acquire([replace(hit, cost=10)])
    assert window.remaining == 0
    assert not store.windows.acquire([hit])[0]
    store.move(HOUR / 2)
    assert store.windows.peek(hit).remaining == 90


def test_a_huge_forced_cost_keeps_a_window_shut_and_small(store: Store, key: str) -> None:
    hit = Hit(key, 200, HOUR)
    for _ in range(3):  # a list of a billion times would not go unnoticed
        assert store.windows.acquire([replace(hit, cost=10**9, forced=True)])[0]
        store.move(60)
    assert store.windows.acquire([hit])[1][0].remaining == 0
    store.move(HOUR - 60 - 2 * store.slack - 1)
    assert not store.windows.acquire([hit])[0]
    store.move(4 * store.slack + 1)
    assert store.windows.acquire([hit])[0]


def test_peeks_ask_for_room_and_are_not_counted(store: Store, hit: Hit, left: Left) -> None:
    peek = replace(hit, peek=True)
    for _ in range(3):
        allowed, [window] = store.windows.acquire([peek])
        assert (allowed, window.remaining, window.retry) == (True, 3, 0)
    store.windows.acquire([replace(hit, cost=3)])
    allowed, [window] = store.windows.acquire([peek])
    assert (allowed, window.remaining) == (False, 0)
    assert window.retry > 0
    assert left(hit) == 0


def test_a_peek_without_room_refuses_the_others(
    store: Store, hit: Hit, other: Hit, left: Left
) -> None:
    store.windows.acquire([replace(hit, cost=3)])
    assert not store.windows.acquire([replace(hit, peek=True), other])[0]
    assert left(other) == 1
    assert store.windows.acquire([replace(hit, peek=True, dry=True), other])[0]
    assert left(other) == 0


def test_a_cost_of_nothing_passes_where_there_is_less_than_nothing(store: Store, hit: Hit) -> None:
    store.windows.acquire([replace(hit, cost=7, forced=True)])
    allowed, [window] = store.windows.acquire([replace(hit, cost=0)])
    assert (allowed, window.remaining, window.retry) == (True, 0, 0)


def test_deducted_after_the_response(store: Store, hit: Hit) -> None:
    """Room is asked for before, and what turns out to count is counted whatever happened."""
    asked = replace(hit, peek=True)
    assert [store.windows.acquire([asked])[0] for _ in range(4)] == [True] * 4
    for _ in range(4):
        assert store.windows.acquire([replace(hit, forced=True)])[0]
    assert not store.windows.acquire([asked])[0]


def test_mixed_in_one_step(store: Store, hit: Hit, key: str, left: Left) -> None:
    full = Hit(f"{key} full", 1, HOUR, burst=0, dry=True)
    over = Hit(f"{key} over", 1, HOUR, 5, forced=True)
    only = Hit(f"{key} only", 2, HOUR, peek=True)
    store.windows.acquire([replace(full, dry=False)])
    allowed, windows = store.windows.acquire([hit, full, over, only])
    assert allowed
    assert [window.remaining for window in windows] == [2, 0, 0, 2]
    assert [window.retry > 0 for window in windows] == [False, True, False, False]
    assert [left(one) for one in (hit, full, over, only)] == [2, 0, 0, 2]
