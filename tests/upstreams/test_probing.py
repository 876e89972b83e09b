"""Who is asked when, and what is published of the answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from gateway import HealthCheck
from gateway.errors import ConnectFailed, HeadTimeout, PoolTimeout
from gateway.state import MemoryState, Value
from gateway.upstreams import (
    Connections,
    Ejection,
    Target,
    UpstreamPool,
    parse_targets,
    verdicts,
)
from gateway.upstreams.probing import Prober, Schedule
from tests.support.gunicorn import wait_for

Answer = int | Exception | Callable[[threading.Event], int]


@dataclass
class Bench:
    """A prober over three instances whose answers a test sets."""

    now: float = 1000.0
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.check = HealthCheck(interval=0.05, timeout=0.05, healthy=2, unhealthy=2)
        self.state = MemoryState(lambda: self.now)
        self.pool = UpstreamPool(
            "things",
            parse_targets("http://a,http://b,http://c"),
            state=self.state,
            chooser=lambda nodes, request: nodes[0],
            connections=Connections(lambda target: lambda: 0, lambda target: None),
            ejection=Ejection(failures=1, seconds=30),
        )
        self.prober = Prober(self.pool, self.check, self.state, self.ask)

    def ask(self, target: Target, over: threading.Event) -> int:
        self.asked.append(target.name)
        answer = self.answers.get(target.name, 200)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, int) else answer(over)

    def probe(self, name: str, answer: Answer, over: threading.Event | None = None) -> None:
        """Ask one once."""
        self.answers[name] = answer
        self.prober.probe(parse_targets(f"http://{name}")[0], over or threading.Event())

    def health(self, name: str) -> Value | None:
        return self.state.get(verdicts.health("things", name))

    def ejected_until(self, name: str) -> float:
        self.pool.refresh()
        return next(n.ejected_until for n in self.pool.nodes if n.target.name == name)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def over() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def times(schedule: Schedule, targets: str, until: float) -> list[tuple[float, str]]:
    """When each is asked, from 0 on, if every probe ends at once."""
    found: list[tuple[float, str]] = []
    for tick in range(int(until * 100)):
        for target in schedule.take_due(parse_targets(targets), tick / 100):
            found.append((tick / 100, target.name))
            schedule.done(target.name)
    return found


def test_new_ones_are_spread_over_the_first_interval() -> None:
    draws = iter([0.1, 0.6, 0.5, 0.5, 0.0, 1.0, 0.5, 0.5])
    schedule = Schedule(HealthCheck(interval=10), lambda name: None, lambda: next(draws))
    assert times(schedule, "http://a,http://b", 28) == [
        (1.0, "a"),
        (6.0, "b"),
        (11.0, "a"),
        (16.0, "b"),
        (20.0, "a"),  # a tenth of the interval earlier
        (27.0, "b"),  # and one later
    ]


def test_known_ones_keep_their_place() -> None:
    since = {"a": 4.0, "b": 25.0}.get
    schedule = Schedule(HealthCheck(interval=10), since, lambda: 0.5)
    assert times(schedule, "http://a,http://b,http://c", 11) == [
        (0.0, "b"),
        (5.0, "c"),
        (6.0, "a"),
        (10.0, "b"),
    ]


def test_one_that_is_still_busy_is_not_asked_again() -> None:
    schedule = Schedule(HealthCheck(interval=1, jitter=0), lambda name: 1.0)
    (target,) = parse_targets("http://a")
    assert schedule.take_due([target], 0.0) == [target]
    assert schedule.take_due([target], 5.0) == []
    schedule.done("a")
    assert schedule.take_due([target], 5.0) == [target]


def test_there_is_a_pause_until_the_next_but_no_long_one() -> None:
    schedule = Schedule(HealthCheck(interval=10, jitter=0), lambda name: 10.0)
    assert schedule.pause(0.0) == 0.5
    schedule.take_due(parse_targets("http://a"), 0.0)
    assert schedule.pause(1.0) == 0.5
    assert schedule.pause(9.8) == pytest.approx(0.2)
    assert schedule.pause(20.0) == 0.01


def test_a_verdict_is_taken_over_and_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway.upstreams")
    bench.probe("a", 503)
    assert verdicts.is_healthy(bench.health("a"), bench.now)
    bench.probe("a", ConnectFailed("to an address"))
    bench.pool.refresh()
    assert [node.target.name for node in bench.pool.usable] == ["b", "c"]
    bench.probe("a", 200)
    bench.probe("a", 204)
    bench.pool.refresh()
    assert [node.target.name for node in bench.pool.usable] == ["a", "b", "c"]
    assert [record.getMessage() for record in caplog.records] == [
        "things: a is unhealthy: connection_refused",
        "things: a is healthy again",
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(404, "status 404"), (301, "status 301"), (HeadTimeout(), "http_response_timeout")],
)
def test_the_reason_is_told(bench: Bench, answer: Answer, reason: str) -> None:
    bench.probe("a", answer)
    verdict = bench.health("a")
    assert verdict is not None
    assert verdict["reason"] == reason


def test_what_is_the_gateways_own_trouble_says_nothing(bench: Bench) -> None:
    bench.probe("a", PoolTimeout())
    assert bench.health("a") is None


def test_who_has_lost_the_office_publishes_nothing(bench: Bench, over: threading.Event) -> None:
    over.set()
    bench.probe("a", 503, over)
    assert bench.health("a") is None


def test_nothing_is_published_of_who_is_gone_and_its_verdict_goes(bench: Bench) -> None:
    bench.probe("a", 503)
    bench.pool.set_targets(parse_targets("http://b"))
    assert bench.health("a") is None
    bench.probe("a", 503)
    assert bench.health("a") is None


def test_another_weight_is_the_same_instance(bench: Bench) -> None:
    bench.probe("a", 503)
    bench.pool.set_targets(parse_targets("http://a;weight=3,http://b"))
    assert bench.health("a") is not None


def eject(bench: Bench, name: str) -> float:
    """Have an instance fail a request; returns until when it is out."""
    bench.pool.refresh()
    node = next(node for node in bench.pool.nodes if node.target.name == name)
    bench.pool.noted(node, False)
    return bench.ejected_until(name)


def test_good_probes_lift_an_ejection(bench: Bench) -> None:
    bench.probe("a", 200)
    assert eject(bench, "a") == bench.now + 30
    bench.probe("a", 200)
    bench.now += 1
    assert bench.ejected_until("a") > bench.now
    bench.probe("a", 200)
    assert bench.ejected_until("a") == 0
    assert bench.pool.usable == bench.pool.nodes


def test_a_bad_probe_begins_the_row_anew(bench: Bench) -> None:
    eject(bench, "a")
    for answer in (200, 500, 200):
        bench.probe("a", answer)
        assert bench.ejected_until("a") > bench.now
    bench.probe("a", 200)
    assert bench.ejected_until("a") == 0


def test_what_the_probes_do_not_see_stays_out_for_its_time(bench: Bench) -> None:
    eject(bench, "a")
    for _ in range(2):
        bench.probe("a", 200)
    bench.now += 1
    until = eject(bench, "a")
    assert until == bench.now + 60
    for _ in range(5):
        bench.probe("a", 200)
    assert bench.ejected_until("a") == until


def test_all_are_asked_at_their_intervals_and_a_slow_one_delays_no_other(
    bench: Bench, over: threading.Event
) -> None:
    def hang(over: threading.Event) -> int:
        over.wait(20)
        return 200

    bench.answers["b"] = hang
    thread = threading.Thread(target=bench.prober.run, args=(over,))
    thread.start()
    assert wait_for(lambda: min(bench.asked.count("a"), bench.asked.count("c")) > 4)
    assert bench.asked.count("b") == 1
    over.set()
    thread.join(5)
    assert not thread.is_alive()


def test_targets_that_come_and_go_are_followed(bench: Bench, over: threading.Event) -> None:
    thread = threading.Thread(target=bench.prober.run, args=(over,))
    thread.start()
    assert wait_for(lambda: {"a", "b", "c"} <= set(bench.asked))
    bench.pool.set_targets(parse_targets("http://c,http://d"))
    assert wait_for(lambda: "d" in bench.asked)
    bench.asked.clear()
    assert wait_for(lambda: bench.asked.count("c") > 2)
    assert set(bench.asked) == {"c", "d"}
    over.set()
    thread.join(5)


def test_a_probe_that_breaks_stops_no_other(
    bench: Bench, over: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    bench.answers["a"] = ZeroDivisionError("a fault of ours")
    thread = threading.Thread(target=bench.prober.run, args=(over,))
    thread.start()
    assert wait_for(lambda: min(bench.asked.count("a"), bench.asked.count("b")) > 2)
    over.set()
    thread.join(5)
    assert bench.health("a") is None
    assert "things: a probe of a failed" in caplog.text
