"""Aggregations in a real gateway, on greenlets and on threads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest

from gateway.testing import Hang, Received, ScriptedUpstream, Send, Step, Wait
from tests.support.client import Connection, Reply, exchange
from tests.support.gunicorn import Gateway, start_gateway, wait_for
from tests.support.messages import request, request_head, response

JSON = b"Content-Type: application/json"
GOOD = response(b"200 OK", JSON, body=b'{"x":1}')
CLIENTS, ASKED, POOL = 50, 200, 5


@pytest.fixture(scope="module")
def backend() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def gateway(request: pytest.FixtureRequest, backend: ScriptedUpstream) -> Iterator[Gateway]:
    with start_gateway(
        "tests.workers.aggregation_app:app",
        worker_class=request.param,
        env={**{f"{name}_URL": backend.url for name in "ABCD"}, "POOL_SIZE": str(POOL)},
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(backend: ScriptedUpstream) -> None:
    backend.reset()


def ask(gateway: Gateway, path: bytes) -> Reply:
    return exchange(gateway.address, request(path))


def json_of(reply: Reply) -> Any:
    return orjson.loads(reply.body)


def slowly(seconds: float, *, only: bytes = b"/") -> Any:
    def script(received: Received) -> list[Step]:
        return [Wait(seconds) if received.target.startswith(only) else Wait(0), Send(GOOD)]

    return script


def test_slow_legs_wait_side_by_side(gateway: Gateway, backend: ScriptedUpstream) -> None:
    backend.answer(slowly(0.4))
    ask(gateway, b"/front/two")  # makes what lasts
    took = []
    for _ in range(3):
        started = time.monotonic()
        reply = ask(gateway, b"/front/two")
        took.append(time.monotonic() - started)
        assert json_of(reply) == {"one": {"x": 1}, "two": {"x": 1}, "_degraded": False}
    assert 0.4 <= min(took) < 0.75  # one after the other would be 0.8


def test_many_at_a_time_leave_nothing_behind(gateway: Gateway, backend: ScriptedUpstream) -> None:
    backend.answer(slowly(0.02))
    ask(gateway, b"/front/four")
    before = settled(gateway)
    with ThreadPoolExecutor(CLIENTS) as clients:
        replies = list(clients.map(lambda _: ask(gateway, b"/front/four"), range(ASKED)))
    for reply in replies:
        assert reply.status == 200, reply.body
        assert json_of(reply)["_degraded"] is False
    assert len(backend.requests) == 4 * (ASKED + 1)

    def left() -> bool:  # a moment longer: whoever serves a connection until it is closed
        after = settled(gateway)
        files = before["files"] + 4 * POOL  # what is kept for later
        return after["files"] <= files and after["greenlets"] <= before["greenlets"]

    assert wait_for(left), settled(gateway)


def settled(gateway: Gateway) -> dict[str, int]:
    """What is held once no task is left."""
    found: dict[str, int] = {}

    def over() -> bool:
        found.update(json_of(ask(gateway, b"/front/-/held")))
        return found["beside"] == 0

    assert wait_for(over)
    return found


def test_legs_are_cancelled_when_a_needed_one_fails(
    gateway: Gateway, backend: ScriptedUpstream
) -> None:
    def script(received: Received) -> list[Step]:
        if received.target.startswith(b"/a"):
            return [Send(response(b"404 Not Found", JSON, body=b"{}"))]
        return [Hang()]

    backend.answer(script)
    reply = ask(gateway, b"/front/needed")
    assert (reply.status, reply.header(b"X-Gateway-Completed")) == (404, [b"false"])
    assert backend.wait_until(lambda: len(backend.closed) == 1)  # long before its 3.4 s


def test_legs_are_cancelled_when_the_client_leaves(
    gateway: Gateway, backend: ScriptedUpstream
) -> None:
    backend.script([Hang()])
    with Connection(gateway.address) as connection:
        connection.send(request_head(b"/front/two"))
        assert backend.wait_until(lambda: len(backend.requests) == 2)
    assert backend.wait_until(lambda: len(backend.closed) == 2)


def test_a_leg_has_a_time_of_its_own(gateway: Gateway, backend: ScriptedUpstream) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"

    def script(received: Received) -> list[Step]:
        if received.target.startswith(b"/a"):  # a body that drips for as long as it may
            return [Send(head), *(step for _ in range(99) for step in (Wait(0.1), Send(b" ")))]
        return [Send(GOOD)]

    backend.answer(script)
    started = time.monotonic()
    reply = ask(gateway, b"/front/quick")
    assert time.monotonic() - started < 3
    assert json_of(reply) == {
        "one": "none",
        "two": {"x": 1},
        "_degraded": True,
        "_degraded_parts": ["one"],
    }
    line = gateway.line_of(reply.header(b"X-Request-ID")[0].decode())
    assert line["degraded"] == ["one: http_response_timeout"]
    assert line["attempts"] == 2


def test_all_legs_have_85_percent_of_the_time(gateway: Gateway, backend: ScriptedUpstream) -> None:
    backend.answer(slowly(30, only=b"/b"))
    started = time.monotonic()
    reply = ask(gateway, b"/front/two")
    assert 3 < time.monotonic() - started < 4  # 3.4 of 4
    assert json_of(reply)["_degraded_parts"] == ["two"]
