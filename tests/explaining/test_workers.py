"""`flask gateway explain` beside a running gateway: what its workers share is seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.explaining.described import Described
from gateway.explaining.explain import explain
from gateway.testing import ScriptedUpstream
from tests.explaining.app import LIMIT, make
from tests.support import messages
from tests.support.client import Reply, exchange
from tests.support.gunicorn import Gateway, start_gateway, wait_for
from tests.support.wsgi import bearer, bearer_line


@pytest.fixture(scope="module")
def gateway(scripted: ScriptedUpstream) -> Iterator[Gateway]:
    env = {"EXPLAINED_UPSTREAM": scripted.url}
    with start_gateway("tests.explaining.app:app", env=env) as running:
        yield running


def ask(gateway: Gateway, target: str, *headers: bytes) -> Reply:
    """A real request."""
    return exchange(gateway.address, messages.request(target.encode(), *headers))


def test_what_the_workers_share(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    app = make(upstream.url, f"lmdb://{gateway.folder / 'state'}")

    def explained(target: str, *fields: tuple[str, str]) -> dict[str, Any]:
        return explain(app, Described("GET", target, fields, host=messages.HOST.decode()))

    # An answer that is kept, and what is left of a limit.
    upstream.respond(messages.response(b"200 OK", body=b"ok"))
    assert ask(gateway, "/things/1").status == 200
    found = explained("/things/1")
    assert (found["outcome"], found["cache"]["answer"]["status"]) == ("kept", 200)
    assert {one["name"]: one["left"] for one in found["limits"]}["things-60"] == LIMIT - 1
    # A circuit that the worker opened.
    upstream.respond(messages.response(b"503 Service Unavailable"))
    reader = bearer("order:read")
    assert explained("/orders/7", reader)["outcome"] == "forwarded"
    for _ in range(2):
        ask(gateway, "/orders/7", bearer_line("ada", "order:read"))
    assert wait_for(lambda: explained("/orders/7", reader)["outcome"] == "refused")
    answer = explained("/orders/7", reader)["answer"]
    assert (answer["status"], answer["code"]) == (503, "circuit_open")
    # Whoever explains has asked nobody, and counted nothing.
    asked = len(upstream.requests)
    for _ in range(LIMIT):
        explained("/things/2")
    assert len(upstream.requests) == asked
    upstream.respond(messages.response(b"200 OK", body=b"ok"))
    assert ask(gateway, "/things/2").header(b"X-RateLimit-Remaining") == [b"%d" % (LIMIT - 2)]
