"""`flask gateway upstreams`: what the workers of a gateway know, read by another process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from gateway import HealthCheck, Service, public
from gateway.cli.upstreams import print_upstreams
from gateway.errors import ConfigurationError
from gateway.state import EmbeddedState, EmbeddedStore, Value
from gateway.upstreams import parse_targets
from gateway.upstreams.discovery.entry import Entry
from gateway.upstreams.loads import ABOUT
from tests.cli.support import FLASK, IN_ORDER, Folder
from tests.support.wsgi import make_app

A, B, C = "http://a:80", "http://b:80", "http://c:80"


class Workers:
    """What running workers would have said by now; times are relative to it."""

    def __init__(self, folder: Path) -> None:
        self.state = EmbeddedState(EmbeddedStore(folder))

    def say(self, key: str, **value: Any) -> None:
        """Publish; numbers under names of times become times of the state's clock."""
        now = self.state.clock()
        made = {
            name: now + word if name in ("at", "until", "since", "checked", "expires") else word
            for name, word in value.items()
        }
        self.state.change(key, lambda old: made)

    def found(self, *urls: str) -> None:
        """Instances of `things` that discovery has found."""
        entry = Entry("whoever", parse_targets(",".join(urls)))
        self.say("upstream/things/targets", **entry.value(self.state.clock()))

    def report(self, worker: str, in_flight: dict[str, dict[str, int]], age: float = 1.0) -> None:
        """A worker that is alive, or was."""
        self.say(f"{ABOUT}{worker}", at=-age, expires=5 - age, in_flight=in_flight)


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ages are told to a tenth of a second, which a busy machine may take."""
    now = time.monotonic()
    monkeypatch.setattr(EmbeddedState, "clock", lambda self: now)


@pytest.fixture
def workers(tmp_path: Path) -> Workers:
    return Workers(tmp_path)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Flask]:
    def made(*urls: str, **options: Any) -> Flask:
        service = Service(
            "things", __name__, url_prefix="/things", upstream=",".join(urls), **options
        )
        return make_app(public(service), STATE_URL=f"lmdb://{tmp_path}")

    return made


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[Flask], list[str]]:
    def printed(app: Flask) -> list[str]:
        print_upstreams(app, as_json=False, watch=None)
        return capsys.readouterr().out.splitlines()

    return printed


@pytest.fixture
def seen(capsys: pytest.CaptureFixture[str]) -> Callable[[Flask], dict[str, Any]]:
    def printed(app: Flask) -> dict[str, Any]:
        print_upstreams(app, as_json=True, watch=None)
        (line,) = capsys.readouterr().out.splitlines()
        return dict(json.loads(line))

    return printed


Lines = Callable[[Flask], list[str]]
Seen = Callable[[Flask], dict[str, Any]]
Make = Callable[..., Flask]


def test_a_gateway_that_nobody_runs(workers: Workers, make: Make, lines: Lines) -> None:
    assert lines(make(A)) == [
        "things: balancing PowerOfTwo, static, no probes",
        "  target  weight  in flight  state",
        "  a            1          0  healthy",
        "",
        "No worker has been heard of: the gateway does not run, or with another store.",
    ]
    # Looking has published nothing and elected nobody.
    assert workers.state.scan("") == {}


def test_a_service_without_instances(make: Make, lines: Lines) -> None:
    assert lines(make(""))[:2] == [
        "things: balancing PowerOfTwo, static, no probes",
        "  no instance",
    ]


def test_what_is_in_flight_is_added_up_over_those_who_live(
    workers: Workers, make: Make, lines: Lines, seen: Seen
) -> None:
    workers.report("web/11", {"things": {"a": 4, "b": 1}})
    workers.report("web/12", {"things": {"a": 3}, "gone": {"x": 1}})
    workers.report("web/13", {"things": {"a": 50}}, age=5.5)
    workers.say("elected", holder="web/12/0f0f0f0f", until=1)
    app = make(f"{A};weight=5", B)
    assert lines(app) == [
        "things: balancing PowerOfTwo, static, no probes",
        "  target  weight  in flight  state",
        "  a            5    7 (4+3)  healthy",
        "  b            1    1 (1+0)  healthy",
        "",
        "worker web/11: 5 in flight, heard 1.0 s ago",
        "worker web/12: 4 in flight, heard 1.0 s ago, elected",
    ]
    found = seen(app)
    assert found["elected"] == "web/12"
    assert found["workers"] == {
        "web/11": {"heard": pytest.approx(1, abs=0.5), "in_flight": 5},
        "web/12": {"heard": pytest.approx(1, abs=0.5), "in_flight": 4},
    }
    assert found["services"]["things"]["targets"][0]["in_flight"] == {"web/11": 4, "web/12": 3}


def health(healthy: bool, reason: str = "", **value: Any) -> Value:
    return {
        "healthy": healthy,
        "since": -200,
        "checked": -4,
        "expires": 26,
        "reason": reason,
        "streak": 0,
        **value,
    }


def test_the_states_of_instances(workers: Workers, make: Make, lines: Lines, seen: Seen) -> None:
    workers.say("upstream/things/health/a", **health(True))
    workers.say("upstream/things/health/b", **health(False, "connection_refused"))
    workers.say("upstream/things/ejected/c", until=24.4, times=2, expires=90)
    workers.say("upstream/things/ejected/a", until=-1, times=1, expires=90)
    app = make(A, B, C, "http://d;weight=0", health_check=HealthCheck())
    assert lines(app)[:6] == [
        "things: balancing PowerOfTwo, static, probes GET /health every 10 s",
        "  target  weight  in flight  state",
        "  a            1          0  healthy, probed 4.0 s ago",
        "  b            1          0  unhealthy for 3 min, probed 4.0 s ago: connection_refused",
        "  c            1          0  ejected for 24 s more (2 times in a row)",
        "  d            0          0  unused",
    ]
    targets = seen(app)["services"]["things"]["targets"]
    assert [target["used"] for target in targets] == [True, False, False, False]
    assert targets[1]["health"] == {
        "healthy": False,
        "since": pytest.approx(200, abs=1),
        "checked": pytest.approx(4, abs=1),
        "reason": "connection_refused",
    }
    assert targets[2]["ejected"] == {"until": pytest.approx(24.4, abs=1), "times": 2}
    assert targets[0]["ejected"] is None


def test_the_last_one_is_used_all_the_same(workers: Workers, make: Make, lines: Lines) -> None:
    workers.say("upstream/things/health/a", **health(False, "status 503", since=-7200))
    assert lines(make(A, health_check=HealthCheck()))[2] == (
        "  a            1          0  unhealthy for 2 h, used all the same: no other is better,"
        " probed 4.0 s ago: status 503"
    )


def test_a_verdict_that_is_too_old_is_none(workers: Workers, make: Make, lines: Lines) -> None:
    workers.say("upstream/things/health/a", **health(False, "x", expires=-0.1))
    assert lines(make(A, B))[2].endswith("  healthy")


def test_circuits(workers: Workers, make: Make, lines: Lines, seen: Seen) -> None:
    def circuit(name: str, is_open: bool, until: float, failures: int = 0) -> None:
        value = {"open": is_open, "until": until, "failures": failures, "expires": until + 60}
        workers.say(f"circuit/{name}", **value)

    circuit("things", True, 12.34)
    circuit("things/a", True, -1)
    circuit("things/b", False, -1, 3)
    circuit("things/c", False, -1)
    circuit("things2", True, 99)
    workers.say("circuit/things/d", open=True, until=-61, failures=0, expires=-1)
    app = make(A, B, C, "http://d")
    printed = lines(app)
    assert printed[0].endswith(", circuit open, tries again in 12 s")
    assert [line.partition("healthy")[2] for line in printed[2:6]] == [
        ", circuit half-open",
        ", circuit closed after 3 failures in a row",
        ", circuit closed",
        "",
    ]
    assert seen(app)["services"]["things"]["circuit"] == {
        "state": "open",
        "failures": 0,
        "recovery": pytest.approx(12.3, abs=1),
    }


def test_what_was_discovered(workers: Workers, make: Make, lines: Lines, seen: Seen) -> None:
    app = make("dns://things.internal:80")
    assert lines(app)[:2] == [
        "things: balancing PowerOfTwo, discovered, no probes",
        "  no instance",
    ]
    workers.found(A, B)
    workers.say("upstream/things/health/b", **health(False, "status 500"))
    targets = seen(app)["services"]["things"]["targets"]
    assert [(target["target"], target["used"]) for target in targets] == [("a", True), ("b", False)]
    # One that goes is not forgotten by who only looks: that is the workers' business.
    workers.found(A)
    assert len(seen(app)["services"]["things"]["targets"]) == 1
    assert workers.state.get("upstream/things/health/b") is not None


def test_memory_can_only_be_read_by_whoever_has_it() -> None:
    app = make_app()
    with pytest.raises(ConfigurationError, match="each worker keeps what it knows to itself"):
        print_upstreams(app, as_json=False, watch=None)


def test_watching_goes_on(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        print_upstreams(make(A), as_json=True, watch=2.5, sleep=sleep)
    assert slept == [2.5] * 3
    assert len([json.loads(line) for line in capsys.readouterr().out.splitlines()]) == 3


def test_the_command(shared: Folder, workers: Workers, tmp_path: Path) -> None:
    environ = {**IN_ORDER, "ORDERS_URL": A, "STATE_URL": f"lmdb://{tmp_path}"}
    workers.report("web/11", {"orders": {"a": 2}})
    done = shared.run("upstreams", **environ)
    assert (done.code, done.err) == (0, "")
    assert "orders: balancing PowerOfTwo, static, no probes" in done.out.splitlines()
    assert "worker web/11: 2 in flight, heard" in done.out
    assert environ["JWT_SECRET"] not in done.out
    done = shared.run("upstreams", "--json", **environ)
    assert (done.code, done.err) == (0, "")
    assert set(json.loads(done.out)["services"]) > {"orders", "users"}


def test_a_store_that_cannot_be_read_is_named(shared: Folder, tmp_path: Path) -> None:
    # A gateway would go on with what each worker knows: there is nothing to read then.
    place = EmbeddedStore(tmp_path)
    EmbeddedState(place).get("x")
    place.close()
    (data,) = tmp_path.glob("*/data.mdb")
    data.unlink()
    data.mkdir()
    environ = {**IN_ORDER, "STATE_URL": f"lmdb://{tmp_path}"}
    done = shared.run("upstreams", **environ)
    assert (done.code, done.out) == (1, "")
    assert "- the store that the workers share cannot be read" in done.err.splitlines()
    assert shared.run("upstreams", **{**environ, "STATE_URL": "memory://"}).code == 1


def test_ctrl_c_ends_watching_in_order(shared: Folder, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [FLASK, "gateway", "upstreams", "--json", "--watch", "0.1"],
        cwd=shared.path,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(shared.path),
            "PYTHONUNBUFFERED": "1",
            "STATE_URL": f"lmdb://{tmp_path}",
            **IN_ORDER,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        for _ in range(3):
            json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "")
        assert time.monotonic() - began < 15
    finally:
        process.kill()
        process.communicate()
