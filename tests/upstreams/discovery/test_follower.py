"""Every worker's end: taking over what is shared, and waiting for the first of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from gateway import Service, Timeouts, public
from gateway.errors import ClientGone, NoTarget
from gateway.exchange import UpstreamRequest
from gateway.pulse import Pulse
from gateway.state import MemoryState
from gateway.upstreams import Connections, Node, Target, UpstreamPool, parse_targets, verdicts
from gateway.upstreams.discovery import DiscoveryError, Found, Look
from gateway.upstreams.discovery.entry import Entry, source_of
from gateway.upstreams.discovery.follower import Follower, follow
from tests.support.gunicorn import wait_for
from tests.support.outline import outline
from tests.support.wsgi import call, make_app

KEY = verdicts.targets("things")


@dataclass
class Worker:
    """One worker's pool and its follower."""

    state: MemoryState
    retired: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pool = UpstreamPool(
            "things",
            (),
            state=self.state,
            chooser=self._first,
            connections=Connections(lambda target: lambda: 0, self._retire),
        )
        self.follower = Follower("things", "here", self.state, self.pool)
        self.pool.arrival = self.follower.wait

    def _first(self, nodes: Sequence[Node], request: UpstreamRequest) -> Node:
        return nodes[0]

    def _retire(self, target: Target) -> None:
        self.retired.append(target.name)

    def names(self) -> list[str]:
        self.follower.refresh()
        return [node.target.name for node in self.pool.nodes]


@dataclass
class Bench:
    """Two workers of one gateway."""

    now: float = 100.0

    def __post_init__(self) -> None:
        self.state = MemoryState(lambda: self.now)
        self.one, self.two = Worker(self.state), Worker(self.state)

    def share(self, urls: str | None, gone_at: float | None = None, source: str = "here") -> None:
        targets = None if urls is None else parse_targets(urls)
        value = Entry(source, targets, gone_at).value(self.now)
        self.state.change(KEY, lambda old: value)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_all_workers_take_over_what_is_shared(bench: Bench) -> None:
    assert bench.one.names() == []
    bench.share("http://a,http://b")
    assert bench.one.names() == bench.two.names() == ["a", "b"]
    bench.share("http://b,http://c")
    assert bench.one.names() == bench.two.names() == ["b", "c"]
    assert bench.one.retired == bench.two.retired == ["a"]


def test_an_instance_that_stays_is_the_same_node(bench: Bench) -> None:
    bench.share("http://a,http://b")
    bench.one.names()
    before = bench.one.pool.nodes
    before[1].failures = 3
    bench.one.names()
    assert bench.one.pool.nodes is before
    bench.share("http://b,http://c")
    bench.one.names()
    assert bench.one.pool.nodes[0] is before[1]


def test_another_weight_is_not_another_instance(bench: Bench) -> None:
    bench.share("http://a,http://b")
    bench.one.names()
    bench.one.pool.nodes[1].failures = 3
    bench.share("http://a,http://b;weight=5")
    bench.one.names()
    node = bench.one.pool.nodes[1]
    assert (node.target.weight, node.failures) == (5, 3)
    assert bench.one.retired == []


def test_what_is_gone_goes_when_its_time_has_come(bench: Bench) -> None:
    bench.share("http://a", gone_at=130)
    assert bench.one.names() == ["a"]
    bench.now = 129.9
    assert bench.one.names() == ["a"]
    bench.now = 130.0
    assert bench.one.names() == []
    bench.share("http://a")
    assert bench.one.names() == ["a"]


def test_a_first_look_that_failed_takes_nothing_away(bench: Bench) -> None:
    bench.share("http://a")
    bench.one.names()
    bench.share(None)
    assert bench.one.names() == ["a"]


def test_what_another_source_found_is_ignored(bench: Bench) -> None:
    bench.share("http://a")
    bench.one.names()
    bench.share("http://elsewhere", source="there")
    assert bench.one.names() == ["a"]
    assert bench.two.names() == []


def test_a_lost_store_takes_nothing_away(bench: Bench) -> None:
    bench.share("http://a")
    bench.one.names()
    bench.state.change(KEY, lambda old: None)
    assert bench.one.names() == ["a"]


