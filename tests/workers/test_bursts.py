"""Token buckets in a real gateway: what nginx's limit_req does, and how requests wait."""

from __future__ import annotations

import socket
import time
from collections import Counter

import pytest

from tests.rate_limiting.redis_server import needs_redis, start_redis
from tests.support.gunicorn import Gateway, wait_for
from tests.workers.test_limits import burst, flows, gateway, get, limits


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_rate_and_burst_without_delay(worker_class: str) -> None:
    """rate=10r/s burst=20 nodelay."""
    with gateway(worker_class) as running:
        began = time.monotonic()
        found = burst(running.address, 200, 100, "/limited/nginx")
        took = time.monotonic() - began
        assert set(found) == {200, 429}
        # One more for each tenth of a second that it took.
        assert 21 <= found[200] <= 21 + took * 10 + 1
        assert wait_for(lambda: get(running.address, "/limited/nginx") == 200)


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_rate_and_burst_with_delay(worker_class: str) -> None:
    """rate=10r/s burst=20."""
    with gateway(worker_class, 2) as running:
        began = time.monotonic()
        found = burst(running.address, 30, 30, "/limited/nginx-delay")
        took = time.monotonic() - began
        assert set(found) <= {200, 429}
        assert 21 <= found[200] <= 30
        # Not faster than ten in a second, the first at once.
        assert took >= (found[200] - 1) / 10 - 0.01


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_probes_are_answered_while_all_threads_could_wait(worker_class: str) -> None:
    with gateway(worker_class, 1, WORKER_THREADS="1", WORKER_CONNECTIONS="4") as running:
        clients = [connected(running, "/limited/slow") for _ in range(12)]
        assert wait_for(lambda: running.worker_pids())
        began = time.monotonic()
        assert limits(running)["store"] == "shared"
        assert time.monotonic() - began < 8
        statuses: Counter[str] = Counter(answer(client) for client in clients)
        # Of those that had to wait some were refused, for want of places to wait in.
        assert set(statuses) <= {"200", "503"}
        assert statuses["200"] >= 2


def connected(running: Gateway, path: str) -> socket.socket:
    """A client that has asked."""
    client = socket.create_connection(("127.0.0.1", running.port), 30)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return client


def answer(client: socket.socket) -> str:
    """The status of its answer."""
    with client, client.makefile("rb") as answers:
        return answers.readline().split()[1].decode()


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_who_leaves_while_waiting_was_counted_and_holds_nothing(worker_class: str) -> None:
    with gateway(worker_class, 1) as running:
        clients = [connected(running, "/limited/slow") for _ in range(6)]
        # The first is answered, and the others wait by then, or soon.
        assert answer(clients[0]) == "200"
        for client in clients[1:]:
            client.close()
        gone = [line for line in wait_for_lines(running, 6) if line["status"] == 499]
        assert len(gone) >= 3
        began = time.monotonic()
        assert get(running.address, "/limited/slow") == 200
        # They were counted: whoever comes next waits for their time, too.
        assert time.monotonic() - began > 0.5


def wait_for_lines(running: Gateway, count: int) -> list[dict[str, object]]:
    """The access log, once so many requests are in it."""

    def lines() -> list[dict[str, object]]:
        return [one for one in running.stdout_lines() if one["path"] == "/limited/slow"]

    assert wait_for(lambda: len(lines()) >= count)
    return lines()


@needs_redis
@pytest.mark.parametrize(
    ("worker_class", "way"), [("gevent", "stop"), ("gevent", "hang"), ("gthread", "hang")]
)
def test_what_each_limit_wants_without_redis(worker_class: str, way: str) -> None:
    with start_redis() as redis, gateway(worker_class, 2, REDIS_URL=redis.url) as running:
        assert get(running.address, "/limited/closed") == 200
        assert [get(running.address, "/limited/open") for _ in range(4)] == [200] * 3 + [429]
        getattr(redis, way)()
        for _ in range(10):
            assert get(running.address, "/limited/closed") == 503
            assert get(running.address, "/limited/open") == 200
        assert flows(running, 10)
        assert wait_for(lambda: flows(running, 2) and limits(running)["fallbacks"] >= 30)
        redis.start() if way == "stop" else redis.go_on()
        assert wait_for(lambda: get(running.address, "/limited/closed") == 200, 20)
