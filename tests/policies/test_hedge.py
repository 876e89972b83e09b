"""Hedging: a second instance is asked when the first is slow, and the first answer wins."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from dataclasses import replace
from typing import Any

import pytest

from gateway import UpstreamRequest, UpstreamResponse, parallel
from gateway.errors import ClientGone, ConnectFailed, HeadFailed, HeadTimeout
from tests.policies.hedging import (
    LONG,
    SOON,
    WAIT,
    Backends,
    Body,
    at_once,
    failing,
    hanging,
    hedged,
    names,
    replace_body,
    until,
)
from tests.support.beside import nothing_beside
from tests.support.gunicorn import wait_for
from tests.support.outline import answer, outline


@pytest.fixture(autouse=True)
def own_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No attempt finds that too much is under way: of this process's other tests, some may be."""
    monkeypatch.setattr(parallel, "_workers", {})


def test_a_quick_answer_is_not_hedged() -> None:
    backends = Backends(at_once(), at_once())
    request = outline()
    response = hedged(backends, after=WAIT)(request)
    assert (response.status, response.target) == (200, "a")
    assert names(request) == [("a", "")]
    assert request.exchange.bodies == [response.body]


def test_a_slow_one_is_overtaken_by_another_and_cancelled() -> None:
    backends = Backends(hanging, at_once())
    request = outline(seconds=LONG)
    response = hedged(backends)(request)
    assert response.target == "b"
    assert b"".join(response.body) == b"ok"
    assert backends.all_ended()  # long before its deadline
    # The one that answered is the last one: the access log names it.
    assert names(request) == [("a", "cancelled"), ("b", "")]
    assert all(attempt.ended for attempt in request.exchange.attempts)
    assert (request.exchange.party, request.exchange.reason) == ("", "")
    assert 0 < request.exchange.upstream_seconds < LONG


def test_the_first_may_still_win() -> None:
    asked = threading.Event()

    def second(request: UpstreamRequest) -> UpstreamResponse:
        asked.set()
        return hanging(request)

    backends = Backends(until(asked, at_once()), second)
    request = outline(seconds=LONG)
    assert hedged(backends)(request).target == "a"
    assert backends.all_ended()
    assert names(request) == [("b", "cancelled"), ("a", "")]


def test_an_answer_that_comes_too_late_is_closed() -> None:
    late, body = threading.Event(), Body()
    backends = Backends(until(late, at_once(body=body)), at_once())
    request = outline(seconds=LONG)
    response = hedged(backends)(request)
    assert response.target == "b"
    assert not body.closed.is_set()
    late.set()
    assert body.closed.wait(WAIT)
    assert request.exchange.bodies == [response.body]


def test_of_two_answers_at_the_same_moment_one_is_closed() -> None:
    for _ in range(40):
        both = threading.Barrier(2)

        def play(request: UpstreamRequest, both: threading.Barrier = both) -> UpstreamResponse:
            both.wait(WAIT)
            return replace_body(answer(), Body())

        backends = Backends(play, play)
        request = outline(seconds=LONG)
        response = hedged(backends, after=0.001)(request)
        assert backends.all_ended()
        bodies: list[Any] = [body for asked in backends.asked for body in asked.exchange.bodies]
        assert len(bodies) == 2
        for body in bodies:
            assert body is response.body or body.closed.wait(WAIT)


def test_a_failure_before_the_hedge_is_told_at_once() -> None:
    backends = Backends(failing(HeadFailed("broken")), at_once())
    request = outline()
    with pytest.raises(HeadFailed, match="broken"):
        hedged(backends, after=WAIT)(request)
    assert names(request) == [("a", "connection_terminated")]


def test_a_failure_after_the_hedge_waits_for_the_other() -> None:
    asked, failed = threading.Event(), threading.Event()

    def first(request: UpstreamRequest) -> UpstreamResponse:
        assert asked.wait(WAIT)
        failed.set()
        raise HeadFailed("broken")

    def second(request: UpstreamRequest) -> UpstreamResponse:
        asked.set()
        assert failed.wait(WAIT)
        time.sleep(SOON)
        return answer()

    request = outline(seconds=LONG)
    assert hedged(Backends(first, second))(request).target == "b"
    assert names(request) == [("a", "connection_terminated"), ("b", "")]


@pytest.mark.parametrize("first_fails_first", [True, False])
def test_if_both_fail_the_first_ones_failure_is_told(first_fails_first: bool) -> None:
    asked, other = threading.Event(), threading.Event()

    def first(request: UpstreamRequest) -> UpstreamResponse:
        assert (asked if first_fails_first else other).wait(WAIT)
        asked.set()
        raise HeadFailed("the first")

    def second(request: UpstreamRequest) -> UpstreamResponse:
        asked.set()
        time.sleep(SOON)
        other.set()
        raise ConnectFailed("the second")

    request = outline(seconds=LONG)
    with pytest.raises(HeadFailed, match="the first"):
        hedged(Backends(first, second))(request)
    assert sorted(names(request)) == [("a", "connection_terminated"), ("b", "connection_refused")]


