"""Concurrency limits over the workers of a real gateway: never more than that, and never fewer."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.rate_limiting.redis_server import needs_redis, start_redis
from tests.support.client import Address, Ended, exchange
from tests.support.gunicorn import Gateway, start_gateway, wait_for
from tests.support.wsgi import bearer
from tests.workers.counting import CountingBackend

LIMIT = 10  # of the service `counted`
LOST = 0
WORKERS = 4


@contextlib.contextmanager
def gateway(worker_class: str, backend: CountingBackend, **env: str) -> Iterator[Gateway]:
    """The gateway of the concurrency tests, all of its workers up."""
    with start_gateway(
        "tests.workers.concurrency_app:app",
        worker_class=worker_class,
        workers=WORKERS,
        env={
            "COUNTED_URL": backend.url,
            "OWN_URL": backend.url,
            "WORKER_THREADS": "16",
            "GRACEFUL_TIMEOUT": "20",
            **env,
        },
    ) as running:
        assert wait_for(lambda: len(running.worker_pids()) == WORKERS)
        yield running


def get(address: Address, path: str = "/counted/x", *fields: str) -> int:
    """The status of one request on a connection of its own; LOST if there was no answer."""
    lines = [f"GET {path} HTTP/1.1", "Host: counted", "Connection: close", *fields, "", ""]
    try:
        return exchange(address, "\r\n".join(lines).encode(), timeout=30).status
    except (Ended, OSError):
        return LOST


def burst(ask: Callable[[], int], requests: int, clients: int) -> Counter[int]:
    """So many requests, as concurrently as so many clients can; counted by status."""
    with ThreadPoolExecutor(clients) as pool:
        return Counter(pool.map(lambda _: ask(), range(requests)))


def fills(running: Gateway, backend: CountingBackend) -> bool:
    """Whether as many as may be get in: the backend holds them until all have come."""
    backend.end_streams.clear()
    streams = [_stream(running.address) for _ in range(LIMIT)]
    try:
        return wait_for(lambda: backend.inside == LIMIT, 5)
    finally:
        for stream in streams:
            stream.close()
        wait_for(lambda: backend.inside == 0)


def _stream(address: Address) -> socket.socket:
    """A client of a stream that goes on until the client leaves."""
    assert isinstance(address, int)
    client = socket.create_connection(("127.0.0.1", address), timeout=20)
    client.sendall(b"GET /counted/stream HTTP/1.1\r\nHost: counted\r\n\r\n")
    return client


def check_exact(running: Gateway, backend: CountingBackend) -> None:
    """Hundreds at once, and then again as many as may be."""
    found = burst(lambda: get(running.address), 400, 80)
    assert set(found) == {200, 429}
    assert backend.peak == LIMIT
    assert found[200] == backend.served
    assert wait_for(lambda: fills(running, backend))
    assert backend.peak == LIMIT


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_exact_over_the_embedded_store(worker_class: str) -> None:
    with CountingBackend() as backend, gateway(worker_class, backend) as running:
        check_exact(running, backend)


@needs_redis
@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_exact_over_redis(worker_class: str) -> None:
    with (
        start_redis() as redis,
        CountingBackend() as backend,
        # A time that a busy machine keeps: what is tested here is not the way out.
        gateway(worker_class, backend, REDIS_URL=redis.url, REDIS_TIMEOUT="5") as running,
    ):
        check_exact(running, backend)


def test_each_identity_has_its_own() -> None:
    with CountingBackend() as backend, gateway("gevent", backend) as running:
        names = ["ada", "bob", "eve"]
        tokens = [": ".join(bearer(sub=name)) for name in names]

        with ThreadPoolExecutor(3) as pool:
            found = list(
                pool.map(lambda t: burst(lambda: get(running.address, "/own/x", t), 60, 12), tokens)
            )
        assert all(set(one) == {200, 429} for one in found)
        assert 2 < backend.peak <= 6
        assert get(running.address, "/own/x") == 401


@pytest.mark.parametrize(
    ("worker_class", "store"),
    [
        ("gevent", "lmdb"),
        ("gthread", "lmdb"),
        pytest.param("gevent", "redis", marks=needs_redis),
    ],
)
def test_killed_worker(worker_class: str, store: str) -> None:
    with contextlib.ExitStack() as stack:
        env: dict[str, str] = {}
        if store == "redis":
            server = stack.enter_context(start_redis())
            env = {"REDIS_URL": server.url, "REDIS_TIMEOUT": "5"}
        backend = stack.enter_context(CountingBackend())
        running = stack.enter_context(gateway(worker_class, backend, **env))
        streams = [_stream(running.address) for _ in range(LIMIT)]
        assert wait_for(lambda: backend.inside == LIMIT)
        assert get(running.address) == 429
        for victim in running.worker_pids():
            os.kill(victim, signal.SIGKILL)
            if wait_for(lambda: backend.inside < LIMIT, 1):
                break  # it held some of them
        assert backend.inside < LIMIT
        began = time.monotonic()
        assert wait_for(lambda: get(running.address) == 200)
        assert time.monotonic() - began < 8  # a lease and a beat, on a busy machine
        for stream in streams:
            stream.close()
        assert wait_for(lambda: fills(running, backend))
        assert backend.peak == LIMIT


def test_workers_killed_again_and_again_under_load() -> None:
    with CountingBackend(0.02) as backend, gateway("gevent", backend) as running:
        found: Counter[int] = Counter()
        working = threading.Thread(
            target=lambda: found.update(burst(lambda: get(running.address), 1500, 40))
        )
        working.start()
        while working.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.worker_pids()[-1], signal.SIGKILL)
            time.sleep(0.5)
        assert set(found) <= {200, 429, LOST}
        assert backend.peak <= LIMIT
        assert wait_for(lambda: fills(running, backend), 20)
        assert backend.peak == LIMIT


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_clients_that_leave_give_their_slots_back(worker_class: str) -> None:
    with CountingBackend() as backend, gateway(worker_class, backend) as running:
        for _ in range(3):
            assert fills(running, backend)
        backend.hold = 20.0
        waiting = [_waiting(running.address) for _ in range(LIMIT)]
        assert wait_for(lambda: backend.inside == LIMIT)
        for client in waiting:
            client.close()
        backend.hold = 0.0
        assert wait_for(lambda: get(running.address) == 200)
        assert wait_for(lambda: fills(running, backend))


def _waiting(address: Address) -> socket.socket:
    """A client that waits for an answer."""
    assert isinstance(address, int)
    client = socket.create_connection(("127.0.0.1", address), timeout=20)
    client.sendall(b"GET /counted/slow HTTP/1.1\r\nHost: counted\r\n\r\n")
    return client


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_workers_that_are_replaced(worker_class: str) -> None:
    with (
        CountingBackend(0.01) as backend,
        gateway(worker_class, backend, MAX_REQUESTS="40", MAX_REQUESTS_JITTER="5") as running,
    ):
        found = burst(lambda: get(running.address), 300, 30)
        assert set(found) <= {200, 429}, running.stderr_text()[-3000:]
        assert backend.peak <= LIMIT
        assert wait_for(lambda: fills(running, backend))
        assert backend.peak == LIMIT


@needs_redis
@pytest.mark.parametrize("way", ["stop", "hang"])
def test_redis_goes_and_comes_back(way: str) -> None:
    with (
        start_redis() as redis,
        CountingBackend() as backend,
        gateway("gevent", backend, REDIS_URL=redis.url) as running,
    ):
        assert fills(running, backend)
        getattr(redis, way)()
        assert wait_for(lambda: fills(running, backend), 20)  # counted on this machine
        assert burst(lambda: get(running.address), 100, 40)[200] > 0
        assert wait_for(lambda: "slots in redis failed" in running.stderr_text())
        if way == "stop":
            redis.start()
        else:
            redis.go_on()
        # Only who is asked something looks whether it is back.
        assert wait_for(
            lambda: burst(lambda: get(running.address), 40, 20) and _settled(running), 20
        ), running.stderr_text()
        assert wait_for(lambda: fills(running, backend), 20)
        found = burst(lambda: get(running.address), 200, 40)
        assert set(found) == {200, 429}


def _settled(running: Gateway) -> bool:
    """Whether every worker that missed Redis has found it again."""
    text = running.stderr_text()
    return text.count("slots in redis are back") == text.count("slots in redis failed")
