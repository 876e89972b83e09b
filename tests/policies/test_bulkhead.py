"""The bulkhead: places of one service, waiting for them, and giving them back."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from gateway import Bulkhead, Handler, Policy, Retry, UpstreamRequest, UpstreamResponse
from gateway.errors import ClientGone, HeadTimeout, NotSent
from gateway.policies.bulkhead import Compartment
from gateway.policy import policy_faults
from tests.support.gunicorn import wait_for
from tests.support.outline import answer, make_context, outline


def ok(_request: UpstreamRequest) -> UpstreamResponse:
    """A backend that is content."""
    return answer()


def compartment(following: Handler = ok, concurrency: int = 100, **options: object) -> Compartment:
    """A bulkhead in a worker that forwards so many requests at once."""
    context = make_context(WORKER_CLASS="gthread", WORKER_THREADS=concurrency)
    made = Bulkhead(**options).wrap(following, context)  # type: ignore[arg-type]
    assert isinstance(made, Compartment)
    return made


def held(bulkhead: Compartment, count: int) -> list[UpstreamResponse]:
    """So many answers whose bodies are not over."""
    return [bulkhead(outline()) for _ in range(count)]


@pytest.mark.parametrize(
    ("concurrency", "limit", "places", "waiting"),
    [
        (16, None, 9, 4),
        (512, None, 307, 153),
        (4, None, 2, 1),
        (2, None, 1, 0),
        (1, None, 1, 0),
        (16, 14, 14, 1),  # one is left for other services
        (16, 15, 15, 0),
        (16, 40, 40, 0),
        (16, 1, 1, 0),
    ],
)
def test_places_come_from_what_the_worker_forwards(
    concurrency: int, limit: int | None, places: int, waiting: int
) -> None:
    bulkhead = compartment(concurrency=concurrency, limit=limit)
    assert (bulkhead.places.size, bulkhead.waiting.size) == (places, waiting)


def test_full_is_told_at_once_without_a_wait() -> None:
    bulkhead = compartment(limit=2, wait=0)
    held(bulkhead, 2)
    assert bulkhead.waiting.size == 0
    with pytest.raises(NotSent, match="bulkhead_full") as raised:
        bulkhead(outline())
    assert (raised.value.status, raised.value.retry_after) == (503, 1)
    assert raised.value.retry_safe
    assert bulkhead.places.taken == 2


def test_a_place_is_free_when_the_body_is_over_not_the_head() -> None:
    bulkhead = compartment(limit=1, wait=0)
    (first,) = held(bulkhead, 1)
    assert bulkhead.places.taken == 1
    assert b"".join(first.body) == b"ok"
    assert bulkhead.places.taken == 0
    first.body.close()
    first.body.close()
    assert bulkhead.places.taken == 0
    bulkhead(outline()).body.close()
    assert bulkhead.places.taken == 0


@pytest.mark.parametrize("error", [HeadTimeout(), ClientGone(), RuntimeError("bug")])
def test_a_place_is_free_after_a_failure(error: Exception) -> None:
    def fail(_request: UpstreamRequest) -> UpstreamResponse:
        raise error

    bulkhead = compartment(fail, limit=1)
    for _ in range(3):
        with pytest.raises(type(error)):
            bulkhead(outline())
    assert bulkhead.places.taken == 0


def test_an_answer_nobody_reads_is_closed_with_the_exchange() -> None:
    bulkhead = compartment(limit=1)
    request = outline()
    bulkhead(request)
    for body in request.exchange.bodies:
        body.close()
    assert bulkhead.places.taken == 0


def test_who_waits_gets_the_next_place() -> None:
    bulkhead = compartment(limit=2, wait=30)
    first, _ = held(bulkhead, 2)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(bulkhead, outline(seconds=60))
        assert wait_for(lambda: bulkhead.waiting.taken == 1)
        assert not second.done()
        first.body.close()
        assert second.result(20).status == 200
    assert bulkhead.waiting.taken == 0
    assert bulkhead.places.taken == 2


def test_waiting_ends() -> None:
    bulkhead = compartment(limit=2, wait=0.05)
    held(bulkhead, 2)
    started = time.monotonic()
    with pytest.raises(NotSent, match="bulkhead_full"):
        bulkhead(outline())
    assert time.monotonic() - started >= 0.05
    assert bulkhead.waiting.taken == 0


def test_nobody_waits_beyond_the_deadline() -> None:
    bulkhead = compartment(limit=2, wait=60)
    held(bulkhead, 2)
    started = time.monotonic()
    for request in (outline(seconds=0.05), replace(outline(), deadline=started - 1)):
        with pytest.raises(NotSent, match="bulkhead_full"):
            bulkhead(request)
    assert time.monotonic() - started < 30


def test_a_client_that_leaves_waits_no_more() -> None:
    bulkhead = compartment(limit=2, wait=60)
    held(bulkhead, 2)
    with pytest.raises(ClientGone):
        bulkhead(outline(seconds=60, abandoned=lambda: True))
    assert (bulkhead.waiting.taken, bulkhead.places.taken) == (0, 2)


def test_no_more_wait_than_may() -> None:
    bulkhead = compartment(limit=4, wait=30)
    first = held(bulkhead, 4)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(bulkhead, outline(seconds=60)) for _ in range(2)]
        assert wait_for(lambda: bulkhead.waiting.taken == 2)
        with pytest.raises(NotSent, match="bulkhead_full"):
            bulkhead(outline(seconds=60))
        for response in first:
            response.body.close()
        for one in waiting:
            one.result(20).body.close()
    assert bulkhead.places.taken == 0


def test_never_more_than_the_limit_under_contention() -> None:
    most, now, counting = 0, 0, threading.Lock()

    def count(change: int) -> None:
        nonlocal most, now
        with counting:
            now += change
            most = max(most, now)

    def backend(_request: UpstreamRequest) -> UpstreamResponse:
        count(1)
        time.sleep(0.0002)
        count(-1)
        return answer()

    bulkhead = compartment(backend, limit=3, wait=30)

    def ask(_: int) -> int:
        try:
            response = bulkhead(outline(seconds=60))
        except NotSent:
            return 503
        response.body.close()
        return response.status

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(ask, range(400)))
    assert most <= 3
    assert 200 in found
    assert found <= {200, 503}
    assert (bulkhead.places.taken, bulkhead.waiting.taken) == (0, 0)


@pytest.mark.parametrize(
    ("policies", "fault"),
    [
        ([Bulkhead(limit=0)], "Bulkhead: limit=0 must be 1 or more, or None"),
        ([Bulkhead(wait=-1)], "Bulkhead: wait=-1 must be seconds, 0 or more"),
        ([Bulkhead(wait=float("nan"))], "Bulkhead: wait=nan must be seconds, 0 or more"),
        ([Bulkhead(), Bulkhead()], "Bulkhead is there twice"),
        ([Retry(), Bulkhead()], "Bulkhead works per request and must come before Retry"),
    ],
)
def test_faults(policies: list[Policy], fault: str) -> None:
    assert policy_faults(policies, make_context()) == [fault]


def test_no_faults() -> None:
    assert policy_faults([Bulkhead(), Retry()], make_context()) == []
    assert policy_faults([Bulkhead(limit=1, wait=0)], make_context()) == []
