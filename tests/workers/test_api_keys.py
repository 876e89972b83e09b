"""API keys over the workers of a real gateway: all see changes, and nothing goes uncounted."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.database.schema import upgrade
from tests.authentication.api_keys.support import keeping, made, unused_key
from tests.support.client import Address, Ended, exchange
from tests.support.gunicorn import Gateway, start_gateway, wait_for
from tests.support.postgresql import needs_postgresql, start_postgresql

WORKERS = 4


@contextlib.contextmanager
def gateway(
    worker_class: str, database_url: str, workers: int = WORKERS, **env: str
) -> Iterator[Gateway]:
    """The gateway of the key tests with all of its workers up."""
    settings = {"API_KEYS": "true", "DATABASE_URL": database_url, **env}
    with start_gateway(
        "tests.workers.keys_app:app", worker_class=worker_class, workers=workers, env=settings
    ) as running:
        assert wait_for(lambda: len(running.worker_pids()) == workers)
        yield running


def ask(address: Address, key: str, timeout: float = 30) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own; 0 for no answer."""
    head = "GET /own/pid HTTP/1.1\r\nHost: keys\r\nConnection: close\r\n"
    try:
        reply = exchange(address, f"{head}X-API-Key: {key}\r\n\r\n".encode(), timeout=timeout)
    except (Ended, OSError):
        return 0, b""
    return reply.status, reply.body


def send(address: Address, key: str, requests: int, clients: int = 20) -> Counter[int]:
    """So many requests by several clients at once; by the worker that answered with 200."""
    found: Counter[int] = Counter()
    counting = threading.Lock()

    def client() -> None:
        for _ in range(requests // clients):
            status, body = ask(address, key)
            with counting:
                found[int(body) if status == 200 else -status] += 1

    _all(client, clients)
    return found


def _all(action: Callable[[], None], times: int) -> None:
    threads = [threading.Thread(target=action) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)


@dataclass(slots=True)
class Seen:
    """What clients were answered that kept asking: when they asked, the status, the worker."""

    answers: list[tuple[float, int, bytes]] = field(default_factory=list)

    def since(self, moment: float) -> list[tuple[float, int, bytes]]:
        """Answers to what was asked after a moment."""
        return [one for one in self.answers if one[0] > moment]

    def workers(self, moment: float = 0) -> set[bytes]:
        """The workers that let the key pass since."""
        return {body for _, status, body in self.since(moment) if status == 200}


@contextlib.contextmanager
def asking(address: Address, key: str, clients: int = 8) -> Iterator[Seen]:
    """Clients that ask with the key all the time."""
    seen, over = Seen(), threading.Event()

    def client() -> None:
        while not over.is_set():
            at = time.monotonic()
            status, body = ask(address, key)
            seen.answers.append((at, status, body))
            over.wait(0.05)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join(30)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite database that is ready to use."""
    url = f"sqlite:///{tmp_path / 'records.db'}"
    upgrade(url)
    return url


def totals(url: str) -> dict[str, tuple[int, int]]:
    """Today's requests and all of each key, as the database says; today may be over by now."""
    with keeping(url) as keeper:
        return {row["id"]: (row["today"] or 0, row["total"] or 0) for row in keeper.all()}


def total(url: str, key: str) -> int:
    """All requests of a key."""
    return totals(url)[key[3:15]][1]


# Each worker class with each database, between the two of them and what follows.
@pytest.mark.parametrize(
    ("worker_class", "empty_url"),
    [("gevent", "postgresql"), ("gthread", "sqlite")],
    indirect=True,
)
def test_a_change_is_seen_by_every_worker(worker_class: str, database_url: str) -> None:
    key = made(database_url)
    with (
        gateway(worker_class, database_url) as running,
        keeping(database_url) as keeper,
        asking(running.address, key) as seen,
    ):
        assert wait_for(lambda: len(seen.workers()) == WORKERS, 30), running.stderr_text()

        def settles(change: Callable[[], None], expected: int) -> None:
            change()
            changed = time.monotonic()
            assert wait_for(lambda: len(seen.since(changed + 2)) > 100, 30)
            # A second is promised; the other one is for a machine that is busy.
            assert {status for _, status, _ in seen.since(changed + 2)} == {expected}

        settles(lambda: keeper.set_active(key[3:15], active=False), 401)
        settles(lambda: keeper.set_active(key[3:15], active=True), 200)
        settles(lambda: keeper.revoke(key[3:15]), 401)
        assert all(status in (200, 401) for _, status, _ in seen.answers)


@pytest.mark.parametrize(
    ("worker_class", "empty_url"),
    [("gevent", "sqlite"), ("gthread", "postgresql")],
    indirect=True,
)
def test_the_count_is_exact(worker_class: str, database_url: str) -> None:
    keys = [made(database_url), made(database_url)]
    with gateway(worker_class, database_url) as running:
        for key in keys:
            found = send(running.address, key, 400)
            assert found.total() == sum(found[pid] for pid in running.worker_pids()) == 400
        running.signal(signal.SIGTERM)
        assert running.process.wait(30) == 0
    assert [total(database_url, key) for key in keys] == [400, 400]


def test_workers_that_are_replaced_lose_no_count(worker_class: str, sqlite_url: str) -> None:
    key = made(sqlite_url)
    settings = {"MAX_REQUESTS": "50", "MAX_REQUESTS_JITTER": "30"}
    with gateway(worker_class, sqlite_url, 2, **settings) as running:
        found: Counter[int] = Counter()
        while len(found) < 6:
            found += send(running.address, key, 200, clients=6)
        running.signal(signal.SIGTERM)
        assert running.process.wait(30) == 0
    assert all(worker > 0 for worker in found)  # each was answered
    assert total(sqlite_url, key) == found.total()


def test_a_killed_worker_loses_its_last_interval_alone(worker_class: str, sqlite_url: str) -> None:
    key = made(sqlite_url)
    with gateway(worker_class, sqlite_url) as running:
        assert send(running.address, key, 200).total() == 200
        assert wait_for(lambda: total(sqlite_url, key) == 200)
        last = send(running.address, key, 100)
        victim = max(running.worker_pids(), key=lambda pid: last[pid])
        os.kill(victim, signal.SIGKILL)
        assert wait_for(lambda: victim not in running.worker_pids())
        running.signal(signal.SIGTERM)
        assert running.process.wait(30) == 0
    assert last[victim] > 0
    assert 300 - last[victim] <= total(sqlite_url, key) <= 300


@needs_postgresql
def test_without_the_database_known_keys_pass_and_are_counted(worker_class: str) -> None:
    with start_postgresql() as server:
        url = server.new_database()
        upgrade(url)
        key = made(url)
        with gateway(worker_class, url, 2) as running:
            sent: Counter[int] = Counter()
            while len(sent) < 2:  # until both workers know the key
                sent += send(running.address, key, 40)
            server.stop()
            assert set(send(running.address, key, 100)) <= set(running.worker_pids())
            assert ask(running.address, unused_key())[0] == 503
            assert wait_for(lambda: "the database cannot be used" in running.stderr_text())
            server.start()
            assert wait_for(lambda: ask(running.address, unused_key())[0] == 401)
            running.signal(signal.SIGTERM)
            assert running.process.wait(30) == 0
        assert total(url, key) == sent.total() + 100


def unhurried(running: Gateway, condition: Callable[[], object]) -> float:
    """How long the slowest answer took that needs no database, until a condition holds."""
    slowest = 0.0
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    while not condition():
        began = time.monotonic()
        assert exchange(running.address, request, timeout=30).status == 200
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.03)
    return slowest


