"""One circuit for all workers of a real gateway, and for the gateways that share a Redis."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator

from gateway.testing import ScriptedUpstream, Send, Until
from tests.rate_limiting.redis_server import needs_redis, start_redis
from tests.support.client import Address, Ended, exchange
from tests.support.gunicorn import Gateway, start_gateway, wait_for

FAILING = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
WELL = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#: As set in circuit_app, with the random share.
RECOVERY = 3.3


@contextlib.contextmanager
def gateway(
    worker_class: str, upstream: ScriptedUpstream, workers: int = 4, **env: str
) -> Iterator[Gateway]:
    """The gateway of the circuit tests with all workers up."""
    with start_gateway(
        "tests.workers.circuit_app:app",
        worker_class=worker_class,
        workers=workers,
        env={"FRAGILE_URL": upstream.url, **env},
    ) as running:
        assert wait_for(lambda: len(running.worker_pids()) == workers)
        yield running


def get(address: Address) -> tuple[int, str]:
    """Status and error code of one request, on a connection of its own."""
    message = b"GET /fragile/x HTTP/1.1\r\nHost: circuit\r\nConnection: close\r\n\r\n"
    try:
        reply = exchange(address, message)
    except (Ended, OSError):
        return 0, "no answer"
    problem = b"problem+json" in b"".join(reply.header(b"Content-Type"))
    return reply.status, json.loads(reply.body)["code"] if problem else ""


def burst(address: Address, clients: int = 40) -> Counter[tuple[int, str]]:
    """As many requests at the same time, so that every worker gets some."""
    found: Counter[tuple[int, str]] = Counter()
    counting, together = threading.Lock(), threading.Barrier(clients)

    def client() -> None:
        together.wait(30)
        result = get(address)
        with counting:
            found[result] += 1

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


OPEN = (503, "circuit_open")


def trip(upstream: ScriptedUpstream, address: Address) -> float:
    """Five failures, one after the other; when the last was answered."""
    upstream.respond(FAILING)
    assert [get(address) for _ in range(5)] == [(503, "")] * 5
    return time.monotonic()


def test_one_circuit_for_all_workers(worker_class: str, upstream: ScriptedUpstream) -> None:
    with gateway(worker_class, upstream) as running:
        tripped = trip(upstream, running.address)
        upstream.respond(WELL)
        while time.monotonic() < tripped + 1:
            assert burst(running.address) == {OPEN: 40}
        assert len(upstream.requests) == 5, "somebody has not heard of it"
        answered = threading.Event()
        upstream.script([Until(answered), Send(WELL)], [Send(WELL)])
        time.sleep(max(tripped + RECOVERY + 0.1 - time.monotonic(), 0))
        probe = threading.Thread(target=burst, args=(running.address,))
        probe.start()
        assert upstream.wait_until(lambda: len(upstream.requests) == 6)
        assert burst(running.address) == {OPEN: 40}
        assert len(upstream.requests) == 6, "more than one probes"
        answered.set()
        probe.join(60)
        assert burst(running.address) == {(200, ""): 40}
        log = running.stderr_text()
        assert log.count("fragile: circuit open for") == 1
        assert log.count("fragile: circuit half-open") == 1
        assert log.count("fragile: circuit closed") == 1


def test_a_worker_killed_while_it_probes_is_followed_by_another(
    worker_class: str, upstream: ScriptedUpstream
) -> None:
    with gateway(worker_class, upstream, 2) as running:
        tripped = trip(upstream, running.address)
        never = threading.Event()
        upstream.script([Until(never, 60.0)], [Send(WELL)])
        time.sleep(max(tripped + RECOVERY + 0.1 - time.monotonic(), 0))
        probe = threading.Thread(target=get, args=(running.address,))
        probe.start()
        assert upstream.wait_until(lambda: len(upstream.requests) == 6)
        victims = running.worker_pids()
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        probe.join(30)
        assert wait_for(
            lambda: len(running.worker_pids()) == 2 and not {*victims} & {*running.worker_pids()}
        )
        assert wait_for(lambda: get(running.address) == OPEN, 2) or len(upstream.requests) > 6
        # The claim of the dead one runs out five seconds later.
        assert wait_for(lambda: get(running.address) == (200, ""), 20)
        never.set()


@needs_redis
def test_machines_that_share_a_redis_share_the_circuit(
    worker_class: str, upstream: ScriptedUpstream
) -> None:
    with start_redis() as redis:
        env = {"REDIS_URL": redis.url, "REDIS_TIMEOUT": "5"}
        with (
            gateway(worker_class, upstream, 1, **env) as one,
            gateway(worker_class, upstream, 2, **env) as two,
        ):
            tripped = trip(upstream, one.address)
            upstream.respond(WELL)
            assert get(one.address) == OPEN
            assert wait_for(lambda: burst(two.address) == {OPEN: 40}, 2.5)
            asked = len(upstream.requests)
            time.sleep(max(tripped + RECOVERY + 0.1 - time.monotonic(), 0))
            answered = threading.Event()
            upstream.script([Until(answered), Send(WELL)], [Send(WELL)])
            both = [threading.Thread(target=burst, args=(it.address,)) for it in (one, two)]
            for thread in both:
                thread.start()
            assert upstream.wait_until(lambda: len(upstream.requests) > asked)
            time.sleep(0.5)
            assert burst(two.address) + burst(one.address) == {OPEN: 80}
            assert len(upstream.requests) == asked + 1
            answered.set()
            for thread in both:
                thread.join(60)
            assert wait_for(lambda: burst(two.address) == {(200, ""): 40}, 10)


@needs_redis
def test_a_redis_that_goes_takes_nothing_down(
    worker_class: str, upstream: ScriptedUpstream
) -> None:
    with (
        start_redis() as redis,
        gateway(worker_class, upstream, 2, REDIS_URL=redis.url) as running,
    ):
        assert get(running.address) == (200, "")
        redis.stop()
        assert wait_for(lambda: running.stderr_text().count("state store redis failed") == 2)
        trip(upstream, running.address)
        assert burst(running.address) == {OPEN: 40}, "the workers of a machine still share it"
        redis.start()
        assert wait_for(lambda: running.stderr_text().count("state store redis is back") == 2)
