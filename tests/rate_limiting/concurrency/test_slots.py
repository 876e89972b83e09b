"""Slots over every store: counted exactly, all or none, and given back for certain."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.rate_limiting.concurrency.slots import Claim, Held
from tests.rate_limiting.concurrency.conftest import MakeWorker, Worker


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A key of the test's own: Redis is shared."""
    return str(request.node.name)


def test_so_many_and_no_more(worker: Worker, key: str) -> None:
    claim = Claim(key, 3)
    tokens = [worker.take(claim) for _ in range(3)]
    assert [full for _, full in tokens] == [()] * 3
    assert worker.take(claim)[1] == (0,)
    worker.free(tokens[1][0], claim)
    assert worker.take(claim)[1] == ()
    assert worker.take(claim)[1] == (0,)


def test_how_many_are_taken_is_told_without_taking_one(worker: Worker, key: str) -> None:
    claims = [Claim(key, 3), Claim(f"{key} other", 3)]
    names = [claim.key for claim in claims]
    assert worker.store.taken(names) == [0, 0]
    token, _ = worker.take(*claims)
    worker.take(claims[0])
    for _ in range(3):
        assert worker.store.taken(names) == [2, 1]
    worker.free(token, *claims)
    assert worker.store.taken(names) == [1, 0]


def test_who_never_takes_one_sees_those_of_others(make_worker: MakeWorker, key: str) -> None:
    beside, *others = (make_worker() for _ in range(3))
    for other in others:
        other.take(Claim(key, 3))
    assert beside.store.taken([key]) == [2]


def test_all_or_none(worker: Worker, key: str) -> None:
    wide, narrow = Claim(f"{key} wide", 5), Claim(f"{key} narrow", 1)
    token, _ = worker.take(wide, narrow)
    for _ in range(10):
        assert worker.take(wide, narrow)[1] == (1,)
    assert worker.held.count(wide.key) == 1
    assert [worker.take(wide)[1] for _ in range(5)] == [(), (), (), (), (0,)]
    worker.free(token, wide, narrow)
    assert worker.take(wide, narrow)[1] == ()


def test_one_on_trial_refuses_nothing_and_is_not_counted(worker: Worker, key: str) -> None:
    trial, real = Claim(f"{key} trial", 1, dry=True), Claim(f"{key} real", 3)
    first, _ = worker.take(trial, real)
    second, full = worker.take(trial, real)
    assert full == (0,)
    assert (worker.held.count(trial.key), worker.held.count(real.key)) == (1, 2)
    worker.take(real)
    assert worker.take(trial, real)[1] == (0, 1)
    assert worker.held.count(trial.key) == 1
    worker.free(second, trial, real)
    worker.free(first, trial, real)
    assert worker.held.count(trial.key) == 0
    assert worker.take(trial, real)[1] == ()


def test_nothing_is_given_back_twice(worker: Worker, key: str) -> None:
    claim = Claim(key, 2)
    token, _ = worker.take(claim)
    worker.take(claim)
    for _ in range(3):
        worker.free(token, claim)
    assert worker.take(claim)[1] == ()
    assert worker.take(claim)[1] == (0,)


def test_workers_count_together(make_worker: MakeWorker, key: str) -> None:
    one, other = make_worker(), make_worker()
    claim = Claim(key, 3)
    token, _ = one.take(claim)
    other.take(claim)
    other.take(claim)
    assert not one.fits(claim)
    assert not other.fits(claim)
    one.free(token, claim)
    assert other.take(claim)[1] == ()
    assert not one.fits(claim)


def test_beats_change_nothing(make_worker: MakeWorker, key: str) -> None:
    one, other = make_worker(), make_worker()
    claim = Claim(key, 2)
    token, _ = one.take(claim)
    other.take(claim)
    for worker in (one, other, one, other):
        worker.store.keep()
    assert not one.fits(claim)
    one.free(token, claim)
    for worker in (one, other):
        worker.store.keep()
    assert one.fits(claim)
    assert other.fits(claim)


def test_threads_of_several_workers(make_worker: MakeWorker, key: str) -> None:
    claim = Claim(key, 4)
    workers = [make_worker() for _ in range(3)]
    inside, peak, counting = 0, 0, threading.Lock()
    together = threading.Barrier(12)

    def ask(worker: Worker) -> None:
        nonlocal inside, peak
        together.wait(20)
        for _ in range(30):
            token, full = worker.take(claim)
            if not full:
                with counting:
                    inside += 1
                    peak = max(peak, inside)
                with counting:
                    inside -= 1
                worker.free(token, claim)

    threads = [threading.Thread(target=ask, args=(workers[n % 3],)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert 1 <= peak <= 4
    assert [workers[0].take(claim)[1] for _ in range(5)] == [(), (), (), (), (0,)]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sets(st.integers(0, 2), min_size=1), st.booleans()),
        max_size=30,
    )
)
def test_as_a_model_counts(
    make_worker: MakeWorker, steps: list[tuple[int, set[int], bool]]
) -> None:
    run = next(_runs)
    workers = [make_worker() for _ in range(3)]
    limits = [1, 2, 4]
    held: list[tuple[int, str, list[int]]] = []
    for number, wanted, leave in steps:
        if leave and held:
            where, token, keys = held.pop(0)
            workers[where].free(token, *(Claim(f"model {run} {k}", limits[k]) for k in keys))
            continue
        keys = sorted(wanted)
        used = [sum(key in others for _, _, others in held) for key in range(3)]
        token, full = workers[number].take(*(Claim(f"model {run} {k}", limits[k]) for k in keys))
        assert full == tuple(n for n, key in enumerate(keys) if used[key] >= limits[key])
        if not full:
            held.append((number, token, keys))


def _count() -> Callable[[], int]:
    numbers = iter(range(10**9))
    return lambda: next(numbers)


_runs = iter(_count(), -1)


def test_held() -> None:
    held = Held()
    held.add(["a", "b"], "x")
    held.add(["a"], "y")
    assert held.everything().keys() == {"a", "b"}
    assert (held.count("a"), held.count("b"), held.count("c")) == (2, 1, 0)
    assert held.remove(["a", "b", "c"], "y") == ["a"]
    assert held.remove(["a", "b", "c"], "x") == ["a", "b"]
    assert held.everything() == {}
