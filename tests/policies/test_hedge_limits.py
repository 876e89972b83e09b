"""What is hedged, how soon, and how often."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from gateway import Hedge, Split, UpstreamRequest, UpstreamResponse
from gateway import parallel as beside
from gateway.bodies import RequestBody
from gateway.exchange import Attempt
from gateway.policies.hedge import Budget, Delay
from gateway.policy import policy_faults
from tests.policies.hedging import LONG, SOON, Backends, Play, at_once, hanging, hedged, names
from tests.support.outline import answer, make_context, outline


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_never_hedged(method: str) -> None:
    threads: list[int] = []

    def play(request: UpstreamRequest) -> UpstreamResponse:
        threads.append(threading.get_ident())
        time.sleep(3 * SOON)
        return answer()

    request = outline(method)
    hedged(Backends(play, play))(request)
    assert threads == [threading.get_ident()]


@pytest.mark.parametrize(("length", "attempts"), [(5, 1), (None, 1), (0, 2)])
def test_requests_with_a_body_are_not_hedged(length: int | None, attempts: int) -> None:
    def play(request: UpstreamRequest) -> UpstreamResponse:
        time.sleep(0.2)
        return answer()

    request = outline("GET", body=RequestBody(None, length))
    hedged(Backends(play, at_once()))(request)
    assert len(request.exchange.attempts) == attempts


def test_earlier_attempts_stay_and_what_they_asked_is_known() -> None:
    backends = Backends(at_once(), hanging, at_once())
    request = replace(outline(seconds=LONG), tried=["a"])
    request.exchange.attempts.append(Attempt("a", 1.0, 2.0, "connection_refused"))
    assert hedged(backends)(request).target in {"a", "c"}
    assert request.tried is not None
    assert request.tried[:2] == ["a", "b"]
    assert names(request)[:2] == [("a", "connection_refused"), ("b", "cancelled")]


def test_what_others_do_not_admit_is_not_hedged_to() -> None:
    backends = Backends(hanging, at_once(), at_once())
    request = replace(outline(seconds=LONG), admit=lambda name: name != "b")
    assert hedged(backends)(request).target == "c"


def test_what_the_winner_notes_is_kept_and_what_the_loser_notes_is_not() -> None:
    def blaming(word: str, then: Play) -> Play:
        def play(request: UpstreamRequest) -> UpstreamResponse:
            request.exchange.blame("upstream", word)
            return then(request)

        return play

    request = outline(seconds=LONG)
    hedged(Backends(blaming("loser", hanging), blaming("winner", at_once())))(request)
    assert request.exchange.reason == "winner"


def test_without_a_free_thread_there_is_no_hedge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "start", lambda task: False)

    def slow(request: UpstreamRequest) -> UpstreamResponse:
        time.sleep(3 * SOON)
        return answer()

    request = outline()
    assert hedged(Backends(slow, at_once()))(request).target == "a"
    assert names(request) == [("a", "")]


def test_a_slow_service_gets_no_more_than_the_budget() -> None:
    started = threading.Semaphore(0)

    def play(request: UpstreamRequest) -> UpstreamResponse:
        started.release()
        time.sleep(0.03)
        return answer()

    handler = hedged(Backends(play, play), after=0.001, budget=0.2)
    for _ in range(20):
        handler(outline())
    hedges = 0
    while started.acquire(blocking=False):
        hedges += 1
    # One from the start, and one for every five requests.
    assert 20 + 3 <= hedges <= 20 + 5


def test_budget() -> None:
    budget = Budget(0.1)
    assert budget.spend()
    assert not budget.spend()
    assert [budget.earn() for _ in range(10)] == [False] * 9 + [True]
    assert budget.spend()
    for _ in range(1000):
        budget.earn()
    assert [budget.spend() for _ in range(11)] == [True] * 10 + [False]


def test_a_delay_is_learned_from_the_latest() -> None:
    delay = Delay("p95")
    for number in range(19):
        delay.note(number)
        assert delay.seconds is None
    delay.note(19)
    assert delay.seconds == 19
    for _ in range(10):
        for number in range(100):
            delay.note(number / 100)
    assert delay.seconds == 0.95


def test_a_learned_delay_has_a_floor_and_a_fixed_one_learns_nothing() -> None:
    quick, fixed = Delay("p50"), Delay(0.3)
    for _ in range(20):
        quick.note(0.0001)
        fixed.note(5.0)
    assert (quick.seconds, fixed.seconds) == (0.01, 0.3)


def test_adaptive_hedging_begins_once_enough_is_known() -> None:
    slow = threading.Event()

    def first(request: UpstreamRequest) -> UpstreamResponse:
        return hanging(request) if slow.is_set() else answer()

    handler = hedged(Backends(first, at_once()), after="p90")
    for _ in range(20):
        assert handler(outline()).target == "a"
    slow.set()
    assert handler(outline(seconds=LONG)).target == "b"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"after": "95"}, "after='95' must be seconds, or p10 to p99"),
        ({"after": "p100"}, "after='p100' must be seconds, or p10 to p99"),
        ({"after": 0}, "after=0 must be above 0"),
        ({"after": float("nan")}, "after=nan must be above 0"),
        ({"most": 0}, "most=0 must be from 1 to 3"),
        ({"budget": 0.0}, "budget=0.0 is a share, above 0 and up to 1"),
        ({"budget": 1.5}, "budget=1.5 is a share, above 0 and up to 1"),
    ],
)
def test_wrong_options(options: dict[str, Any], fault: str) -> None:
    assert Hedge(**options).faults(make_context()) == [fault]


def test_where_it_may_stand() -> None:
    context = make_context(others={"canary": at_once()})
    split = Split("canary", percent=5)
    assert policy_faults([split, Hedge()], context) == []
    assert policy_faults([Hedge(), split], context) == [
        "Split works per request and must come before Hedge"
    ]
    assert policy_faults([Hedge(), Hedge()], context) == ["Hedge is there twice"]
