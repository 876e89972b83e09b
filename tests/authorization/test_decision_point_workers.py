"""A decision point and a real gateway: the example that decides, and one that misbehaves."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.testing import Hang, ScriptedUpstream, Send, Until
from tests.examples.test_backends import Running, backend
from tests.support.client import Reply, exchange
from tests.support.gunicorn import Gateway, start_gateway, wait_for
from tests.support.messages import request, response
from tests.support.wsgi import bearer

YES = response(b"200 OK", body=b'{"result": true}')
NO = response(b"200 OK", body=b'{"result": {"allow": false}}')


@dataclass(frozen=True, slots=True)
class House:
    """A gateway, the example decision point, and a scripted one."""

    gateway: Gateway
    example: Running
    scripted: ScriptedUpstream
    backend: ScriptedUpstream
    worker_class: str

    def ask(self, path: str, method: str = "GET", *roles: str) -> Reply:
        """What a user with these roles gets."""
        name, value = bearer(roles=list(roles))
        message = request(path.encode(), f"{name}: {value}".encode(), method=method.encode())
        return exchange(self.gateway.port, message)


def code(reply: Reply) -> Any:
    """The stable name of a failure's cause."""
    return json.loads(reply.body)["code"]


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def whole(request: pytest.FixtureRequest) -> Iterator[House]:
    """All of it, for the tests that leave it as it was."""
    with (
        backend("decisions") as example,
        ScriptedUpstream() as scripted,
        ScriptedUpstream() as behind,
        start_gateway(
            "tests.authorization.app:app",
            worker_class=str(request.param),
            env={
                "EXAMPLE_PDP": example.origin,
                "SCRIPTED_PDP": scripted.url,
                "BACKEND": behind.url,
            },
        ) as gateway,
    ):
        yield House(gateway, example, scripted, behind, str(request.param))
        assert "Traceback" not in gateway.stderr_text()


@pytest.fixture
def house(whole: House) -> House:
    """The same, with nothing said or heard yet."""
    whole.scripted.reset()
    whole.backend.reset()
    return whole


@pytest.mark.parametrize(
    ("method", "path", "roles", "status"),
    [
        ("GET", "", [], 200),
        ("POST", "", [], 403),
        ("DELETE", "/1001", ["support"], 403),
        ("POST", "/1001/refunds", ["support"], 200),
        ("POST", "/1001/refunds", ["writer"], 403),
        ("DELETE", "/1001", ["writer", "admin"], 200),
    ],
)
def test_the_example_decides(
    house: House, method: str, path: str, roles: list[str], status: int
) -> None:
    reply = house.ask(f"/api/v1/orders{path}", method, *roles)
    assert reply.status == status
    assert len(house.backend.requests) == (status == 200)
    assert status == 200 or code(reply) == "forbidden"


def test_reading_is_free_and_writing_is_asked_about(house: House) -> None:
    house.scripted.respond(NO, YES)
    assert house.ask("/writing/a").status == 200
    assert house.scripted.requests == []
    assert [house.ask("/writing/a", "PUT").status for _ in range(2)] == [403, 403]
    assert len(house.scripted.requests) == 1  # the decision is remembered
    assert house.ask("/writing/b", "PUT").status == 200


def test_garbage_is_closed(house: House) -> None:
    house.scripted.respond(response(b"200 OK", body=b"<html>"))
    for path in ("/closed/a", "/opening/a"):
        reply = house.ask(path)
        assert (reply.status, code(reply)) == (503, "authority_unavailable")
        assert reply.header(b"Retry-After") == [b"1"]
    assert house.backend.requests == []


def test_hanging_ends_within_the_time_and_is_closed(house: House) -> None:
    house.scripted.script([Hang()])
    started = time.monotonic()
    reply = house.ask("/closed/a")
    assert (reply.status, code(reply)) == (503, "authority_unavailable")
    assert 0.9 < time.monotonic() - started < 5
    assert house.ask("/opening/a").status == 200


def test_one_that_hangs_holds_up_nobody_else(house: House) -> None:
    release = threading.Event()
    house.scripted.script([Until(release), Send(YES)])
    with ThreadPoolExecutor(4) as pool:
        held = [pool.submit(house.ask, "/closed/a") for _ in range(4)]
        assert house.scripted.wait_until(lambda: len(house.scripted.requests) == 4)
        try:
            assert house.ask("/writing/a").status == 200
        finally:
            release.set()
        assert {one.result().status for one in held} <= {200, 503}


def test_one_that_is_down_and_comes_back(house: House) -> None:
    with ScriptedUpstream() as once:
        port = once.port
        once.respond(YES)
        with start_gateway(
            "tests.authorization.app:app",
            worker_class=house.worker_class,
            env={"EXAMPLE_PDP": once.url, "SCRIPTED_PDP": once.url, "BACKEND": house.backend.url},
        ) as gateway:
            other = House(gateway, house.example, once, house.backend, house.worker_class)
            assert other.ask("/closed/a").status == 200
            once.close()
            reply = other.ask("/closed/a")
            assert (reply.status, code(reply)) == (503, "authority_unavailable")
            assert str(port).encode() not in reply.body
            assert other.ask("/opening/a").status == 200
            with ScriptedUpstream(port=port) as again:
                again.respond(YES)
                assert other.ask("/closed/a").status == 200
            assert wait_for(lambda: "decides again" in gateway.stderr_text())
            assert gateway.stderr_text().count("decides nothing: ") == 2  # one for each service
