"""Workers whose backends hang: others are refused at once, and questions of health answered."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from gateway.testing import Hang, ScriptedUpstream, Send, Wait
from tests.support.client import Connection, Reply, exchange
from tests.support.gunicorn import Gateway, start_gateway, wait_for
from tests.support.messages import request, request_head, response

#: What a worker forwards at once: connections of a gevent worker, threads of a gthread one.
SIZE = {"gevent": 8, "gthread": 4}
GET = request_head(b"/plain/x")
HEALTH = request_head(b"/healthz")
#: Soon enough for a probe, on a machine that is busy.
SOON = 3.0


@contextlib.contextmanager
def gateway(worker_class: str, upstream: ScriptedUpstream, **settings: str) -> Iterator[Gateway]:
    """One worker that forwards few requests."""
    environment = {
        "PLAIN_URL": upstream.url,
        "BOUNDED_URL": upstream.url,
        **dict.fromkeys(("KEPT_URL", "REPLACED_URL", "BACKUP_URL"), ""),
        "WORKER_CONNECTIONS": str(SIZE["gevent"]),
        "WORKER_THREADS": str(SIZE["gthread"]),
        **settings,
    }
    with start_gateway(
        "tests.workers.capacity_app:app", worker_class=worker_class, env=environment
    ) as running:
        yield running


def soon(running: Gateway, data: bytes) -> Reply:
    """The answer to a request, which must not take long."""
    began = time.monotonic()
    reply = exchange(running.address, data)
    assert time.monotonic() - began < SOON
    return reply


def hang(stack: ExitStack, running: Gateway, data: bytes, count: int) -> list[Connection]:
    """Requests that are not answered."""
    clients = [stack.enter_context(Connection(running.address)) for _ in range(count)]
    for client in clients:
        client.send(data)
    return clients


def test_health_is_answered_while_all_that_may_be_forwarded_hangs(
    worker_class: str, upstream: ScriptedUpstream
) -> None:
    size = SIZE[worker_class]
    upstream.script([Hang()])
    with gateway(worker_class, upstream) as running:
        with ExitStack() as stack:
            hang(stack, running, GET, size)
            assert upstream.wait_until(lambda: len(upstream.requests) == size)
            for _ in range(3):
                assert soon(running, HEALTH).status == 200
                assert soon(running, request_head(b"/readyz")).status == 200
                refused = soon(running, GET)
                assert refused.status == 503
                assert refused.header(b"Retry-After") == [b"1"]
                assert json.loads(refused.body)["code"] == "worker_busy"
            assert len(upstream.requests) == size
        upstream.respond(response(b"200 OK", body=b"again"))
        # Clients that left are noticed within half a second.
        assert wait_for(lambda: exchange(running.address, GET).status == 200)


def test_a_burst_is_served(worker_class: str, upstream: ScriptedUpstream) -> None:
    upstream.script([Wait(0.01), Send(response(b"200 OK", body=b"ok"))])
    with gateway(worker_class, upstream) as running, ThreadPoolExecutor(12) as pool:
        found = pool.map(lambda _: exchange(running.address, GET).status, range(120))
        assert set(found) == {200}


def test_places_are_kept_while_bodies_stream(worker_class: str, upstream: ScriptedUpstream) -> None:
    size = SIZE[worker_class]
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
    upstream.script([Send(head), Hang()])
    with gateway(worker_class, upstream) as running:
        with ExitStack() as stack:
            clients = hang(stack, running, GET, size)
            assert [client.read_head().status for client in clients] == [200] * size
            assert soon(running, GET).status == 503
            assert soon(running, HEALTH).status == 200
        upstream.script([Send(head), Wait(0.1), Send(b"0\r\n\r\n")])
        assert wait_for(lambda: exchange(running.address, GET).status == 200)
        for _ in range(2 * size):  # none of them keeps its place
            assert exchange(running.address, GET).body == b"x"


def test_a_bulkhead_leaves_the_rest_to_other_services(
    worker_class: str, upstream: ScriptedUpstream
) -> None:
    upstream.answer(
        lambda received: (
            [Hang()]
            if received.target.startswith(b"/bounded")
            else [Send(response(b"200 OK", body=b"ok"))]
        )
    )
    slow = request_head(b"/bounded/x")
    with gateway(worker_class, upstream) as running, ExitStack() as stack:
        hang(stack, running, slow, 2)
        assert upstream.wait_until(lambda: len(upstream.requests) == 2)
        for _ in range(3):
            refused = soon(running, slow)
            assert (refused.status, refused.header(b"Retry-After")) == (503, [b"1"])
            assert json.loads(refused.body)["code"] == "bulkhead_full"
            assert soon(running, GET).status == 200
        assert len(upstream.requests) == 5


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [(b"", "75"), (GET, "75"), (b"", "0")],
    ids=["silent", "idle", "silent without keep-alive"],
)
def test_idle_connections_make_room(
    worker_class: str, upstream: ScriptedUpstream, sent: bytes, seconds: str
) -> None:
    """More of them than the server takes: the oldest are ended for those that come."""
    # gevent takes 8 and 64 connections, gthread here twice its threads, which are 4, 16 and 2.
    count = 90 if worker_class == "gevent" else 60
    settings = {"KEEPALIVE_SECONDS": seconds}
    with gateway(worker_class, upstream, **settings) as running, ExitStack() as stack:
        clients = []
        for _ in range(count):
            clients += hang(stack, running, sent, 1)
            if sent:
                assert clients[-1].read_reply().status == 200
        for _ in range(3):
            assert soon(running, HEALTH).status == 200
        if worker_class == "gevent" or not sent:  # gthread does not keep as many alive
            assert clients[0].ended()
            clients[-1].send(GET)
            last = clients[-1].read_reply()
            assert last.status == 200
            assert (last.header(b"Connection") == [b"close"]) is (seconds == "0")
        assert "Traceback" not in running.stderr_text()


def test_clients_that_do_not_close_hold_up_nobody(
    worker_class: str, upstream: ScriptedUpstream
) -> None:
    with gateway(worker_class, upstream) as running, ExitStack() as stack:
        for client in hang(stack, running, request(b"/plain/x"), 3):
            assert client.read_reply().header(b"Connection") == [b"close"]
        began = time.monotonic()
        for _ in range(5):
            assert exchange(running.address, HEALTH).status == 200
        assert time.monotonic() - began < 4  # each is given up after two seconds


def test_a_stop_does_not_wait_for_silent_connections(
    worker_class: str, upstream: ScriptedUpstream
) -> None:
    with gateway(worker_class, upstream, GRACEFUL_TIMEOUT="60") as running, ExitStack() as stack:
        hang(stack, running, b"", 2)
        assert soon(running, HEALTH).status == 200
        running.signal(signal.SIGTERM)
        running.process.wait(20)
