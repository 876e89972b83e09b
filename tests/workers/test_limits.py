"""Limits across the workers of a real gateway: exact, whatever happens to a worker or to Redis."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.rate_limiting.redis_server import RedisServer, needs_redis, start_redis
from tests.support.client import Address, Ended, exchange
from tests.support.gunicorn import Gateway, start_gateway, wait_for

LIMIT, REQUESTS = 100, 400
LOST = 0


@contextlib.contextmanager
def gateway(worker_class: str, workers: int = 4, **env: str) -> Iterator[Gateway]:
    """The gateway of the limit tests; WEB_CONCURRENCY workers, all of them up."""
    with start_gateway(
        "tests.workers.limits_app:app", worker_class=worker_class, workers=workers, env=env
    ) as running:
        assert wait_for(lambda: len(running.worker_pids()) == workers)
        yield running


def get(address: Address, path: str = "/limited/view") -> int:
    """The status of one request on a connection of its own; LOST if there was no answer."""
    message = f"GET {path} HTTP/1.1\r\nHost: limits\r\nConnection: close\r\n\r\n"
    try:
        return exchange(address, message.encode()).status
    except (Ended, OSError):
        return LOST


def burst(
    address: Address,
    requests: int = REQUESTS,
    clients: int = 100,
    path: str = "/limited/view",
) -> Counter[int]:
    """So many requests, as concurrently as so many clients can; counted by status."""
    found: Counter[int] = Counter()
    counting = threading.Lock()
    together = threading.Barrier(clients)

    def client() -> None:
        together.wait(30)
        for _ in range(requests // clients):
            status = get(address, path)
            with counting:
                found[status] += 1

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def limits(running: Gateway) -> dict[str, Any]:
    """What /readyz says of limits; it must say that the gateway is ready."""
    reply = exchange(running.address, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert reply.status == 200
    return dict(json.loads(reply.body)["limits"])


KINDS = ["view", "bucket", "period"]


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_exact_over_the_embedded_store(worker_class: str) -> None:
    with gateway(worker_class) as running:
        for kind in KINDS:
            found = burst(running.address, path=f"/limited/{kind}")
            assert (kind, found) == (kind, {200: LIMIT, 429: REQUESTS - LIMIT})
        assert limits(running) == {"store": "shared", "fallbacks": 0}


@needs_redis
@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_exact_over_redis(worker_class: str) -> None:
    # A time that a busy machine keeps: what is tested here is not the way out.
    with (
        start_redis() as redis,
        gateway(worker_class, REDIS_URL=redis.url, REDIS_TIMEOUT="5") as running,
    ):
        for kind in KINDS:
            found = burst(running.address, path=f"/limited/{kind}")
            assert (kind, found) == (kind, {200: LIMIT, 429: REQUESTS - LIMIT})
        assert limits(running) == {"store": "shared", "fallbacks": 0}


@pytest.mark.parametrize(
    ("worker_class", "kind"),
    [("gevent", "view"), ("gthread", "view"), ("gevent", "bucket"), ("gthread", "period")],
)
def test_killed_worker(worker_class: str, kind: str) -> None:
    path = f"/limited/{kind}"
    with gateway(worker_class) as running:
        victim = running.worker_pids()[0]
        killer = threading.Timer(0.1, os.kill, (victim, signal.SIGKILL))
        killer.start()
        found = burst(running.address, path=path)
        killer.join()
        assert found.total() == REQUESTS
        assert set(found) <= {200, 429, LOST}
        # A lost request may have been counted.
        assert LIMIT - found[LOST] <= found[200] <= LIMIT
        assert wait_for(lambda: victim not in running.worker_pids())
        assert wait_for(lambda: len(running.worker_pids()) == 4, 20)
        assert burst(running.address, path=path) == {429: REQUESTS}
        assert limits(running)["store"] == "shared"


def test_workers_killed_again_and_again() -> None:
    with gateway("gevent") as running:
        found: Counter[int] = Counter()
        working = threading.Thread(target=lambda: found.update(burst(running.address, 1000, 20)))
        working.start()
        while working.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.worker_pids()[-1], signal.SIGKILL)
            time.sleep(0.3)
        assert found.total() == 1000
        assert LIMIT - found[LOST] <= found[200] <= LIMIT
        assert wait_for(lambda: get(running.address) == 429)


def flows(running: Gateway, requests: int = 40) -> bool:
    """Whether requests are answered, and quickly after the first few."""
    began = time.monotonic()
    statuses = {get(running.address, "/limited/plenty") for _ in range(requests)}
    return statuses == {200} and time.monotonic() - began < 15


@needs_redis
@pytest.mark.parametrize(
    ("worker_class", "way"), [("gevent", "stop"), ("gevent", "hang"), ("gthread", "stop")]
)
def test_redis_goes_and_comes_back(worker_class: str, way: str) -> None:
    with start_redis() as redis, gateway(worker_class, 2, REDIS_URL=redis.url) as running:
        assert flows(running)
        assert limits(running) == {"store": "shared", "fallbacks": 0}
        getattr(redis, way)()
        assert flows(running)
        assert wait_for(lambda: flows(running, 4) and limits(running)["store"] == "local")
        assert limits(running)["fallbacks"] > 0
        assert "rate limit store redis failed" in running.stderr_text()
        _revive(redis, way)
        assert wait_for(lambda: flows(running, 4) and _settled(running), 20)
        assert "rate limit store redis is back" in running.stderr_text()
        before = limits(running)["fallbacks"]
        assert flows(running)
        assert limits(running) == {"store": "shared", "fallbacks": before}


def _revive(redis: RedisServer, way: str) -> None:
    if way == "stop":
        redis.start()
    else:
        redis.go_on()


def _settled(running: Gateway) -> bool:
    """Whether every worker that missed Redis has found it again."""
    text = running.stderr_text()
    return text.count("redis is back") == text.count("redis failed")


@needs_redis
def test_local_limits_are_exact_while_redis_is_away() -> None:
    with start_redis() as redis, gateway("gevent", REDIS_URL=redis.url) as running:
        redis.stop()
        assert burst(running.address) == {200: LIMIT, 429: REQUESTS - LIMIT}
        assert limits(running)["fallbacks"] == REQUESTS
