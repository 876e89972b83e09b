"""What a gevent worker does with connections it has not accepted yet when it is told to stop, and
with those nobody sends on."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import gevent.event
import pytest
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.workers.ggevent import GeventWorker as Base

from gateway.gevent_worker import GeventWorker, _accept_rest, _busy, _unfinished
from gateway.listening import refuse_newcomers
from tests.test_listening import arbiter


def listening_on(stack: contextlib.ExitStack) -> Any:
    """A socket as the worker has it: one of gevent's."""
    listener = stack.enter_context(gevent.socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener


def test_connections_in_the_queue_are_served() -> None:
    with contextlib.ExitStack() as stack:
        listener = listening_on(stack)
        pool = Pool(100)
        server = StreamServer(listener, handle=lambda sock, _: sock.sendall(b"served"), spawn=pool)
        server.max_accept = 1
        server.start()
        address = listener.getsockname()
        clients = [stack.enter_context(socket.create_connection(address)) for _ in range(10)]
        _accept_rest(server)  # the loop did not run yet: all of them are in the queue
        server.close()
        assert _busy([server])  # though no greenlet has begun yet
        pool.join(10)
        for client in clients:
            client.settimeout(10)
            assert client.recv(10) == b"served"
        assert not _busy([server])


def test_full_worker_comes_back_for_those_who_wait() -> None:
    with contextlib.ExitStack() as stack:
        listener = listening_on(stack)
        go = gevent.event.Event()

        def serve(sock: Any, _address: Any) -> None:
            go.wait()
            sock.sendall(b"served")

        server = StreamServer(listener, handle=serve, spawn=Pool(2))
        server.start()
        address = listener.getsockname()
        clients = [stack.enter_context(socket.create_connection(address)) for _ in range(5)]
        refuse_newcomers(arbiter(listener))
        assert _unfinished([server])
        assert not server.closed
        go.set()
        with gevent.Timeout(10):
            while _unfinished([server]):
                gevent.sleep(0)
        assert server.closed
        for client in clients:
            client.settimeout(10)
            assert client.recv(10) == b"served"


def test_full_worker_leaves_the_rest_to_others() -> None:
    with contextlib.ExitStack() as stack:
        listener = listening_on(stack)
        server = StreamServer(listener, handle=lambda *_: gevent.sleep(60), spawn=Pool(2))
        server.start()
        address = listener.getsockname()
        for _ in range(4):
            stack.enter_context(socket.create_connection(address))
        with gevent.Timeout(10):
            assert _unfinished([server])
        assert len(server.pool) == 2
        assert server.closed
        server.stop(timeout=0)


class Waiting:
    """A worker's greenlet that waits for a request on a connection."""

    def __init__(self, keepalive: float) -> None:
        with contextlib.ExitStack() as stack:
            listener = listening_on(stack)
            self.client = gevent.socket.create_connection(listener.getsockname())
            self.ours, _ = listener.accept()
        self.worker: Any = GeventWorker.__new__(GeventWorker)
        self.worker.cfg = SimpleNamespace(keepalive=keepalive)
        self.worker.worker_connections = 100
        self.worker._clients, self.worker._idle, self.worker._ended = {}, {}, set()
        self.greenlet = gevent.spawn(self._wait)
        self.worker._clients[self.greenlet] = self.ours
        gevent.sleep(0)
        assert list(self.worker._idle) == [self.greenlet]

    def _wait(self) -> tuple[bytes, bool]:
        with self.worker.timeout_ctx():
            received = self.ours.recv(100)
        last: list[bool] = []
        if received:
            request = SimpleNamespace(force_close=lambda: last.append(True))
            self.worker.handle_request(None, request, None, None)
        return received, bool(last)

    def result(self) -> tuple[bytes, bool]:
        """What was received, and whether its answer says that it is the last one."""
        found: tuple[bytes, bool] = self.greenlet.get(timeout=10)
        return found


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Waiting]]:
    """Makes greenlets that wait; their requests are not really served."""
    made: list[Waiting] = []

    class Made(Waiting):
        def __init__(self, keepalive: float) -> None:
            super().__init__(keepalive)
            made.append(self)

    monkeypatch.setattr(Base, "handle_request", lambda *_: None)
    yield Made
    for one in made:
        one.greenlet.kill()
        one.ours.close()
        one.client.close()


def test_request_in_time_is_served_by_a_late_worker(waiting: type[Waiting]) -> None:
    one = waiting(0.01)
    one.client.sendall(b"request")
    time.sleep(0.02)  # the loop is held up until the connection's time is over
    assert one.result() == (b"request", False)


def test_silent_connection_is_ended(waiting: type[Waiting]) -> None:
    one = waiting(0.01)
    assert one.result() == (b"", False)
    assert not one.worker._idle


def test_request_just_after_the_end_is_answered_as_the_last(waiting: type[Waiting]) -> None:
    one = waiting(60)
    assert one.worker._end_input(one.greenlet)
    one.client.sendall(b"request")  # the greenlet did not run yet
    assert one.result() == (b"request", True)


def test_nobody_is_ended_whose_request_came(waiting: type[Waiting]) -> None:
    one = waiting(60)
    one.client.sendall(b"request")
    one.worker._make_room(None)
    one.worker._close_idle(time.monotonic() + 1, 0.0)
    assert one.result() == (b"request", False)


def test_stopping_each_connection_has_time_from_its_last_answer(waiting: type[Waiting]) -> None:
    one = waiting(60)
    one.worker._close_idle(time.monotonic() - 1, 0.0)  # it stopped long ago
    assert not one.worker._ended
    one.worker._close_idle(time.monotonic() + 1, 0.0)
    assert one.result() == (b"", False)
