"""How many requests are in flight, and what becomes of them when their instance is taken away."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway import Service, public
from gateway.errors import BodyFailed, ConnectFailed, PoolTimeout
from gateway.testing import Close, Hang, ScriptedUpstream, Send, Until
from gateway.transport.adapter import PooledAdapter
from gateway.transport.pool import ConnectionPool
from gateway.transport.session import make_session
from gateway.upstreams import UpstreamPool, parse_targets
from tests.support.gunicorn import free_port, wait_for
from tests.support.messages import response
from tests.support.wsgi import call, make_app, make_environ
from tests.transport.conftest import Sender

OK = response(b"200 OK", body=b"ok")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"


@pytest.fixture
def adapter() -> Iterator[PooledAdapter]:
    adapter = PooledAdapter(size=1)
    yield adapter
    adapter.close()


@pytest.fixture
def send(adapter: PooledAdapter) -> Sender:
    return Sender(adapter)


@dataclass
class Upload:
    """A request body of two pieces, each handed over when the test says so."""

    first: threading.Event = field(default_factory=threading.Event)
    second: threading.Event = field(default_factory=threading.Event)
    length: int | None = 2
    idle: float | None = None
    given: int = 0

    @property
    def finished(self) -> bool:
        return self.given == 2

    @property
    def at_hand(self) -> bool:
        return True

    def next_piece(self, deadline: float | None = None) -> bytes:
        """Waits for its event."""
        assert (self.second if self.given else self.first).wait(10)
        self.given += 1
        return b"x"

    def fileno(self) -> int | None:
        return None


@contextlib.contextmanager
def in_thread(work: Callable[[], Any]) -> Iterator[None]:
    """Does it beside the block, and waits for its end."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(20)
        assert not thread.is_alive()


def test_in_flight_from_the_connection_to_the_last_byte(
    adapter: PooledAdapter, send: Sender, upstream: ScriptedUpstream
) -> None:
    go_on = threading.Event()
    upstream.script([Send(HEAD + b"abc"), Until(go_on), Send(b"def")])
    in_flight = adapter.expect(upstream.url)
    assert in_flight() == 0
    body = send.body(upstream.url)
    assert next(body) == b"abc"
    assert in_flight() == 1
    go_on.set()
    assert b"".join(body) == b"def"
    assert in_flight() == 0


def test_in_flight_with_those_that_wait_for_a_connection(
    adapter: PooledAdapter, send: Sender, upstream: ScriptedUpstream
) -> None:
    in_flight = adapter.expect(upstream.url)
    upstream.script([Send(HEAD), Hang()])
    body = send.body(upstream.url)

    def wait_in_vain() -> None:
        with pytest.raises(PoolTimeout):
            send(upstream.url, read=0.5)

    with in_thread(wait_in_vain):
        assert wait_for(lambda: in_flight() == 2)
    assert in_flight() == 1
    body.close()
    assert in_flight() == 0


def test_in_flight_during_an_upload_but_not_before_it_begins(
    adapter: PooledAdapter, send: Sender, upstream: ScriptedUpstream
) -> None:
    in_flight = adapter.expect(upstream.url)
    upload = Upload()
    with in_thread(lambda: send(upstream.url, "POST", body=upload)):
        time.sleep(0.05)
        assert in_flight() == 0
        upload.first.set()
        assert wait_for(lambda: in_flight() == 1)
        assert upstream.wait_until(lambda: bool(upstream.requests))
        assert in_flight() == 1
        upload.second.set()
    assert in_flight() == 0


@pytest.mark.parametrize("end", [[Close()], [Send(b"zz"), Close()]])
def test_not_in_flight_after_a_body_that_broke(
    adapter: PooledAdapter, send: Sender, upstream: ScriptedUpstream, end: list[Any]
) -> None:
    in_flight = adapter.expect(upstream.url)
    upstream.script([Send(HEAD), *end])
    with pytest.raises(BodyFailed):
        send(upstream.url)
    assert in_flight() == 0


def test_not_in_flight_after_an_abort_nor_without_a_connection(
    adapter: PooledAdapter, send: Sender, upstream: ScriptedUpstream
) -> None:
    in_flight = adapter.expect(upstream.url)
    upstream.script([Send(HEAD + b"abc"), Hang()])
    body = send.body(upstream.url)
    next(body)
    body.close()
    body.close()
    assert in_flight() == 0
    nowhere = f"http://127.0.0.1:{free_port()}"
    nobody = adapter.expect(nowhere)
    with pytest.raises(ConnectFailed):
        send(nowhere)
    assert nobody() == 0


