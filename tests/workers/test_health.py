"""Health over the workers of a real gateway: what one sees, all of them know."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.testing import Close, Hang, Received, Reset, Script, ScriptedUpstream, Send
from tests.support.client import Connection, Reply
from tests.support.gunicorn import ROOT, SECRET, Gateway, start_gateway, wait_for
from tests.support.warm import run_command

APP = "tests.workers.health_app:app"
FLASK = Path(sys.executable).with_name("flask")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Instances:
    """Three real backends. `ill` ones fail probes, `broken` ones reset every connection."""

    upstreams: list[ScriptedUpstream]
    ill: set[int]
    broken: set[int]

    def __post_init__(self) -> None:
        for number, upstream in enumerate(self.upstreams):
            upstream.answer(self._player(number))

    def _player(self, number: int) -> Callable[[Received], Script]:
        def play(received: Received) -> Script:
            if number in self.broken:
                return [Reset()]
            if received.target == b"/probed/hang":
                return [Hang()]
            if received.target == b"/health":
                return [Send(BUSY if number in self.ill else OK), Close()]
            return [Send(OK)]

        return play

    @property
    def urls(self) -> str:
        return ",".join(upstream.url for upstream in self.upstreams)

    def name(self, number: int) -> str:
        return self.upstreams[number].url.removeprefix("http://")

    def asked(self, number: int, target: bytes) -> int:
        """How many requests for a target one has got so far."""
        return sum(request.target == target for request in self.upstreams[number].requests)


@pytest.fixture
def instances() -> Iterator[Instances]:
    with contextlib.ExitStack() as stack:
        upstreams = [stack.enter_context(ScriptedUpstream()) for _ in range(3)]
        yield Instances(upstreams, set(), set())


def settings(instances: Instances) -> dict[str, str]:
    return {
        "PROBED_URL": instances.urls,
        "PLAIN_URL": instances.urls,
        "GUARDED_URL": instances.upstreams[0].url,
    }


@pytest.fixture
def gateway(worker_class: str, instances: Instances) -> Iterator[Gateway]:
    """Two workers in front of the instances."""
    env = settings(instances)
    with start_gateway(APP, worker_class=worker_class, workers=2, env=env) as running:
        assert wait_for(lambda: len(running.worker_pids()) == 2)
        yield running


def get(connection: Connection, path: str) -> Reply:
    connection.send(f"GET {path} HTTP/1.1\r\nHost: health\r\n\r\n".encode())
    return connection.read_reply()


@contextlib.contextmanager
def connection_to(gateway: Gateway, pid: int) -> Iterator[Connection]:
    """A connection that a certain worker serves: the others are asleep when it is made."""
    others = [other for other in gateway.worker_pids() if other != pid]
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        connection = Connection(gateway.address)
        assert json.loads(get(connection, "/plain/pid").body) == pid
    finally:
        for other in others:
            os.kill(other, signal.SIGCONT)
    with connection:
        yield connection


def overview(gateway: Gateway, env: Mapping[str, str]) -> dict[str, Any]:
    """What an operator sees."""
    words = ["--app", APP, "gateway", "upstreams", "--json"]
    environ = {
        "PATH": os.environ["PATH"],
        "JWT_SECRET": SECRET,
        "STATE_URL": f"lmdb://{gateway.folder / 'state'}",
        **env,
    }
    code, out, err = run_command(FLASK, words, ROOT, environ)
    assert code == 0, err
    return dict(json.loads(out))


def target_of(seen: dict[str, Any], service: str, name: str) -> dict[str, Any]:
    return next(t for t in seen["services"][service]["targets"] if t["target"] == name)


def test_all_workers_leave_out_who_fails_and_take_it_in_again(
    gateway: Gateway, instances: Instances
) -> None:
    one, two = gateway.worker_pids()
    with connection_to(gateway, one) as first, connection_to(gateway, two) as second:
        instances.broken.add(2)
        left_out = f"plain: {instances.name(2)} is left out for 6 s"
        for _ in range(200):
            get(first, "/plain/x")
            if left_out in gateway.stderr_text():
                break
        assert left_out in gateway.stderr_text()
        time.sleep(1)  # the other worker has this long to learn of it
        before = instances.asked(2, b"/plain/x")
        statuses = {get(asked, "/plain/x").status for asked in (second, first) * 10}
        assert statuses == {200}
        assert instances.asked(2, b"/plain/x") == before
        ejected = target_of(overview(gateway, settings(instances)), "plain", instances.name(2))
        assert ejected["ejected"]["times"] == 1
        assert not ejected["used"]
        instances.broken.clear()

        def asked_again() -> bool:
            return get(second, "/plain/x").status == 200 and (
                instances.asked(2, b"/plain/x") > before
            )

        assert wait_for(asked_again)
        assert gateway.stderr_text().count("is left out") == 1


def test_one_worker_probes_and_all_of_them_know(gateway: Gateway, instances: Instances) -> None:
    instances.ill.add(1)
    unhealthy = f"probed: {instances.name(1)} is unhealthy: status 503"
    assert wait_for(lambda: unhealthy in gateway.stderr_text())
    counted, began = instances.asked(0, b"/health"), time.monotonic()
    one, two = gateway.worker_pids()
    with connection_to(gateway, one) as first, connection_to(gateway, two) as second:
        time.sleep(1)
        before = instances.asked(1, b"/probed/x")
        for asked in (first, second) * 20:
            assert get(asked, "/probed/x").status == 200
        assert instances.asked(1, b"/probed/x") == before == 0
        instances.ill.clear()
        assert wait_for(
            lambda: (
                get(first, "/probed/x").status == 200
                and get(second, "/probed/x").status == 200
                and instances.asked(1, b"/probed/x") > 1
            )
        )
        assert f"probed: {instances.name(1)} is healthy again" in gateway.stderr_text()
    # Two probers would have asked twice as often as every 0.5 s less a tenth.
    most = (time.monotonic() - began) / 0.45 + 2
    assert 2 <= instances.asked(0, b"/health") - counted <= most


def test_another_worker_takes_over_from_a_prober_that_is_killed(
    gateway: Gateway, instances: Instances
) -> None:
    instances.ill.add(1)
    unhealthy = f"probed: {instances.name(1)} is unhealthy: status 503"
    assert wait_for(lambda: unhealthy in gateway.stderr_text())
    seen = overview(gateway, settings(instances))
    prober = int(seen["elected"].rpartition("/")[2])
    assert prober in gateway.worker_pids()
    assert f"{prober}" in {name.rpartition("/")[2] for name in seen["workers"]}
    os.kill(prober, signal.SIGKILL)
    killed = time.monotonic()
    last = instances.asked(0, b"/health")
    assert instances.upstreams[0].wait_until(lambda: instances.asked(0, b"/health") > last + 1)
    # Its claim holds for 1.5 s, and the next probe is due half a second later at the latest.
    assert time.monotonic() - killed < 6
    seen = overview(gateway, settings(instances))
    assert int(seen["elected"].rpartition("/")[2]) != prober
    # The verdicts are what they were.
    verdict = target_of(seen, "probed", instances.name(1))
    assert verdict["health"]["healthy"] is False
    assert verdict["health"]["since"] > time.monotonic() - killed
    text = gateway.stderr_text()
    assert text.count("is unhealthy") == 1
    assert "is healthy again" not in text
    assert wait_for(
        lambda: f"{prober}" not in {n.rpartition("/")[2] for n in _workers(gateway, instances)}
    )


def _workers(gateway: Gateway, instances: Instances) -> dict[str, Any]:
    return dict(overview(gateway, settings(instances))["workers"])


def test_operators_see_what_is_in_flight_in_every_worker(
    gateway: Gateway, instances: Instances
) -> None:
    one, two = gateway.worker_pids()
    with contextlib.ExitStack() as stack:
        for pid, count in ((one, 2), (two, 1)):
            for _ in range(count):
                hanging = stack.enter_context(connection_to(gateway, pid))
                hanging.send(b"GET /probed/hang HTTP/1.1\r\nHost: health\r\n\r\n")

        def counts() -> dict[str, int]:
            return {
                name.rpartition("/")[2]: worker["in_flight"]
                for name, worker in _workers(gateway, instances).items()
            }

        assert wait_for(lambda: counts() == {f"{one}": 2, f"{two}": 1})
    assert wait_for(lambda: counts() == {f"{one}": 0, f"{two}": 0})
