"""Hedging and mirroring in real workers: quick for clients, and nothing is left behind."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from gateway.testing import Hang, ScriptedUpstream
from tests.support.client import Connection, exchange
from tests.support.gunicorn import Gateway, start_gateway, wait_for
from tests.support.messages import request, request_head

CLIENTS = 2
EACH = 50


@pytest.fixture
def hanging() -> Iterator[ScriptedUpstream]:
    """A backend that takes requests and never answers."""
    with ScriptedUpstream() as backend:
        backend.script([Hang()])
        yield backend


@pytest.fixture
def gateway(
    worker_class: str, upstream: ScriptedUpstream, hanging: ScriptedUpstream
) -> Iterator[Gateway]:
    """One worker: a service with a quick and a hanging instance, and one with a hanging shadow."""
    with start_gateway(
        "tests.workers.traffic_app:app",
        worker_class=worker_class,
        env={
            "HEDGED_URL": f"{hanging.url},{upstream.url}",
            "MIRRORED_URL": upstream.url,
            "SHADOW_URL": hanging.url,
            "GRACEFUL_TIMEOUT": "40",
        },
    ) as running:
        yield running


def held(gateway: Gateway) -> dict[str, int]:
    """What the worker holds at the moment."""
    return dict(json.loads(exchange(gateway.address, request(b"/mirrored/-/held")).body))


def ask(gateway: Gateway, seconds: list[float]) -> None:
    """A client that asks some times; how long each answer took, a minute for a bad one."""
    with Connection(gateway.address) as connection:
        for _ in range(EACH):
            began = time.monotonic()
            connection.send(request_head(b"/hedged/7"))
            reply = connection.read_reply()
            good = (reply.status, reply.body) == (200, b"ok")
            seconds.append(time.monotonic() - began if good else 60.0)


def test_a_hanging_instance_costs_nobody_much_and_leaves_nothing(
    gateway: Gateway, hanging: ScriptedUpstream
) -> None:
    before = held(gateway)
    seconds: list[float] = []
    clients = [threading.Thread(target=ask, args=(gateway, seconds)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert len(seconds) == CLIENTS * EACH
    assert max(seconds) < 3  # ten, if one had waited for the instance that hangs
    assert len(hanging.requests) > EACH // 2
    assert hanging.wait_until(lambda: len(hanging.closed) == hanging.connections)
    # The connections to the instance that answers stay for later.
    assert wait_for(lambda: held(gateway)["files"] <= before["files"] + CLIENTS + 2)
    assert wait_for(lambda: held(gateway)["beside"] == before["beside"] == 0)
    assert "Traceback" not in gateway.stderr_text()
    # Being slower than another is no failure, and no line of the log blames anyone.
    assert "is left out" not in gateway.stderr_text()
    lines = [line for line in gateway.stdout_lines() if line["service"] == "hedged"]
    assert {(line["party"], line["reason"]) for line in lines} == {("", "")}
    assert {line["attempts"] for line in lines} == {1, 2}
    assert not any(line["target"].endswith(f":{hanging.port}") for line in lines)


def test_a_hanging_shadow_is_not_noticed_and_delays_no_stop(
    gateway: Gateway, hanging: ScriptedUpstream
) -> None:
    began = time.monotonic()
    for _ in range(20):
        reply = exchange(gateway.address, request(b"/mirrored/7"))
        assert (reply.status, reply.body) == (200, b"ok")
    assert time.monotonic() - began < 10
    assert hanging.wait_until(lambda: len(hanging.requests) == 5)  # as many as may be under way
    assert held(gateway)["beside"] == 5
    gateway.signal(signal.SIGTERM)
    assert gateway.process.wait(20) == 0  # the copies have a minute
    assert "graceful timeout" not in gateway.stderr_text()
    assert gateway.stderr_text().count("of the copies for shadow") == 1
