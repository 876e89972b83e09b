"""Many who ask for the same at the same time: one request upstream, and nobody held up in vain."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from gateway import UpstreamRequest, UpstreamResponse
from gateway.caching.handler import Cached
from gateway.capacity import Capacity
from gateway.errors import ClientGone, ConnectFailed
from tests.caching.handling import (
    FRESH,
    Backend,
    Clock,
    Pieces,
    asking,
    cached,
    header,
    label,
    says,
    store,
)
from tests.support.gunicorn import wait_for
from tests.support.outline import outline

CROWD = 20
PATIENT = 30.0


class Gate(Backend):
    """A backend whose first answer waits until it is let go; the others come at once."""

    def __init__(self, first: Callable[[], UpstreamResponse], then: Callable[[], object]) -> None:
        super().__init__()
        self.open = threading.Event()
        self._first, self._then = first, then
        self.play = self._answer

    def _answer(self, _request: UpstreamRequest) -> UpstreamResponse:
        if len(self.asked) > 1:
            answer = self._then()
            assert isinstance(answer, UpstreamResponse)
            return answer
        assert self.open.wait(20)
        return self._first()


def whole(handler: Cached, request: UpstreamRequest | None = None) -> tuple[str, bytes]:
    """What a client gets, with all of its body."""
    response = handler(request or outline(seconds=PATIENT))
    told = label(response)
    data = b"".join(response.body)
    response.body.close()
    return told, data


def crowd(
    gate: Gate, handler: Cached, ask: Callable[[Cached], Any] = whole
) -> tuple[ThreadPoolExecutor, list[Future[Any]]]:
    """So many who ask while the backend works for the first of them."""
    pool = ThreadPoolExecutor(CROWD)
    asked = [pool.submit(ask, handler)]
    assert wait_for(lambda: len(gate.asked) == 1)
    asked += [pool.submit(ask, handler) for _ in range(CROWD - 1)]
    time.sleep(0.05)  # most of them wait by now; those that come later are answered likewise
    assert len(gate.asked) == 1
    return pool, asked


def never() -> object:
    """A second request, which must not be."""
    raise AssertionError


@pytest.mark.parametrize("body", [b"answer", None], ids=["whole", "arriving"])
def test_one_asks_for_all(body: bytes | None) -> None:
    gate = Gate(lambda: says(FRESH, body or Pieces(b"ans", b"wer")), never)
    pool, asked = crowd(gate, cached(gate, collapse=PATIENT))
    gate.open.set()
    came = [one.result(20) for one in asked]
    pool.shutdown()
    assert came[0] == ("MISS", b"answer")
    assert set(came[1:]) == {("HIT", b"answer")}


def test_who_waited_says_so() -> None:
    gate = Gate(says, never)
    handler = cached(gate, collapse=PATIENT)

    def status(handler: Cached) -> str:
        response = handler(outline(seconds=PATIENT))
        list(response.body)
        return header(response, "Cache-Status")

    with ThreadPoolExecutor(2) as pool:
        pool.submit(status, handler)
        assert wait_for(lambda: len(gate.asked) == 1)
        second = pool.submit(status, handler)
        time.sleep(0.05)
        gate.open.set()
        assert second.result(20) == "edge; fwd=uri-miss; collapsed"


def test_two_workers_ask_once() -> None:
    """They have nothing in common but the store."""
    kept = store()
    gate = Gate(says, never)
    here, there = (cached(gate, kept=kept, collapse=PATIENT) for _ in range(2))
    with ThreadPoolExecutor(2 * CROWD) as pool:
        asked = [pool.submit(whole, one) for one in (here, there) for _ in range(CROWD)]
        assert wait_for(lambda: len(gate.asked) == 1)
        gate.open.set()
        came = [one.result(20) for one in asked]
    assert sorted(came)[-1] == ("MISS", b"answer")
    assert len(gate.asked) == 1


def test_what_cannot_be_shared_holds_nobody_up() -> None:
    """All go on at the head of the first answer, at the same time, and nobody waits again."""
    together = threading.Barrier(CROWD)

    def then() -> UpstreamResponse:
        together.wait(20)  # broken, were they let go one by one
        return says("private")

    def first() -> UpstreamResponse:
        class Held(Pieces):
            """A body that does not end before the others are answered."""

            def __iter__(self) -> Iterator[bytes]:
                together.wait(20)
                yield b"answer"

        return says("private", Held())

    gate = Gate(first, then)
    pool, asked = crowd(gate, cached(gate, collapse=PATIENT))
    gate.open.set()
    came = [one.result(20) for one in asked]
    pool.shutdown()
    assert len(gate.asked) == CROWD
    assert {body for _, body in came} == {b"answer"}


@pytest.mark.parametrize("how", ["status", "broken"])
def test_errors_hold_nobody_up_on_other_workers(how: str) -> None:
    """They ask at the same time, too, once they look at the store."""
    together = threading.Barrier(CROWD)

    def first() -> UpstreamResponse:
        if how == "broken":
            raise ConnectFailed
        return says(None, status=500)

    def then() -> UpstreamResponse:
        together.wait(20)  # broken, were they let go one by one
        return says("no-store")

    kept, gate, capacity = store(), Gate(first, then), Capacity(CROWD, waiting=2 * CROWD)
    here, there = (cached(gate, kept=kept, collapse=PATIENT) for _ in range(2))
    with ThreadPoolExecutor(CROWD + 1) as pool:
        leader = pool.submit(whole, here)
        assert wait_for(lambda: len(gate.asked) == 1)
        requests = [outline(seconds=PATIENT) for _ in range(CROWD)]
        for request in requests:
            capacity.enter(request.exchange, lambda: False)
        asked = [pool.submit(whole, there, request) for request in requests]
        assert wait_for(lambda: capacity.taken == 0, 20)  # who waits has gone aside
        gate.open.set()
        assert (leader.exception(20) is not None) == (how == "broken")
        assert {one.result(20)[1] for one in asked} == {b"answer"}


def test_errors_hold_nobody_up() -> None:
    def fails() -> UpstreamResponse:
        raise ConnectFailed

    gate = Gate(fails, says)
    pool, asked = crowd(gate, cached(gate, collapse=PATIENT))
    gate.open.set()
    with pytest.raises(ConnectFailed):
        asked[0].result(20)
    assert {one.result(20)[1] for one in asked[1:]} == {b"answer"}
    pool.shutdown()


@pytest.mark.parametrize("how", ["leaves", "breaks"])
def test_the_next_one_asks_where_the_first_gives_up(how: str) -> None:
    def first() -> UpstreamResponse:
        if how == "leaves":
            raise ClientGone
        return says(FRESH, Pieces(b"one", broken=True))

    gate = Gate(first, lambda: says(FRESH, Pieces(b"answer")))
    pool, asked = crowd(gate, cached(gate, collapse=PATIENT))
    gate.open.set()
    assert asked[0].exception(20) is not None
    came = [one.result(20) for one in asked[1:]]
    pool.shutdown()
    assert len(gate.asked) == 2
    assert sorted(came) == [*[("HIT", b"answer")] * (CROWD - 2), ("MISS", b"answer")]


def test_a_slow_client_holds_nobody_for_long() -> None:
    """The first one has the head, and reads no body; time passes by the clock alone."""
    clock = Clock()
    backend = Backend(lambda _: says(FRESH, Pieces(b"answer")))
    handler = cached(backend, clocks={"monotonic": clock, "wall": clock}, collapse=0.5)
    slow = handler(asking())
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(handler, asking())
        while not second.done():
            clock.now += 0.25
            time.sleep(0.01)
    came = second.result()
    assert (header(came, "X-Cache"), b"".join(came.body)) == ("MISS", b"answer")
    assert header(came, "Cache-Status") == "edge; fwd=uri-miss; stored; collapsed=?0"
    assert b"".join(slow.body) == b"answer"


def test_nobody_waits_where_he_may_not() -> None:
    clock = Clock()
    backend = Backend(lambda _: says(FRESH, Pieces(b"answer")))
    handler = cached(backend, clocks={"monotonic": clock}, collapse=0)
    handler(asking())  # nobody reads its body
    assert whole(handler) == ("MISS", b"answer")
    assert len(backend.asked) == 2


def test_waiting_ends_with_the_client() -> None:
    gate = Gate(says, never)
    handler = cached(gate, collapse=PATIENT)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(whole, handler)
        assert wait_for(lambda: len(gate.asked) == 1)
        with pytest.raises(ClientGone):
            handler(outline(seconds=PATIENT, abandoned=lambda: True))
        gate.open.set()
        assert first.result(20) == ("MISS", b"answer")


def test_variants_wait_for_their_own() -> None:
    """It is not known before the first answer that there are variants at all."""

    def play(request: UpstreamRequest) -> UpstreamResponse:
        return says(FRESH, request.field("accept-language").encode(), vary="Accept-Language")

    backend = Backend(play)
    handler = cached(backend, collapse=PATIENT)
    tongues = ["de", "fr", "it"] * 5
    with ThreadPoolExecutor(len(tongues)) as pool:
        requests = [asking(("Accept-Language", tongue)) for tongue in tongues]
        came = list(pool.map(lambda one: whole(handler, one)[1].decode(), requests))
    assert came == tongues
    assert len(backend.asked) == 3


def test_what_must_be_asked_for_each_time_is_asked_side_by_side() -> None:
    """Once it is known, nobody waits in line to do the same."""
    together = threading.Barrier(CROWD - 1)

    def then() -> UpstreamResponse:
        together.wait(20)
        return UpstreamResponse(304, "", [("ETag", '"a"')], Pieces())

    gate = Gate(lambda: says("no-cache", etag='"a"'), then)
    pool, asked = crowd(gate, cached(gate, collapse=PATIENT))
    gate.open.set()
    came = [one.result(20) for one in asked]
    pool.shutdown()
    assert came[0] == ("MISS", b"answer")
    assert {told for told, _ in came[1:]} <= {"REVALIDATED", "MISS"}


def test_who_waits_gives_his_place_to_others() -> None:
    gate = Gate(lambda: says(FRESH), never)
    handler = cached(gate, kept=store())
    capacity = Capacity(2, waiting=2 * CROWD)
    free: list[bool] = []

    def ask(handler: Cached) -> tuple[str, bytes]:
        request = outline(seconds=PATIENT)
        capacity.enter(request.exchange, lambda: False)
        told = whole(handler, request)
        request.exchange.end()
        return told

    pool, asked = crowd(gate, handler, ask)
    with pool:
        # All but the one who asks have gone aside: there is a place for whoever comes.
        free.append(wait_for(lambda: capacity.taken == 1, 20))
        gate.open.set()
        assert [one.result(20)[1] for one in asked] == [b"answer"] * CROWD
    assert free == [True]
    assert capacity.taken == 0
    assert capacity.hold()


def test_who_has_waited_in_vain_takes_a_place_again() -> None:
    gate = Gate(lambda: says("no-store"), lambda: says("no-store"))
    capacity = Capacity(CROWD, waiting=2 * CROWD)
    handler = cached(gate, kept=store())
    seen: list[bool] = []

    def ask(handler: Cached) -> tuple[str, bytes]:
        request = outline(seconds=PATIENT)
        capacity.enter(request.exchange, lambda: False)
        told = whole(handler, request)
        seen.append(request.exchange.placed)
        request.exchange.end()
        return told

    pool, asked = crowd(gate, handler, ask)
    with pool:
        assert wait_for(lambda: capacity.taken == 1, 20)
        gate.open.set()
        for one in asked:
            one.result(20)
    assert seen == [True] * CROWD
    assert capacity.taken == 0