@needs_postgresql
def test_a_database_that_hangs_holds_up_nobody_else(worker_class: str) -> None:
    with start_postgresql() as server:
        url = server.new_database()
        upgrade(url)
        key = made(url)
        with gateway(worker_class, url, 1) as running:
            assert ask(running.address, key)[0] == 200
            server.hang()
            answers: list[Any] = []
            keys = [unused_key() for _ in range(8)]
            began = time.monotonic()
            threads = [
                threading.Thread(
                    target=lambda one=one: answers.append(ask(running.address, one, 30))
                )
                for one in keys
            ]
            for thread in threads:
                thread.start()
            slowest = unhurried(running, lambda: len(answers) == len(keys))
            assert slowest < 1.5
            assert [status for status, _ in answers] == [503] * len(keys)
            assert time.monotonic() - began < 30
            assert ask(running.address, key)[0] == 200
            server.go_on()
            assert wait_for(lambda: ask(running.address, unused_key())[0] == 401)


def test_a_locked_file_holds_up_nobody(worker_class: str, sqlite_url: str) -> None:
    key = made(sqlite_url)
    with gateway(worker_class, sqlite_url, 1) as running, keeping(sqlite_url) as keeper:
        assert ask(running.address, key)[0] == 200
        with keeper._database.write():  # the worker has something to write, and cannot
            end = time.monotonic() + 4
            assert unhurried(running, lambda: time.monotonic() > end) < 1.5
            assert ask(running.address, key)[0] == 200
        assert wait_for(lambda: total(sqlite_url, key) == 2)
