"""What a worker with threads does with silent connections; and what both do with signals."""

from __future__ import annotations

import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import _DEFER

from gateway.workers import LINGER, GatewayWorker, ThreadWorker


@pytest.fixture
def worker() -> Iterator[Any]:
    """A worker that serves nobody by itself; `asked` has the connections to be served next."""
    made: Any = ThreadWorker.__new__(ThreadWorker)
    made.alive = True
    made.worker_connections = 10
    made.nr_conns = 0
    made.pending_conns, made.keepalived_conns = deque(), deque()
    made.poller = selectors.DefaultSelector()
    made.asked = []
    made.enqueue_req = made.asked.append
    yield made
    made.poller.close()


class Conn:
    """A connection as gunicorn has it, and its client."""

    def __init__(self, worker: Any, timeout: float) -> None:
        self.sock, self.client = socket.socketpair()
        self.timeout = time.monotonic() + timeout
        self.parser: Any = None
        self.data_ready = self.closed = False
        worker.nr_conns += 1

    def close(self, graceful: bool = False) -> None:
        """As the worker does."""
        self.closed = True
        self.sock.close()

    def __enter__(self) -> Conn:
        return self

    def __exit__(self, *_error: object) -> None:
        self.sock.close()
        self.client.close()


def keep(worker: Any, conn: Conn) -> None:
    """Have a connection wait for its next request."""
    worker.keepalived_conns.append(conn)
    worker.poller.register(conn.sock, selectors.EVENT_READ)


def test_request_in_time_is_served_by_a_late_worker(worker: Any) -> None:
    with Conn(worker, 0) as asking, Conn(worker, 0) as silent, Conn(worker, 60) as early:
        for conn in (silent, asking, early):
            keep(worker, conn)
        asking.client.sendall(b"request")
        early.client.sendall(b"request")
        worker.murder_keepalived()
        assert worker.asked == [asking]  # the other one's is found by the loop
        assert list(worker.keepalived_conns) == [early]
        assert (silent.closed, asking.closed, worker.nr_conns) == (True, False, 2)


def test_at_the_end_all_are_closed(worker: Any) -> None:
    with Conn(worker, 0) as conn:
        keep(worker, conn)
        conn.client.sendall(b"request")
        worker.murder_keepalived(force=True)
        assert (worker.asked, conn.closed) == ([], True)


def test_silent_connection_outlives_the_worker_that_stops(worker: Any) -> None:
    """It was given back by its thread in the moment in which the worker stopped."""
    worker.alive = False
    given_back: Future[object] = Future()
    given_back.set_result(_DEFER)
    with Conn(worker, 0) as conn:
        worker.finish_request(conn, given_back)
        worker.murder_pending()
        assert (conn.closed, worker.nr_conns, list(worker.pending_conns)) == (False, 1, [conn])
        conn.client.sendall(b"request")
        worker.wait_for_and_dispatch_events(10)
        assert (worker.asked, conn.data_ready) == ([conn], True)


def test_silent_connection_is_not_awaited_for_ever(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.alive = False
    given_back: Future[object] = Future()
    given_back.set_result(_DEFER)
    with Conn(worker, 0) as conn:
        worker.finish_request(conn, given_back)
        later = time.monotonic() + LINGER + 0.1
        monkeypatch.setattr(time, "monotonic", lambda: later)
        worker.murder_pending()
        assert (conn.closed, worker.nr_conns) == (True, 0)


def test_no_signal_finds_its_default_action(monkeypatch: pytest.MonkeyPatch) -> None:
    """gunicorn restores them for a moment: a SIGTERM would end the worker then."""
    found: list[set[Any]] = []

    def init_signals(_self: Any) -> None:
        found.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))

    monkeypatch.setattr(Worker, "init_signals", init_signals)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    GatewayWorker.__new__(GatewayWorker).init_signals()
    assert found[0] >= {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
