"""What token buckets do in every store: memory, LMDB and Redis, compared with a plain model."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.rate_limiting.windows import Hit, Window
from tests.rate_limiting.shifted import BucketModel, Store

_fresh = itertools.count()
# Slow ones, so that what passes on Redis's own clock meanwhile does not matter: one in an hour.
HOUR = 3600


def passed(store: Store, hit: Hit, times: int) -> int:
    """How many of so many are permitted."""
    return sum(store.windows.acquire([hit])[0] for _ in range(times))


@pytest.mark.parametrize("burst", [0, 1, 20, 99])
def test_burst_and_one_more_at_once(store: Store, key: str, burst: int) -> None:
    hit = Hit(key, 1, HOUR, burst=burst)
    assert passed(store, hit, burst + 10) == burst + 1
    for _ in range(3):
        store.move(HOUR)
        assert passed(store, hit, 5) == 1


def test_it_fills_up_to_the_burst_and_no_further(store: Store, key: str) -> None:
    hit = Hit(key, 2, 2 * HOUR, burst=4)
    assert passed(store, hit, 9) == 5
    store.move(3 * HOUR)
    assert passed(store, hit, 9) == 3
    store.move(1000 * HOUR)
    assert passed(store, hit, 9) == 5


def test_refusals_are_not_counted(store: Store, key: str) -> None:
    hit = Hit(key, 1, HOUR, burst=1)
    assert passed(store, hit, 100) == 2
    store.move(2 * HOUR)
    assert passed(store, hit, 100) == 2


def test_costs(store: Store, key: str) -> None:
    def dear(cost: int) -> Hit:
        return Hit(key, 1, HOUR, cost, burst=9)

    assert store.windows.acquire([dear(4)])[1][0].remaining == 6
    assert store.windows.acquire([dear(4)])[1][0].remaining == 2
    allowed, [window] = store.windows.acquire([dear(3)])
    assert (allowed, window.remaining) == (False, 2)
    assert window.retry == pytest.approx(HOUR, abs=store.slack)
    assert store.windows.acquire([dear(2)])[0]
    store.move(3 * HOUR)
    assert store.windows.acquire([dear(3)])[0]


def test_cost_of_nothing_counts_nothing(store: Store, key: str) -> None:
    for _ in range(2):
        assert store.windows.acquire([Hit(key, 1, HOUR, 0, burst=0)]) == (True, [Window(1, 0, 0)])
    assert passed(store, Hit(key, 1, HOUR, burst=0), 2) == 1
    assert store.windows.acquire([Hit(key, 1, HOUR, 0, burst=0)])[0]


def test_cost_above_the_burst_never_passes(store: Store, key: str) -> None:
    allowed, [window] = store.windows.acquire([Hit(key, 1, HOUR, 4, burst=2)])
    assert (allowed, window.remaining, window.retry) == (False, 3, HOUR)
    assert store.windows.acquire([Hit(key, 1, HOUR, 3, burst=2)])[0]


def test_what_is_told(store: Store, key: str) -> None:
    hit = Hit(key, 1, HOUR, burst=2)
    assert store.windows.peek(hit) == Window(3, 0, 0)
    for left in (2, 1, 0):
        _, [window] = store.windows.acquire([hit])
        assert (window.remaining, window.retry, window.wait) == (left, 0, 0)
        assert window.reset == pytest.approx((3 - left) * HOUR, abs=store.slack)
    store.move(HOUR / 4)
    allowed, [window] = store.windows.acquire([hit])
    assert (allowed, window.remaining) == (False, 0)
    assert window.retry == pytest.approx(HOUR * 3 / 4, abs=store.slack)
    assert window.reset == pytest.approx(HOUR * 11 / 4, abs=store.slack)


def test_retry_is_neither_too_early_nor_too_late(store: Store, key: str) -> None:
    hit = Hit(key, 3, HOUR, burst=4)  # an interval that no float has exactly
    assert passed(store, hit, 9) == 5
    store.move(100)
    wait = store.windows.acquire([hit])[1][0].retry
    store.move(wait - 2 * store.slack - 1)
    assert not store.windows.acquire([hit])[0]
    store.move(2 * store.slack + 1)
    assert store.windows.acquire([hit])[0]


def test_waits_of_paced_hits_are_spaced(store: Store, key: str) -> None:
    hit = Hit(key, 1, HOUR, burst=3, paced=True)
    waits = [store.windows.acquire([hit])[1][0].wait for _ in range(4)]
    assert waits == [pytest.approx(n * HOUR, abs=store.slack) for n in range(4)]
    allowed, [window] = store.windows.acquire([hit])
    assert (allowed, window.wait) == (False, 0)
    store.move(1.5 * HOUR)
    _, [window] = store.windows.acquire([hit])
    assert window.wait == pytest.approx(2.5 * HOUR, abs=store.slack)
    assert store.windows.peek(hit).wait == 0


def test_a_paced_hit_of_a_refused_step_waits_for_nothing(store: Store, key: str) -> None:
    hits = [Hit(key, 1, HOUR, burst=3, paced=True), Hit(key, 1, HOUR)]
    assert store.windows.acquire(hits)[0]
    allowed, windows = store.windows.acquire(hits)
    assert (allowed, [window.wait for window in windows]) == (False, [0, 0])


@pytest.mark.parametrize("full", ["window", "bucket", "period"])
def test_all_or_none_with_windows_and_periods(store: Store, key: str, full: str) -> None:
    kinds = {
        "window": Hit(key, 5, HOUR),
        "bucket": Hit(key, 1, HOUR, burst=4),
        "period": Hit(key, 5, 86400, ends=store.told(store.time() + 86400)),
    }
    tight = kinds[full]
    store.windows.acquire([Hit(key, tight.limit, tight.seconds, 5, tight.burst, ends=tight.ends)])
    allowed, windows = store.windows.acquire(list(kinds.values()))
    assert not allowed
    assert [window.retry > 0 for window in windows] == [name == full for name in kinds]
    left = {name: store.windows.peek(hit).remaining for name, hit in kinds.items()}
    assert left == {name: 0 if name == full else 5 for name in kinds}


def test_a_bucket_and_a_window_of_one_key_count_apart(store: Store, key: str) -> None:
    window, bucket = Hit(key, 3, HOUR), Hit(key, 3, HOUR, burst=1)
    assert passed(store, window, 5) == 3
    assert passed(store, bucket, 5) == 2
    store.windows.clear(bucket)
    assert store.windows.peek(bucket).remaining == 2
    assert store.windows.peek(window).remaining == 0


def test_clock_set_back_a_little_lets_nothing_more_through(store: Store, key: str) -> None:
    hit = Hit(key, 1, 30, burst=1)
    assert passed(store, hit, 5) == 2
    store.move(-40)
    assert passed(store, hit, 5) == 0
    store.move(40 - store.slack)
    assert passed(store, hit, 5) == 0
    store.move(30 + store.slack)
    assert passed(store, hit, 5) == 1


def test_clock_set_back_far_begins_anew(store: Store, key: str) -> None:
    hit = Hit(key, 1, HOUR, burst=1)
    assert passed(store, hit, 5) == 2
    store.move(-100_000)
    assert passed(store, hit, 5) == 2
    store.move(HOUR)
    assert passed(store, hit, 5) == 1


Step = int | list[tuple[str, tuple[int, int, int], int]]
# limit, seconds, burst: intervals of 600, 1200 and 8571.4... s, against steps of minutes.
_buckets = [(6, 3600, 3), (1, 1200, 0), (7, 60_000, 20)]
_wanted = st.tuples(st.sampled_from("ab"), st.sampled_from(_buckets), st.integers(0, 5))
_acquire = st.lists(_wanted, min_size=1, max_size=3, unique_by=lambda wanted: wanted[:2])
_move = st.sampled_from([60, 700, 1300, 9000])
_steps = st.lists(st.one_of(_acquire, _acquire, _move), max_size=40)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(steps=[[("a", (6, 3600, 3), 4)], 700, [("a", (6, 3600, 3), 1)], [("a", (6, 3600, 3), 1)]])
@given(steps=_steps)
def test_like_the_model(store: Store, steps: list[Step]) -> None:
    model, name = BucketModel(), f"bucket {next(_fresh)} "
    slack = Fraction(store.slack) + Fraction(1, 100)
    for step in steps:
        if isinstance(step, int):
            store.move(step)
            model.now += step
            continue
        hits = [
            Hit(f"{name}{key}{limit}", limit, seconds, cost, burst=burst)
            for key, (limit, seconds, burst), cost in step
        ]
        if any(abs(model.ahead(hit) - model.tolerated(hit)) < slack for hit in hits):
            # Just at the border what passed meanwhile decides; those are tested above.
            continue
        before = [model.ahead(hit) for hit in hits]
        expected = model.acquire(hits)
        allowed, windows = store.windows.acquire(hits)
        assert allowed is expected
        for hit, window, ahead in zip(hits, windows, before, strict=True):
            late = float(ahead - model.tolerated(hit)) if hit.cost else 0.0
            impossible = hit.cost > (hit.burst or 0) + 1
            retry = hit.seconds if impossible else max(late, 0.0)
            after = model.ahead(hit)
            assert window.retry == pytest.approx(retry, abs=store.slack + 0.01)
            assert window.reset == pytest.approx(float(after), abs=store.slack + 0.01)
            room = float((hit.burst or 0) + 1 - after / model.interval(hit))
            loose = float(slack / model.interval(hit))
            assert room - loose - 1 < window.remaining <= max(room + loose, 0.0)
