"""What workers report of how busy they are."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

from gateway.cli.upstreams import print_upstreams
from gateway.errors import ConfigurationError
from gateway.pulse import Pulse
from gateway.state import FallbackState, MemoryState, Value
from gateway.state.opening import LOADS
from gateway.state.redis_state import HASH
from gateway.upstreams import Connections, Target, UpstreamPool, parse_targets
from gateway.upstreams.loads import ABOUT, LoadReport, share_loads
from gateway.upstreams.overview import Overview
from tests.rate_limiting.redis_server import needs_redis, start_redis
from tests.support.gunicorn import wait_for
from tests.support.wsgi import make_app

KEY = f"{ABOUT}{socket.gethostname()}/{os.getpid()}"


class Counting(MemoryState):
    """Counts what is written."""

    writes = 0

    def change(self, key: str, edit: Any) -> Value | None:
        self.writes += 1
        return super().change(key, edit)


@dataclass
class Runtime:
    """A service of two instances; a test sets how busy they are."""

    busy: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pool = UpstreamPool(
            "things",
            parse_targets("http://a,http://b"),
            state=MemoryState(),
            chooser=lambda nodes, request: nodes[0],
            connections=Connections(self._expect, lambda target: None),
        )

    def _expect(self, target: Target) -> Any:
        return lambda: self.busy.get(target.name, 0)


@dataclass
class Bench:
    """A worker that reports when the clock is moved on."""

    now: float = 1000.0
    runtime: Runtime = field(default_factory=Runtime)

    def __post_init__(self) -> None:
        self.state = MemoryState(lambda: self.now)
        self.loads = Counting(lambda: -1.0)  # whose clock is not to be asked
        self.report = LoadReport({"things": self.runtime}, self.state, self.loads)

    def beats(self, seconds: float) -> int:
        """So long a time of beats; returns how often something was written meanwhile."""
        before = self.loads.writes
        for _ in range(int(seconds * 4)):
            self.now += 0.25
            self.report.tell()
        return self.loads.writes - before


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_report_has_what_is_in_flight_and_ends_by_itself(bench: Bench) -> None:
    bench.runtime.busy["b"] = 3
    bench.report.tell()
    assert bench.loads.get(KEY) == {
        "at": 1000.0,
        "expires": 1005.0,
        "in_flight": {"things": {"b": 3}},
    }


def test_an_idle_worker_gives_a_sign_of_life_every_two_seconds(bench: Bench) -> None:
    assert bench.beats(20.25) == 11
    report = bench.loads.get(KEY)
    assert report is not None
    assert report["in_flight"] == {}


def test_a_change_is_told_within_a_second_and_not_more_often(bench: Bench) -> None:
    bench.beats(10)
    bench.runtime.busy["a"] = 1
    assert bench.beats(1) == 1
    for _ in range(40):
        bench.runtime.busy["a"] += 1
        bench.beats(0.25)
    assert 9 <= bench.loads.writes - 6 <= 12


def test_what_others_left_behind_is_removed(bench: Bench) -> None:
    for state in (bench.state, bench.loads):
        state.change("load/host/1", lambda old: {"expires": 999.0})
        state.change("load/host/2", lambda old: {"expires": 1030.0})
    bench.report.tell()
    for state in (bench.state, bench.loads):
        assert "load/host/1" not in state.scan(ABOUT)
        assert "load/host/2" in state.scan(ABOUT)
    bench.beats(61)
    assert list(bench.loads.scan(ABOUT)) == [KEY]


def test_nothing_runs_where_nobody_could_read_it() -> None:
    before = threading.active_count()
    state = MemoryState()
    pulse = Pulse(state)
    share_loads({}, state, state, pulse)
    pulse.begin()
    assert threading.active_count() == before


def test_all_others_report_from_the_beginning(bench: Bench) -> None:
    shared = FallbackState(MemoryState(), MemoryState())
    pulse = Pulse(shared)
    share_loads({"things": bench.runtime}, shared, shared, pulse)
    pulse.begin()
    try:
        assert wait_for(lambda: shared.get(KEY))
    finally:
        pulse.end()


@needs_redis
def test_with_redis_reports_are_kept_apart_from_what_workers_read(tmp_path: Path) -> None:
    with start_redis() as server, redis.Redis.from_url(server.url) as client:
        app = make_app(REDIS_URL=server.url, STATE_URL=f"lmdb://{tmp_path}")
        gateway = app.extensions["gateway"]
        gateway.pulse.begin()
        try:
            assert wait_for(lambda: client.hexists(LOADS, KEY))
            overview = Overview(gateway.runtimes, gateway.state, gateway.loads)
            assert list(overview.look()["workers"]) == [KEY.removeprefix(ABOUT)]
            # Another change there would have every worker read all of it anew.
            known: Any = client.hkeys(HASH)
            assert KEY.encode() not in known
        finally:
            gateway.pulse.end()
        server.stop()
        with pytest.raises(ConfigurationError, match="cannot be read"):
            print_upstreams(app, as_json=False, watch=None)