def test_a_request_that_comes_late_leaves_no_connection(
    adapter: PooledAdapter, send: Sender, upstream: ScriptedUpstream
) -> None:
    adapter.expect(upstream.url)
    send(upstream.url)
    adapter.retire(upstream.url)
    assert upstream.wait_closed(0)
    assert send(upstream.url) == b"ok"
    assert upstream.wait_closed(1)


def test_who_comes_back_keeps_connections_again(
    adapter: PooledAdapter, send: Sender, upstream: ScriptedUpstream
) -> None:
    adapter.retire(upstream.url)
    in_flight = adapter.expect(upstream.url)
    for _ in range(3):
        body = send.body(upstream.url)
        b"".join(body)
    assert upstream.connections == 1
    assert in_flight() == 0


def test_an_upload_that_was_slow_to_begin_leaves_no_connection(
    adapter: PooledAdapter, send: Sender, upstream: ScriptedUpstream
) -> None:
    send(upstream.url)
    upload = Upload()
    with in_thread(lambda: send(upstream.url, "POST", body=upload)):
        time.sleep(0.05)
        adapter.retire(upstream.url)
        upload.first.set()
        upload.second.set()
    assert upstream.wait_closed(1)


class Fake:
    """A connection that knows whether it was closed."""

    def __init__(self, seconds: float = 0) -> None:
        self.idle_since = 0.0
        self.reused = self.wrote = self.closed = False

    def readable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


def test_retiring_beside_giving_back_leaves_nothing_open() -> None:
    for _ in range(300):
        made: list[Fake] = []

        def dial(_seconds: float, made: list[Fake] = made) -> Any:
            made.append(Fake())
            return made[-1]

        pool = ConnectionPool(dial, 4, 30)
        start = threading.Barrier(3)

        def use(pool: ConnectionPool = pool, start: threading.Barrier = start) -> None:
            start.wait()
            for _ in range(3):
                pool.give_back(pool.checkout(1, time.monotonic() + 10))

        def retire(pool: ConnectionPool = pool, start: threading.Barrier = start) -> None:
            start.wait()
            pool.retire()

        with in_thread(use), in_thread(use), in_thread(retire):
            pass
        assert made
        assert all(connection.closed for connection in made)
        assert pool.in_flight == 0


def test_retiring_beside_sending_leaves_nothing_open(upstream: ScriptedUpstream) -> None:
    adapter = PooledAdapter(size=4)
    sender = Sender(adapter)
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            assert sender(upstream.url) == b"ok"

    with in_thread(ask), in_thread(ask):
        for _ in range(50):
            adapter.expect(upstream.url)
            time.sleep(0.002)
            adapter.retire(upstream.url)
        over.set()
    assert upstream.wait_until(lambda: len(upstream.closed) == upstream.connections)
    assert not adapter._pools


@contextlib.contextmanager
def gateway_to(url: str) -> Iterator[tuple[Any, UpstreamPool]]:
    """An application before one instance, and the pool in which it is."""
    with make_session(4, 30, "") as session:
        things = Service("things", __name__, url_prefix="/things", upstream=url, session=session)
        app = make_app(public(things))
        yield app, app.extensions["gateway"].runtimes["things"].pool


def test_a_stream_goes_on_when_its_instance_is_taken_away(upstream: ScriptedUpstream) -> None:
    go_on = threading.Event()
    upstream.script([Send(HEAD + b"abc"), Until(go_on), Send(b"def")], [Send(OK)])
    heads: list[str] = []
    with ScriptedUpstream() as other, gateway_to(upstream.url) as (app, pool):
        body = iter(app(make_environ("/things/1"), lambda status, *_: heads.append(status)))
        received = b""
        while received != b"abc":
            received += next(body)
        (old,) = pool.nodes
        assert old.in_flight() == 1

        pool.set_targets(parse_targets(other.url))
        for _ in range(5):
            assert call(app, "/things/2").body == b"ok"
        assert len(other.requests) == 5
        assert not upstream.closed

        go_on.set()
        assert received + b"".join(body) == b"abcdef"
        body.close()
        assert heads == ["200 OK"]
        assert upstream.wait_closed(0)
        assert (len(upstream.requests), upstream.connections) == (1, 1)


def test_connections_that_were_idle_are_closed_at_once(upstream: ScriptedUpstream) -> None:
    with ScriptedUpstream() as other, gateway_to(upstream.url) as (app, pool):
        call(app, "/things/1")
        assert not upstream.closed
        pool.set_targets(parse_targets(other.url))
        assert upstream.wait_closed(0)
        pool.set_targets(parse_targets(upstream.url))
        for _ in range(3):
            call(app, "/things/2")
        assert upstream.connections == 2
