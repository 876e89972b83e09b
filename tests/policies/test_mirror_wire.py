"""Mirroring over real connections: whatever the shadow does, the client is answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from gateway import Mirror, Service, public
from gateway.testing import Close, Hang, ScriptedUpstream, Send, Until
from gateway.transport.session import make_session
from tests.support.beside import nothing_beside
from tests.support.gunicorn import wait_for
from tests.support.outline import outline
from tests.support.wsgi import call, make_app

WAIT = 10.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


Pair = tuple[ScriptedUpstream, ScriptedUpstream]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with ScriptedUpstream() as main, ScriptedUpstream() as shadow:
        yield main, shadow


MakeApp = Callable[..., Any]


@pytest.fixture
def app_of() -> Iterator[MakeApp]:
    """Makes gateways whose service is mirrored; their connections are closed in the end."""
    sessions, apps = [], []

    def make(pair: Pair, **options: Any) -> Any:
        session = make_session(8)
        sessions.append(session)
        main = Service(
            "orders",
            __name__,
            url_prefix="/orders",
            upstream=pair[0].url,
            session=session,
            policies=[Mirror("orders-shadow", **options)],
        )
        shadow = Service(
            "orders-shadow", __name__, url_prefix=None, upstream=pair[1].url, session=session
        )
        apps.append(make_app(public(main), shadow))
        return apps[-1]

    yield make
    assert wait_for(lambda: nothing_beside() and not any(map(in_flight, apps)))
    for session in sessions:
        session.close()


def in_flight(app: Any, service: str = "orders-shadow") -> int:
    (node,) = app.extensions["gateway"].runtimes[service].pool.nodes
    return int(node.in_flight())


def test_a_shadow_gets_the_same_request(pair: Pair, app_of: MakeApp) -> None:
    main, shadow = pair
    app = app_of(pair, methods=("GET", "POST"))
    assert call(app, "/orders/7?a=%2F").status == 200
    assert call(app, "/orders", "POST", body=b"a body").status == 200
    assert shadow.wait_until(lambda: len(shadow.requests) == 2 and shadow.requests[-1].complete)
    for sent in main.requests:
        copy = next(one for one in shadow.requests if one.method == sent.method)
        assert (copy.target, copy.body) == (sent.target, sent.body)
        assert copy.header(b"Host") == [shadow.url.removeprefix("http://").encode()]
        assert copy.header(b"X-Mirrored") == [b"true"]
        same = {b"Host", b"X-Mirrored"}
        kept = [field for field in copy.headers if field[0] not in same]
        assert kept == [field for field in sent.headers if field[0] not in same]


def test_the_connection_to_the_shadow_is_used_again(pair: Pair, app_of: MakeApp) -> None:
    _, shadow = pair
    app = app_of(pair)

    def has(number: int) -> bool:
        return len(shadow.requests) == number

    for number in range(1, 5):
        call(app, "/orders/7")
        assert shadow.wait_until(partial(has, number))
        assert wait_for(lambda: in_flight(app) == 0)
    assert shadow.connections == 1


@pytest.mark.parametrize("script", [[Hang()], [Close()], [Send(OK[:-1]), Hang()]], ids=repr)
def test_whatever_the_shadow_does_the_client_is_answered(
    pair: Pair, app_of: MakeApp, script: Any
) -> None:
    pair[1].script(script)
    app = app_of(pair, seconds=0.3)
    began = time.monotonic()
    for _ in range(5):
        reply = call(app, "/orders/7")
        assert (reply.status, reply.body) == (200, b"ok")
    assert time.monotonic() - began < WAIT / 2
    assert wait_for(lambda: in_flight(app) == 0)  # a hanging one ends by its own deadline


def test_a_shadow_that_cannot_be_reached(pair: Pair, app_of: MakeApp) -> None:
    pair[1].close()
    app = app_of(pair)
    assert call(app, "/orders/7").status == 200
    assert wait_for(lambda: in_flight(app) == 0)


def test_a_long_answer_is_broken_off(pair: Pair, app_of: MakeApp) -> None:
    _, shadow = pair
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
    shadow.script([Send(head), Send(b"x" * 65536, times=1000), Hang()])
    app = app_of(pair)
    assert call(app, "/orders/7").status == 200
    assert shadow.wait_closed()
    assert wait_for(lambda: in_flight(app) == 0)


def test_the_client_streams_while_the_shadow_hangs(pair: Pair, app_of: MakeApp) -> None:
    main, shadow = pair
    more = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"
    main.script([Send(head), Until(more), Send(b"def")])
    shadow.script([Hang()])
    app = app_of(pair, seconds=2)
    handler = app.extensions["gateway"].runtimes["orders"].handler
    pieces = iter(handler(outline(service="orders")).body)
    assert next(pieces) == b"abc"
    assert shadow.wait_until(lambda: len(shadow.requests) == 1)
    more.set()
    assert next(pieces) == b"def"
    assert list(pieces) == []
    assert wait_for(lambda: in_flight(app) == 0)
