"""Plans over the workers of a real gateway: exact, and quotas that outlast what counts them."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path

import jwt
import pytest
import redis

from gateway.authentication.api_keys.keeping import KeyKeeper, NewKey
from gateway.database.engine import Database
from gateway.database.schema import upgrade
from gateway.database.usage import UsageLedger
from gateway.rate_limiting.quotas import ledger_name, period_of
from tests.rate_limiting.redis_server import needs_redis, start_redis
from tests.support.client import Address, Reply, exchange
from tests.support.gunicorn import SECRET, Gateway, start_gateway, wait_for

WORKERS = 4
PLANS = {
    "bursty": {"rate": "10/hour", "burst": 39},
    "metered": {"rate": "1000/second", "burst": 5000, "quota": "100/month"},
}


def start(
    worker_class: str, *, workers: int = WORKERS, **env: str
) -> AbstractContextManager[Gateway]:
    """The gateway of the plan tests."""
    return start_gateway(
        "tests.workers.plans_app:app",
        worker_class=worker_class,
        workers=workers,
        env={"PLANS": json.dumps(PLANS), **env},
    )


def get(address: Address, field: str) -> Reply:
    """One request with a header field, on a connection of its own."""
    head = f"GET /planned/view HTTP/1.1\r\nHost: x\r\n{field}\r\n"
    return exchange(address, f"{head}Connection: close\r\n\r\n".encode())


def ask(address: Address, plan: str) -> Reply:
    """One request of ada's under a plan."""
    claims = {"sub": "ada", "plan": plan, "exp": time.time() + 300}
    return get(address, f"Authorization: Bearer {jwt.encode(claims, SECRET, 'HS256')}")


def burst(address: Address, plan: str, requests: int, clients: int = 20) -> Counter[int]:
    """So many requests by so many clients at once; counted by status."""
    found: Counter[int] = Counter()
    counting = threading.Lock()
    together = threading.Barrier(clients)

    def client() -> None:
        together.wait(30)
        for _ in range(requests // clients):
            status = ask(address, plan).status
            with counting:
                found[status] += 1

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def spent(url: str) -> int:
    """What the database knows of this month."""
    database = Database(url)
    month = period_of("month", time.time()).name
    try:
        return UsageLedger(database).spent(ledger_name("user:ada"), month)
    finally:
        database.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """The address of a database file with its tables."""
    url = f"sqlite:///{tmp_path / 'records.db'}"
    upgrade(url)
    return url


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_exact_over_all_workers(worker_class: str, sqlite: str) -> None:
    with start(worker_class, DATABASE_URL=sqlite) as running:
        assert wait_for(lambda: len(running.worker_pids()) == WORKERS)
        assert burst(running.address, "bursty", 200) == {200: 40, 429: 160}
        assert burst(running.address, "metered", 200) == {200: 100, 429: 100}
        assert wait_for(lambda: spent(sqlite) == 100)


@pytest.mark.parametrize(
    ("worker_class", "empty_url"),
    [("gevent", "postgresql"), ("gthread", "sqlite")],
    indirect=["empty_url"],
)
def test_a_quota_outlasts_gateway_and_machine(
    worker_class: str, database_url: str, tmp_path: Path
) -> None:
    state = tmp_path / "state"

    def again(workers: int = 2) -> AbstractContextManager[Gateway]:
        env = {"DATABASE_URL": database_url, "STATE_URL": f"lmdb://{state}"}
        return start(worker_class, workers=workers, **env)

    with again() as running:
        assert burst(running.address, "metered", 40) == {200: 40}
    assert spent(database_url) == 40
    with again() as running:  # what counts is still there
        assert burst(running.address, "metered", 20) == {200: 20}
    shutil.rmtree(state)  # as on another machine
    with again(WORKERS) as running:
        assert wait_for(lambda: len(running.worker_pids()) == WORKERS)
        # All workers meet the lost counter at once.
        assert burst(running.address, "metered", 100) == {200: 40, 429: 60}
    assert spent(database_url) == 100


@needs_redis
def test_a_quota_outlasts_a_flushed_redis(sqlite: str) -> None:
    env = {"REDIS_TIMEOUT": "5", "DATABASE_URL": sqlite}
    with (
        start_redis() as server,
        start("gevent", workers=2, REDIS_URL=server.url, **env) as running,
    ):
        assert burst(running.address, "metered", 60) == {200: 60}
        assert wait_for(lambda: spent(sqlite) == 60)
        with redis.Redis.from_url(server.url) as client:
            client.flushall()
        # One after the other: of requests at the same time, a few more could pass.
        found = Counter(ask(running.address, "metered").status for _ in range(60))
        assert found == {200: 40, 429: 20}


def test_without_its_database_the_store_counts(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'missing.db'}"
    with start("gevent", workers=2, DATABASE_URL=url) as running:
        assert burst(running.address, "metered", 140) == {200: 100, 429: 40}
        told = "quotas cannot be read from the database"
        assert 1 <= running.stderr_text().count(told) <= 2  # each worker once
        upgrade(url)
        # What was counted meanwhile is written then.
        assert wait_for(lambda: spent(url) == 100)
        assert ask(running.address, "metered").status == 429


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_usage_plans_of_api_keys(worker_class: str, sqlite: str) -> None:
    """As in docs/plans.md: the key's plan, and what one key has instead."""
    database = Database(sqlite)
    keeper = KeyKeeper(database)
    _, basic = keeper.create(NewKey("shop", "acme", plan="basic"))
    _, trusted = keeper.create(NewKey("app", "acme", plan="basic", overrides={"quota": "7/month"}))
    database.close()
    plans = {"basic": {"rate": "1/minute", "burst": 19, "quota": "5/month"}}
    told = json.dumps(plans)
    env = {"API_KEYS": "true", "DATABASE_URL": sqlite, "PLANS": told}
    with start(worker_class, workers=2, **env) as running:
        for key, quota in ((basic, 5), (trusted, 7)):
            field = f"X-API-Key: {key}"
            replies = [get(running.address, field) for _ in range(quota + 1)]
            assert [reply.status for reply in replies] == [200] * quota + [429]
            left = [int(reply.header(b"X-Quota-Remaining")[0]) for reply in replies]
            assert left == [*range(quota - 1, -1, -1), 0]
            assert json.loads(replies[-1].body)["code"] == "quota_exhausted"
            assert replies[0].header(b"RateLimit-Policy")[0].startswith(b'"basic-60";q=1;w=60')
