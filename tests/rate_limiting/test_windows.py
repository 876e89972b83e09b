"""What every store of windows does: memory, LMDB and Redis, each compared with a plain model."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.rate_limiting.windows import Hit
from tests.rate_limiting.shifted import Model, Store

_fresh = itertools.count()


def test_limit_of_one(store: Store, key: str) -> None:
    hit = Hit(key, 1, 60)
    assert store.windows.acquire([hit])[0]
    assert not store.windows.acquire([hit])[0]
    store.move(60)
    assert store.windows.acquire([hit])[0]


def test_refusals_are_not_counted(store: Store, key: str) -> None:
    hit = Hit(key, 2, 60)
    assert [store.windows.acquire([hit])[0] for _ in range(5)] == [True, True, False, False, False]
    store.move(60)
    assert [store.windows.acquire([hit])[0] for _ in range(3)] == [True, True, False]


def test_no_double_burst_around_a_boundary(store: Store, key: str) -> None:
    hit = Hit(key, 10, 60)
    store.move(50)
    first = sum(store.windows.acquire([hit])[0] for _ in range(20))
    store.move(20)  # wherever a fixed window begins, one has begun by now
    second = sum(store.windows.acquire([hit])[0] for _ in range(20))
    assert (first, second) == (10, 0)


@pytest.mark.parametrize("limit", [63, 64, 65, 1000])
def test_large_limits_leave_one_by_one(store: Store, key: str, limit: int) -> None:
    hit = Hit(key, limit, 3600)
    half = limit // 2
    assert store.windows.acquire([Hit(key, limit, 3600, half)])[0]
    store.move(1800)
    assert store.windows.acquire([Hit(key, limit, 3600, limit - half)])[0]
    allowed, [window] = store.windows.acquire([hit])
    assert not allowed
    assert window.retry == pytest.approx(1800, abs=store.slack)
    store.move(1800)
    assert sum(store.windows.acquire([hit])[0] for _ in range(half + 5)) == half


def test_costs(store: Store, key: str) -> None:
    assert store.windows.acquire([Hit(key, 10, 60, 4)])[1][0].remaining == 6
    assert store.windows.acquire([Hit(key, 10, 60, 4)])[1][0].remaining == 2
    allowed, [window] = store.windows.acquire([Hit(key, 10, 60, 3)])
    assert (allowed, window.remaining) == (False, 2)
    assert store.windows.acquire([Hit(key, 10, 60, 2)])[0]


def test_cost_of_nothing_counts_nothing(store: Store, key: str) -> None:
    for _ in range(3):
        allowed, [window] = store.windows.acquire([Hit(key, 1, 60, 0)])
        assert (allowed, window.remaining) == (True, 1)
    assert store.windows.acquire([Hit(key, 1, 60)])[0]
    assert store.windows.acquire([Hit(key, 1, 60, 0)])[0]


def test_cost_above_the_limit_never_passes(store: Store, key: str) -> None:
    allowed, [window] = store.windows.acquire([Hit(key, 3, 60, 4)])
    assert (allowed, window.remaining, window.retry) == (False, 3, 60)
    assert store.windows.acquire([Hit(key, 3, 60, 3)])[0]


@pytest.mark.parametrize("full", [0, 1, 2])
def test_all_windows_or_none(store: Store, key: str, full: int) -> None:
    hits = [Hit(f"{key}{n}", 5, seconds) for n, seconds in enumerate((10, 60, 3600))]
    tight = hits[full]
    store.windows.acquire([Hit(tight.key, 5, tight.seconds, 5)])
    allowed, windows = store.windows.acquire(hits)
    assert not allowed
    assert [window.retry > 0 for window in windows] == [n == full for n in range(3)]
    left = [store.windows.peek(hit).remaining for hit in hits]
    assert left == [0 if n == full else 5 for n in range(3)]


def test_one_key_in_windows_of_two_lengths(store: Store, key: str) -> None:
    hits = [Hit(key, 1, 10), Hit(key, 5, 60)]
    assert store.windows.acquire(hits)[0]
    assert not store.windows.acquire(hits)[0]
    store.move(10)
    allowed, windows = store.windows.acquire(hits)
    assert (allowed, [w.remaining for w in windows]) == (True, [0, 3])


def test_what_is_told(store: Store, key: str) -> None:
    hit = Hit(key, 2, 60)
    untouched = store.windows.peek(hit)
    assert (untouched.remaining, untouched.reset, untouched.retry) == (2, 60, 0)
    assert store.windows.acquire([hit])[1][0].remaining == 1
    store.move(20)
    _, [second] = store.windows.acquire([hit])
    assert (second.remaining, second.retry) == (0, 0)
    assert second.reset == pytest.approx(40, abs=store.slack)
    _, [refused] = store.windows.acquire([hit])
    assert refused.remaining == 0
    assert refused.reset == pytest.approx(40, abs=store.slack)
    assert refused.retry == pytest.approx(40, abs=store.slack)
    dear = store.windows.peek(Hit(key, 2, 60, 2))
    assert dear.retry == pytest.approx(60, abs=store.slack)  # both have to leave


def test_retry_is_neither_too_early_nor_too_late(store: Store, key: str) -> None:
    hit = Hit(key, 3, 600)
    for _ in range(3):
        assert store.windows.acquire([hit])[0]
        store.move(100)
    wait = store.windows.acquire([hit])[1][0].retry
    store.move(wait - 2 * store.slack - 1)
    assert not store.windows.acquire([hit])[0]
    store.move(2 * store.slack + 1)
    assert store.windows.acquire([hit])[0]


def test_long_idle(store: Store, key: str) -> None:
    hit = Hit(key, 100, 60)
    for _ in range(3):
        assert [store.windows.acquire([hit])[0] for _ in range(101)].count(True) == 100
        store.move(10_000_000)
        assert store.windows.peek(hit).remaining == 100


def test_clock_set_back_a_little_keeps_the_hits(store: Store, key: str) -> None:
    hit = Hit(key, 2, 60)
    assert store.windows.acquire([hit])[0]
    store.move(-30)
    assert store.windows.acquire([hit])[0]
    assert not store.windows.acquire([hit])[0]
    store.move(30 + 60)
    assert store.windows.acquire([hit])[0]


def test_clock_set_back_far_begins_anew(store: Store, key: str) -> None:
    hit = Hit(key, 100, 60)
    assert store.windows.acquire([Hit(key, 100, 60, 40)])[0]
    store.move(-100_000)
    assert [store.windows.acquire([hit])[0] for _ in range(101)].count(True) == 100
    store.move(30)
    assert not store.windows.acquire([hit])[0]
    store.move(30)
    assert store.windows.acquire([Hit(key, 100, 60, 100)])[0]


def test_clear(store: Store, key: str) -> None:
    store.windows.acquire([Hit(key, 100, 60, 100), Hit(key, 1, 3600)])
    store.windows.clear(Hit(key, 100, 60))
    assert store.windows.peek(Hit(key, 100, 60)).remaining == 100
    assert store.windows.peek(Hit(key, 1, 3600)).remaining == 0
    assert store.windows.acquire([Hit(key, 100, 60, 100)])[0]


def test_it_answers(store: Store) -> None:
    assert store.windows.check()


Step = int | list[tuple[str, tuple[int, int], int]]
_limits = [(1, 60), (3, 60), (70, 60), (200, 600)]
_wanted = st.tuples(st.sampled_from("ab"), st.sampled_from(_limits), st.integers(0, 80))
_acquire = st.lists(_wanted, min_size=1, max_size=3, unique_by=lambda wanted: wanted[:2])
# Steps are long, so that what passes on Redis's own clock meanwhile does not matter; a clock
# set back by an hour forgets everything, one set back by 20 s keeps it.
_move = st.sampled_from([20, 20, 40, 60, 600, 700, 10_000, -20, -3600])
_steps = st.lists(st.one_of(_acquire, _acquire, _move), max_size=30)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(steps=[[("a", (70, 60), 40)], -3600, [("a", (70, 60), 30)], 40, [("a", (70, 60), 9)]])
@example(steps=[[("a", (3, 60), 1)], -20, [("a", (3, 60), 1)], [("a", (3, 60), 0)]])
@example(
    steps=[
        [("a", (70, 60), 40)],
        -3600,
        [("a", (70, 60), 20)],
        40,
        [("a", (70, 60), 5)],
        40,
        [("a", (70, 60), 65)],
    ]
)
@example(steps=[[("a", (200, 600), 70)], 40, [("a", (200, 600), 70)], 600, [("a", (200, 600), 70)]])
@example(steps=[[("a", (70, 60), 1)], 60, [("b", (1, 60), 0)], -20, [("a", (70, 60), 0)]])
@given(steps=_steps)
def test_like_the_model(store: Store, steps: list[Step]) -> None:
    model, name = Model(), f"model {next(_fresh)} "
    for step in steps:
        if isinstance(step, int):
            store.move(step)
            model.now += step
            continue
        hits = [
            Hit(f"{name}{key}{limit}", limit, seconds, cost) for key, (limit, seconds), cost in step
        ]
        before = [(model.room(hit), model.reset(hit), model.retry(hit)) for hit in hits]
        expected = model.acquire(hits)
        allowed, windows = store.windows.acquire(hits)
        assert allowed is expected
        for hit, window, (room, reset, retry) in zip(hits, windows, before, strict=True):
            assert window.remaining == room - (hit.cost if expected else 0)
            assert window.reset == pytest.approx(reset, abs=store.slack)
            assert window.retry == pytest.approx(retry, abs=store.slack + 0.001)


def test_any_text_is_a_key(store: Store, key: str) -> None:
    """A key function may take one from JSON, where half a character can stand alone. A store that
    failed at it would be taken for one that is away."""
    hit = Hit(f"{key} \ud800\n\0 é", 1, 60)
    assert [store.windows.acquire([hit])[0] for _ in range(2)] == [True, False]
    assert store.windows.peek(hit).remaining == 0
    store.windows.clear(hit)
    assert store.windows.peek(hit).remaining == 1
