"""Hedging over real connections: the winner's answer arrives, the others are closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway import Hedge, RoundRobin, Service, public
from gateway.errors import ClientGone
from gateway.testing import Close, Hang, ScriptedUpstream, Send, Until, Wait
from gateway.transport.session import make_session
from tests.policies.hedging import LONG, WAIT
from tests.support.beside import nothing_beside
from tests.support.gunicorn import wait_for
from tests.support.outline import outline
from tests.support.wsgi import call, make_app

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def pair() -> Iterator[tuple[ScriptedUpstream, ScriptedUpstream]]:
    with ScriptedUpstream() as first, ScriptedUpstream() as second:
        yield first, second


Pair = tuple[ScriptedUpstream, ScriptedUpstream]


MakeApp = Callable[..., Any]


@pytest.fixture
def app_of() -> Iterator[MakeApp]:
    """Makes gateways that ask one instance after the other; closes their connections in the end."""
    sessions, apps = [], []

    def make(pair: Pair, **options: Any) -> Any:
        session = make_session(8)
        sessions.append(session)
        service = Service(
            "things",
            __name__,
            url_prefix="/things",
            upstream=f"{pair[0].url},{pair[1].url}",
            session=session,
            load_balancing=RoundRobin(),
            policies=[Hedge(**{"after": 0.05, "budget": 1.0, **options})],
        )
        apps.append(make_app(public(service)))
        return apps[-1]

    yield make
    assert wait_for(lambda: nothing_beside() and not any(sum(in_flight(app)) for app in apps))
    for session in sessions:
        session.close()


def pool_of(app: Any) -> Any:
    return app.extensions["gateway"].runtimes["things"].pool


def in_flight(app: Any) -> list[int]:
    return [node.in_flight() for node in pool_of(app).nodes]


def test_a_hanging_instance_is_overtaken_and_hung_up_on(pair: Pair, app_of: MakeApp) -> None:
    first, second = pair
    first.script([Hang()])
    second.script([Hang()])
    app = app_of(pair)
    second.script([Send(OK)])
    began = time.monotonic()
    replies = [call(app, "/things/1") for _ in range(4)]
    assert [(reply.status, reply.body) for reply in replies] == [(200, b"ok")] * 4
    assert time.monotonic() - began < WAIT / 2
    for connection in range(first.connections):
        assert first.wait_closed(connection)
    assert first.connections >= 1
    assert second.connections == 1  # used again and again
    assert not second.closed
    assert wait_for(lambda: in_flight(app) == [0, 0])
    # Being slower than another is no failure.
    assert [node.failures for node in pool_of(app).nodes] == [0, 0]


def test_a_late_answer_is_closed_and_never_seen_by_anyone(pair: Pair, app_of: MakeApp) -> None:
    first, second = pair
    late = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    first.script([Until(late), Send(head + b"the"), Hang()])
    second.script([Until(late), Send(head + b"the"), Hang()])
    app = app_of(pair)
    second.script([Send(OK)])
    while not first.requests:
        assert call(app, "/things/1").body == b"ok"
    late.set()  # before the loser looks whether it is wanted, or after
    assert first.wait_closed()
    assert call(app, "/things/1").body == b"ok"
    assert wait_for(lambda: in_flight(app) == [0, 0])


def test_a_body_streams_from_the_winner(pair: Pair, app_of: MakeApp) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"
    for upstream in pair:
        upstream.script([Send(head), Wait(0.1), Send(b"def")])
    assert call(app_of(pair), "/things/1").body == b"abcdef"


def test_an_instance_that_breaks_off_is_told_at_once(pair: Pair, app_of: MakeApp) -> None:
    for upstream in pair:
        upstream.script([Close()])
    reply = call(app_of(pair, after=WAIT), "/things/1")
    assert (reply.status, reply.code) == (502, "connection_terminated")
    assert len(pair[0].requests) + len(pair[1].requests) == 1


def test_a_client_that_leaves_has_both_connections_closed(pair: Pair, app_of: MakeApp) -> None:
    for upstream in pair:
        upstream.script([Hang()])
    app = app_of(pair)
    handler = app.extensions["gateway"].runtimes["things"].handler
    gone = threading.Event()
    timer = threading.Timer(0.3, gone.set)
    timer.start()
    with pytest.raises(ClientGone):
        handler(outline(seconds=LONG, abandoned=gone.is_set))
    timer.join()
    assert pair[0].wait_closed()
    assert pair[1].wait_closed()
    assert wait_for(lambda: in_flight(app) == [0, 0])


def test_nothing_is_left_over_after_many(pair: Pair, app_of: MakeApp) -> None:
    for upstream in pair:
        upstream.answer(lambda received: [Wait(0.03), Send(OK)])
    app = app_of(pair, after=0.02)
    for _ in range(30):
        assert call(app, "/things/1").status == 200
    assert wait_for(lambda: in_flight(app) == [0, 0])
    assert wait_for(nothing_beside)
