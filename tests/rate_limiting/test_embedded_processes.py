"""Several processes on one embedded store: exact, also while some of them are killed."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import random
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from gateway.rate_limiting.embedded import EmbeddedWindows
from gateway.rate_limiting.windows import Hit
from gateway.state import EmbeddedStore
from tests.support.gunicorn import wait_for

# Forked, as gunicorn's workers are.
_context = multiprocessing.get_context("fork")


@contextlib.contextmanager
def processes(count: int, work: Callable[..., None], *args: Any) -> Iterator[Sequence[BaseProcess]]:
    """Processes at work, each of them ended with the block."""
    running = [_context.Process(target=work, args=args) for _ in range(count)]
    for process in running:
        process.start()
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.join(10)
            process.close()


def ask(folder: Path, hits: list[Hit], times: int, results: Any) -> None:
    """Ask so often, and tell how often it was allowed."""
    windows = EmbeddedWindows(EmbeddedStore(folder))
    results.put(sum(windows.acquire(hits)[0] for _ in range(times)))


def hammer(folder: Path, hits: list[Hit], counted: Any) -> None:
    """Ask without end, and announce every permission in shared memory."""
    windows = EmbeddedWindows(EmbeddedStore(folder))
    while True:
        if windows.acquire(hits)[0]:
            counted.value += 1


def advanced(counted: Any, before: int) -> bool:
    """Whether a process has been allowed more meanwhile."""
    return read(counted) > before + 20


def read(counted: Any) -> int:
    """A shared count."""
    return int(counted.value)


def one_of(kind: str, limit: int) -> Hit:
    """A hit that there is room for so often, whatever time passes in a test."""
    if kind == "bucket":
        return Hit("one", 1, 10**6, burst=limit - 1)
    return Hit("one", limit, 3600, ends=None if kind == "window" else 4e9)


@pytest.mark.parametrize(
    ("kind", "limit"),
    [("window", 1), ("window", 100), ("window", 3000), ("bucket", 1000), ("period", 1000)],
)
def test_four_processes_are_exact(tmp_path: Path, kind: str, limit: int) -> None:
    hits = [one_of(kind, limit), Hit("other", limit * 2, 3600)]
    results = _context.Queue()
    with processes(4, ask, tmp_path, hits, limit, results):
        allowed = sum(results.get(timeout=60) for _ in range(4))
    assert allowed == limit
    store = EmbeddedStore(tmp_path)
    assert EmbeddedWindows(store).peek(hits[1]).remaining == limit
    store.close()


def test_exact_although_the_parent_has_it_open(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    windows = EmbeddedWindows(store)
    hits = [Hit("one", 50, 3600)]
    assert sum(windows.acquire(hits)[0] for _ in range(10)) == 10
    results = _context.Queue()
    with processes(2, ask, tmp_path, hits, 50, results):
        assert sum(results.get(timeout=60) for _ in range(2)) == 40
    assert not windows.acquire(hits)[0]
    assert store.count("after", 1) == 1
    store.close()


def hold(folder: Path, held: Any, release: Any) -> None:
    """Stay inside a change of the store."""
    with EmbeddedStore(folder).write(b"counters"):
        held.set()
        release.wait(20)


def open_only(folder: Path, opened: Any) -> None:
    """Open the store and ask nothing of it."""
    EmbeddedWindows(EmbeddedStore(folder)).check()
    opened.set()


def test_opening_waits_for_its_turn(tmp_path: Path) -> None:
    held, release, opened = _context.Event(), _context.Event(), _context.Event()
    with processes(1, hold, tmp_path, held, release):
        assert held.wait(20)
        with processes(1, open_only, tmp_path, opened):
            assert not opened.wait(0.5)
            release.set()
            assert opened.wait(20)


def test_kills_free_the_lock_and_corrupt_nothing(tmp_path: Path) -> None:
    limit, rounds = 10**9, 40
    hits = [Hit("one", limit, 3600), Hit("two", limit, 3600, ends=4e9)]
    chance = random.Random(7)
    allowed = 0
    for _ in range(rounds):
        counts = [_context.Value("Q", 0, lock=False) for _ in range(3)]
        with contextlib.ExitStack() as stack:
            running = [
                stack.enter_context(processes(1, hammer, tmp_path, hits, counted))[0]
                for counted in counts
            ]
            time.sleep(chance.uniform(0.02, 0.06))
            running[2].kill()
            running[2].join(10)
            # Neither of those left may wait for one that is gone.
            for survivor in counts[:2]:
                before = read(survivor)
                assert wait_for(functools.partial(advanced, survivor, before), 20)
        allowed += sum(map(read, counts))
    store = EmbeddedStore(tmp_path)
    windows = EmbeddedWindows(store)
    used = [limit - windows.peek(hit).remaining for hit in hits]
    # Each kill may come between a permission and its announcement.
    assert used[0] == used[1]
    assert allowed <= used[0] <= allowed + 3 * rounds
    store.close()


@pytest.mark.parametrize("kind", ["window", "bucket", "period"])
def test_kills_never_let_more_through(tmp_path: Path, kind: str) -> None:
    limit, allowed = 10_000, 0
    hits = [one_of(kind, limit)]
    store = EmbeddedStore(tmp_path)
    windows = EmbeddedWindows(store)
    end = time.monotonic() + 60
    while windows.peek(hits[0]).remaining and time.monotonic() < end:
        counts = [_context.Value("Q", 0, lock=False) for _ in range(4)]
        with contextlib.ExitStack() as stack:
            for counted in counts:
                stack.enter_context(processes(1, hammer, tmp_path, hits, counted))
            time.sleep(0.03)
        allowed += sum(map(read, counts))
    assert limit / 2 < allowed <= limit
    assert not any(windows.acquire(hits)[0] for _ in range(100))
    store.close()
