"""The duty of the elected worker: what it tells the others, and when it looks again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from gateway.state import MemoryState
from gateway.upstreams import Target, parse_targets, verdicts
from gateway.upstreams.discovery import DiscoveryError, Found, Look
from gateway.upstreams.discovery.entry import Entry
from gateway.upstreams.discovery.lookout import EMPTY_HOLD, Lookout

Step = Found | Exception


def found(urls: str, next_look: float = 5.0) -> Found:
    return Found(parse_targets(urls), next_look)


@dataclass
class Scripted:
    """A provider that plays steps, one for each look, and ends the duty after the last."""

    steps: Iterator[Step]
    over: threading.Event
    begun: int = 0

    def begin(self) -> Look:
        self.begun += 1
        return self._look

    def _look(self, over: threading.Event) -> Found:
        step = next(self.steps, None)
        if step is None:
            self.over.set()
            raise DiscoveryError("over")
        if isinstance(step, Exception):
            raise step
        return step


@dataclass
class Bench:
    """A lookout with a clock that only its waiting moves."""

    now: float = 100.0
    pauses: list[float] = field(default_factory=list)
    told: list[Entry | None] = field(default_factory=list)
    provider: Scripted | None = None

    def __post_init__(self) -> None:
        self.state = MemoryState(lambda: self.now)

    def play(self, *steps: Step, source: str = "here", lot: float = 1.0) -> list[Entry | None]:
        """What was shared, change by change."""
        self.told, self.pauses = [], []
        over = threading.Event()
        self.provider = Scripted(iter(steps), over)
        lookout = Lookout(
            *("things", source, self.provider, self.state),
            told=lambda: self.told.append(self.shared(source)),
            draw=lambda: lot,
            wait=self._wait,
        )
        lookout(over)
        return self.told

    def _wait(self, over: threading.Event, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def shared(self, source: str = "here") -> Entry | None:
        return Entry.read(self.state.get(verdicts.targets("things")), source)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def entry(urls: str, gone_at: float | None = None) -> Entry:
    return Entry("here", parse_targets(urls), gone_at)


def test_what_is_found_is_shared_and_looked_at_again_in_time(bench: Bench) -> None:
    told = bench.play(found("http://b,http://a;weight=3", 7), found("http://c/v1", 9))
    assert told == [entry("http://a;weight=3,http://b"), entry("http://c/v1")]
    assert bench.pauses == [7, 9]


def test_an_address_is_shared_too(bench: Bench) -> None:
    target = Target(parse_targets("https://[::1]:8443/v1")[0].origin, 2, "10.0.0.1")
    bench.play(Found((target,), 1))
    assert bench.shared() == Entry("here", (target,))


def test_the_same_in_another_order_or_twice_is_no_change(bench: Bench) -> None:
    told = bench.play(
        found("http://a,http://b"), Found((*parse_targets("http://b,http://a"),) * 2, 1)
    )
    assert told == [entry("http://a,http://b")]


def test_a_source_that_answers_at_once_is_not_asked_without_pause(bench: Bench) -> None:
    bench.play(found("http://a", 0), found("http://a", 0))
    assert bench.pauses == [0.1, 0.1]


def test_what_is_known_stays_while_looks_fail(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    failures = [DiscoveryError(f"no answer {number}") for number in range(7)]
    told = bench.play(found("http://a"), *failures, found("http://b"), *failures[:1])
    assert told == [entry("http://a"), entry("http://b")]
    assert bench.pauses == [5, 1, 2, 4, 8, 16, 30, 30, 5, 1]
    assert [record.getMessage() for record in caplog.records] == [
        "things: discovery fails, what is known stays: no answer 0",
        "things: discovery works again",
        "things: discovery fails, what is known stays: no answer 0",
    ]


def test_pauses_after_failures_are_drawn_by_lot(bench: Bench) -> None:
    bench.play(DiscoveryError(), DiscoveryError(), lot=0.0)
    assert bench.pauses == [0.5, 1.0]


def test_a_provider_that_breaks_is_begun_anew_and_logged_with_its_place(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    assert bench.play(KeyError("x"), KeyError("x"), found("http://a"))[-1] == entry("http://a")
    assert bench.provider is not None
    assert bench.provider.begun == 3
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None


def test_all_are_told_that_the_first_look_failed(bench: Bench) -> None:
    unknown = Entry("here", None)
    assert bench.play(DiscoveryError(), DiscoveryError(), found("http://a")) == [
        unknown,
        entry("http://a"),
    ]


def test_who_begins_to_look_has_not_failed_yet(bench: Bench) -> None:
    bench.play(DiscoveryError())
    assert bench.shared() == Entry("here", None)
    bench.play()
    assert bench.shared() is None
    bench.play(found("http://a"))
    bench.play()
    assert bench.shared() == entry("http://a")


def test_nothing_at_the_first_look_is_an_answer(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    assert bench.play(found(""), found("")) == [entry("")]
    assert caplog.text.count("things: discovery finds no instance") == 1


def test_when_all_seem_gone_they_stay_for_a_while(bench: Bench) -> None:
    told = bench.play(found("http://a"), found(""), found(""), found("http://b"), found(""))
    assert told == [
        entry("http://a"),
        entry("http://a", 105 + EMPTY_HOLD),
        entry("http://b"),
        entry("http://b", 120 + EMPTY_HOLD),
    ]


def test_another_lookout_does_not_begin_that_while_anew(bench: Bench) -> None:
    bench.play(found("http://a"), found(""))
    assert bench.play(found("")) == []
    assert bench.shared() == entry("http://a", 105 + EMPTY_HOLD)


def test_another_source_begins_with_nothing(bench: Bench) -> None:
    bench.play(found("http://a"))
    assert bench.play(found(""), source="there") == [Entry("there", ())]


def test_what_is_seen_after_the_office_is_lost_is_not_told(bench: Bench) -> None:
    over = threading.Event()

    class Slow:
        def begin(self) -> Look:
            def look(over: threading.Event) -> Found:
                over.set()
                return found("http://old")

            return look

    Lookout("things", "here", Slow(), bench.state)(over)
    assert bench.shared() is None


@dataclass
class Office:
    """A lookout that has looked once and waits for the next time."""

    bench: Bench

    def __post_init__(self) -> None:
        self.over = threading.Event()
        self.looked = threading.Event()
        self.lookout = Lookout(
            *("things", "here", self, self.bench.state), wait=lambda over, seconds: self._wait()
        )
        self.thread = threading.Thread(target=self.lookout, args=(self.over,))
        self.thread.start()
        assert self.looked.wait(10)

    def begin(self) -> Look:
        return lambda over: found("http://a")

    def _wait(self) -> None:
        self.looked.set()
        self.over.wait(10)

    def shared(self) -> Entry | None:
        self.lookout.keep()
        return self.bench.shared()


@pytest.fixture
def office(bench: Bench) -> Iterator[Office]:
    office = Office(bench)
    yield office
    office.over.set()
    office.thread.join(10)


def test_what_was_lost_or_replaced_is_said_again(bench: Bench, office: Office) -> None:
    key = verdicts.targets("things")
    for other in (None, Entry("here", (), None), Entry("there", ())):
        value = other and other.value(bench.now)
        bench.state.change(key, lambda old, value=value: value)  # type: ignore[misc]
        assert office.shared() == entry("http://a")


def test_it_is_renewed_before_it_looks_old(bench: Bench, office: Office) -> None:
    def renewed() -> float:
        office.lookout.keep()
        return float((bench.state.get(verdicts.targets("things")) or {})["renewed"])

    bench.now = 109.9
    assert renewed() == 100
    bench.now = 110.0
    assert renewed() == 110


def test_who_lost_the_office_keeps_nothing(bench: Bench, office: Office) -> None:
    office.over.set()
    bench.state.change(verdicts.targets("things"), lambda old: None)
    assert office.shared() is None


def test_who_found_nothing_keeps_nothing(bench: Bench) -> None:
    Lookout("things", "here", Scripted(iter(()), threading.Event()), bench.state).keep()
    assert bench.shared() is None