def test_without_another_instance_the_first_is_waited_for() -> None:
    answered = threading.Event()
    backends = Backends(until(answered, at_once()))
    request = outline(seconds=LONG)
    timer = threading.Timer(3 * SOON, answered.set)
    timer.start()
    assert hedged(backends)(request).target == "a"
    timer.join()
    assert names(request) == [("a", "")]


def test_a_5xx_wins_only_if_nothing_else_comes() -> None:
    released, broken = threading.Event(), Body()

    def second(request: UpstreamRequest) -> UpstreamResponse:
        threading.Timer(2 * SOON, released.set).start()
        return replace_body(answer(503), broken)

    request = outline(seconds=LONG)
    assert hedged(Backends(until(released, at_once()), second))(request).target == "a"
    assert broken.closed.is_set()
    assert names(request) == [("b", ""), ("a", "")]


def test_of_two_5xx_the_first_is_told_and_the_other_closed() -> None:
    asked, body = threading.Event(), Body()

    def second(request: UpstreamRequest) -> UpstreamResponse:
        asked.set()
        time.sleep(SOON)
        return replace_body(answer(502), body)

    response = hedged(Backends(until(asked, at_once(500)), second))(outline(seconds=LONG))
    assert (response.status, body.closed.is_set()) == (500, True)


def test_a_5xx_and_a_failure_give_the_5xx() -> None:
    backends = Backends(hanging, at_once(503))
    assert hedged(backends)(outline(seconds=0.3)).status == 503


def test_a_5xx_before_the_hedge_is_the_answer() -> None:
    backends = Backends(at_once(500), at_once())
    assert hedged(backends, after=WAIT)(outline()).status == 500


def test_a_5xx_may_win_if_wanted() -> None:
    backends = Backends(hanging, at_once(503))
    request = outline(seconds=LONG)
    assert hedged(backends, accept_5xx=True)(request).target == "b"
    assert backends.all_ended()


def test_two_further_attempts() -> None:
    backends = Backends(hanging, hanging, at_once(), at_once())
    request = outline(seconds=LONG)
    assert hedged(backends, most=2)(request).target == "c"
    assert names(request) == [("a", "cancelled"), ("b", "cancelled"), ("c", "")]
    assert backends.all_ended()


def test_a_client_that_left_ends_all_attempts() -> None:
    gone = threading.Event()
    backends = Backends(hanging, hanging)
    timer = threading.Timer(3 * SOON, gone.set)
    timer.start()
    request = outline(seconds=LONG, abandoned=gone.is_set)
    with pytest.raises(ClientGone):
        hedged(backends)(request)
    timer.join()
    assert backends.all_ended()
    assert names(request) == [("a", "cancelled"), ("b", "cancelled")]


def test_the_client_is_looked_at_by_one_thread_only() -> None:
    lookers: set[int] = set()

    def abandoned() -> bool:
        lookers.add(threading.get_ident())
        return False

    with pytest.raises(HeadTimeout):
        hedged(Backends(hanging, hanging))(outline(seconds=0.3, abandoned=abandoned))
    assert lookers == {threading.get_ident()}


def test_the_winners_body_sees_that_the_client_left() -> None:
    gone = threading.Event()
    backends = Backends(hanging, at_once())
    hedged(backends)(outline(seconds=LONG, abandoned=gone.is_set))
    first, second = backends.asked
    assert (first.abandoned(), second.abandoned()) == (True, False)
    gone.set()
    assert second.abandoned()


def test_nothing_waits_for_the_garbage_collector() -> None:
    class Holding(Body):
        """As the transport's body: it asks whether the client is there."""

        def __init__(self, request: UpstreamRequest) -> None:
            super().__init__()
            self.abandoned = request.abandoned

    bodies: list[weakref.ref[Body]] = []
    asked = threading.Event()

    def backend(request: UpstreamRequest) -> UpstreamResponse:
        if request.admit is not None:
            asked.set()
        assert asked.wait(WAIT)
        body = Holding(request)
        bodies.append(weakref.ref(body))
        request.exchange.bodies.append(body)
        return replace(answer(), body=body)

    handler = hedged(backend)
    gc.disable()
    try:
        for _ in range(5):
            assert handler(outline()).status == 200
            asked.clear()
        assert len(bodies) >= 5
        assert wait_for(lambda: nothing_beside() and not any(body() for body in bodies))
    finally:
        gc.enable()


def test_the_deadline_holds_even_if_no_attempt_can_be_interrupted() -> None:
    free = threading.Event()
    began = time.monotonic()
    with pytest.raises(HeadTimeout, match="no attempt"):
        hedged(Backends(until(free, at_once()), until(free, at_once())))(outline(seconds=0.2))
    assert time.monotonic() - began < WAIT / 2
    free.set()