def test_what_is_of_an_earlier_time_is_for_those_who_know_nothing(bench: Bench) -> None:
    bench.share("http://old")
    bench.now += 3600
    assert bench.two.names() == ["old"]
    bench.share("http://new")
    assert bench.one.names() == ["new"]
    bench.now -= 3600
    bench.share("http://old")
    bench.now += 3600
    assert bench.one.names() == ["new"]
    bench.share("http://old")
    assert bench.one.names() == ["old"]


def test_the_first_request_reads_what_is_shared_already(bench: Bench) -> None:
    bench.share("http://a")
    assert bench.one.pool.choose(outline()).target.name == "a"
    request = replace(outline(), admit=lambda name: name == "a")
    assert bench.two.pool.choose(request).target.name == "a"


def test_a_request_waits_for_the_first_look(bench: Bench) -> None:
    def look() -> None:
        bench.share("http://a")
        bench.one.follower.refresh()

    timer = threading.Timer(0.2, look)
    timer.start()
    request = replace(outline(), timeouts=Timeouts(30, 30, 30))
    assert bench.one.pool.choose(request).target.name == "a"
    timer.join()


@pytest.mark.parametrize("urls", ["", None])
def test_nobody_waits_once_there_was_a_look(bench: Bench, urls: str | None) -> None:
    bench.share(urls)
    request = replace(outline(seconds=60), timeouts=Timeouts(60, 60, 60))
    began = time.monotonic()
    with pytest.raises(NoTarget):
        bench.one.pool.choose(request)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(("connect", "seconds"), [(0.1, 60.0), (60.0, 0.1), (60.0, -1.0)], ids=str)
def test_waiting_is_bounded(bench: Bench, connect: float, seconds: float) -> None:
    began = time.monotonic()
    request = replace(outline(), deadline=began + seconds, timeouts=Timeouts(connect, 60, 60))
    with pytest.raises(NoTarget):
        bench.one.pool.choose(request)
    assert time.monotonic() - began < 20


def test_nobody_waits_for_a_client_that_left(bench: Bench) -> None:
    looks: Iterator[bool] = iter([False, True])
    request = replace(
        outline(seconds=60), timeouts=Timeouts(60, 60, 60), abandoned=lambda: next(looks)
    )
    with pytest.raises(ClientGone):
        bench.one.pool.choose(request)


class Own:
    """A provider as users write one; its repr differs from worker to worker."""

    def __init__(self, *steps: str | None) -> None:
        self.steps = iter(steps)

    def begin(self) -> Look:
        def look(over: threading.Event) -> Found:
            step = next(self.steps, None)
            if step is None:
                raise DiscoveryError("nobody answers")
            return Found(parse_targets(step), 0.1)

        return look


def test_pulses_of_two_workers_follow_one_lookout(bench: Bench) -> None:
    pulses = [Pulse(bench.state, beat=0.02) for _ in range(2)]
    provider = Own("http://a", "http://a,http://b")
    for pulse, worker in zip(pulses, (bench.one, bench.two), strict=True):
        follow(provider, None, worker.pool, bench.state, pulse)
        pulse.begin()
    try:
        for worker in (bench.one, bench.two):
            assert wait_for(lambda pool=worker.pool: len(pool.nodes) == 2)  # type: ignore[misc]
    finally:
        for pulse in pulses:
            pulse.end()


def test_a_source_has_the_same_name_in_every_worker_and_tells_no_password() -> None:
    assert source_of(None, Own()) == source_of(None, Own())
    address = "consul://me:secret@127.0.0.1/x"
    assert source_of(address, Own()) != source_of(None, Own())
    assert "secret" not in source_of(address, Own())


def test_a_service_with_a_provider_needs_no_address() -> None:
    service = public(Service("things", __name__, url_prefix="/things", discovery=Own("")))
    app = make_app(service)
    answer = call(app, "/things/1")
    app.extensions["gateway"].pulse.end()
    assert (answer.status, answer.code) == (503, "destination_unavailable")
    assert answer.header("Retry-After") == ["1"]


def test_an_address_besides_a_provider_is_a_fault() -> None:
    service = Service("x", __name__, url_prefix="/x", upstream="http://x", discovery=Own())
    assert "upstream and discovery both say where it is" in service.faults()[0]
