"""Copies of requests for another service, which the client never notices."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway import Handler, Hedge, Mirror, UpstreamRequest, UpstreamResponse
from gateway import parallel as beside
from gateway.bodies import RequestBody
from gateway.errors import ClientBodyError, ConnectFailed, HeadFailed, UpstreamError
from tests.support.gunicorn import wait_for
from tests.support.outline import answer, make_context, outline

WAIT = 10.0


class Shadow:
    """The other service: it keeps what it was sent, body included."""

    def __init__(self, play: Callable[[UpstreamRequest], UpstreamResponse] | None = None) -> None:
        self.asked: list[tuple[UpstreamRequest, bytes]] = []
        self._play = play or (lambda request: answer())

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        self.asked.append((request, read(request)))
        return self._play(request)

    def had(self, number: int) -> bool:
        """Whether so many copies came, in time, and no further one."""
        return wait_for(lambda: len(self.asked) >= number) and len(self.asked) == number


def read(request: UpstreamRequest) -> bytes:
    pieces = []
    while request.body is not None and not request.body.finished:
        pieces.append(request.body.next_piece())
    return b"".join(pieces)


def body_of(data: bytes, *, length: bool = True) -> RequestBody:
    return RequestBody(io.BytesIO(data), len(data) if length else None)


def taking(request: UpstreamRequest) -> UpstreamResponse:
    """A main service that reads the whole body."""
    return answer(body=read(request), target="main")


def mirrored(shadow: Handler, main: Handler = taking, **options: Any) -> Handler:
    context = make_context("orders", others={"shadow": shadow})
    policy = Mirror("shadow", **options)
    assert policy.faults(context) == []
    return policy.wrap(main, context)


def test_a_copy_is_what_the_service_got_and_a_mark() -> None:
    shadow = Shadow()
    request = outline(
        headers=[("Accept", "a/b"), ("X-User-ID", "ada")], service="orders", user="ada"
    )
    response = mirrored(shadow, seconds=3)(request)
    assert response.target == "main"
    assert shadow.had(1)
    copy, _ = shadow.asked[0]
    assert (copy.method, copy.target, copy.host) == (request.method, request.target, None)
    assert copy.headers == [*request.headers, ("X-Mirrored", "true")]
    assert copy.differs != request.differs  # what is kept of a copy's answer is for copies alone
    assert copy.exchange is not request.exchange
    assert copy.exchange.request_id == request.exchange.request_id
    assert (copy.exchange.service, copy.exchange.user) == ("shadow", "ada")
    assert request.deadline < copy.deadline + WAIT
    assert copy.deadline - copy.exchange.started == pytest.approx(3)
    assert (copy.timeouts.total, copy.timeouts.read) == (3, 2)
    assert not copy.abandoned()
    assert (request.exchange.attempts, request.exchange.bodies) == ([], [])


def test_the_mark_cannot_be_forged() -> None:
    shadow, seen = Shadow(), []

    def main(request: UpstreamRequest) -> UpstreamResponse:
        seen.extend(request.headers)
        return answer()

    mirrored(shadow, main)(outline(headers=[("X-MIRRORED", "no"), ("Accept", "a/b")]))
    assert seen == [("Accept", "a/b")]
    assert shadow.had(1)
    assert shadow.asked[0][0].headers == [("Accept", "a/b"), ("X-Mirrored", "true")]
    mirrored(shadow, main)(outline("POST", headers=[("x-mirrored", "true")]))
    assert seen == [("Accept", "a/b")]


def test_the_copy_follows_the_answer() -> None:
    shadow, answered = Shadow(), threading.Event()

    def main(request: UpstreamRequest) -> UpstreamResponse:
        time.sleep(0.05)
        assert shadow.asked == []
        answered.set()
        return answer()

    mirrored(shadow, main)(outline())
    assert shadow.had(1)
    assert answered.is_set()


def test_a_sample() -> None:
    shadow, lots = Shadow(), iter([0.1, 0.25, 0.2, 0.9])
    handler = mirrored(shadow, percent=25, draw=lambda: next(lots))
    for number in range(4):
        handler(outline(target=f"/{number}"))
    assert shadow.had(2)
    assert sorted(request.target for request, _ in shadow.asked) == ["/0", "/2"]


@pytest.mark.parametrize("lot", [0.0, 0.9999999999999999])
def test_none_and_all_are_exact(lot: float) -> None:
    none, every = Shadow(), Shadow()
    mirrored(none, percent=0, draw=lambda: lot)(outline())
    mirrored(every, draw=lambda: lot)(outline())
    assert every.had(1)
    assert none.had(0)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_changes_something_is_copied_only_if_wanted(method: str) -> None:
    usual, wanted = Shadow(), Shadow()
    mirrored(usual)(outline(method))
    mirrored(wanted, methods=[method.lower()])(outline(method))
    assert wanted.had(1)
    assert usual.had(0)


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("data", [b"", b"12345", b"1234567890"])
def test_a_body_is_copied_whole(data: bytes, length: bool) -> None:
    shadow = Shadow()
    body = body_of(data) if length else Chunked(data[:3], data[3:])
    request = outline("POST", body=body)
    response = mirrored(shadow, methods={"POST"}, body_bytes=10)(request)
    assert b"".join(response.body) == data
    assert shadow.had(1)
    assert shadow.asked[0][1] == data


class Chunked:
    """A body of unknown length."""

    length = None
    idle = None
    at_hand = True

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = [piece for piece in pieces if piece]
        self.finished = False

    def next_piece(self, deadline: float | None = None) -> bytes:
        piece = self._pieces.pop(0) if self._pieces else b""
        self.finished = not piece
        return piece

    def fileno(self) -> int | None:
        return None


@pytest.mark.parametrize("body", [body_of(b"12345678901"), Chunked(b"1234567", b"8901")])
def test_a_body_over_the_bound_is_not_copied(body: Any) -> None:
    shadow = Shadow()
    handler = mirrored(shadow, methods={"POST"}, body_bytes=10)
    assert b"".join(handler(outline("POST", body=body)).body) == b"12345678901"
    assert b"".join(handler(outline("POST", body=body_of(b"ok"))).body) == b"ok"
    assert shadow.had(1)
    assert shadow.asked[0][1] == b"ok"


def test_a_body_that_the_service_did_not_read_is_not_copied() -> None:
    shadow = Shadow()
    handler = mirrored(shadow, lambda request: answer(413), methods={"POST"})
    assert handler(outline("POST", body=body_of(b"12345"))).status == 413
    handler(outline("POST"))
    assert shadow.had(1)
    assert shadow.asked[0][0].body is None


def test_a_request_without_an_answer_is_not_copied() -> None:
    shadow = Shadow()

    def main(request: UpstreamRequest) -> UpstreamResponse:
        raise HeadFailed

    with pytest.raises(HeadFailed):
        mirrored(shadow, main)(outline())
    mirrored(shadow)(outline(target="/later"))
    assert shadow.had(1)
    assert shadow.asked[0][0].target == "/later"


@pytest.mark.parametrize(
    "error", [ConnectFailed(), ClientBodyError("broken"), ZeroDivisionError()], ids=repr
)
def test_a_shadow_that_fails_is_nobodys_business(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(request: UpstreamRequest) -> UpstreamResponse:
        raise error

    shadow = Shadow(failing)
    handler = mirrored(shadow, most=1)
    for number in range(1, 4):
        request = outline(service="orders")
        assert handler(request).status == 200
        assert shadow.had(number)
        assert wait_for(lambda: idle(handler))  # its place is free again
        assert (request.exchange.party, request.exchange.reason) == ("", "")
    expected = [UpstreamError, ClientBodyError]
    lines = [line for line in caplog.messages if "copies for shadow" in line]
    if isinstance(error, tuple(expected)):
        assert lines == ["orders: of the copies for shadow, 0 were dropped and 1 failed"]


def idle(handler: Handler) -> bool:
    """Whether no copy of this handler is under way."""
    return bool(shadow_of(handler)._under_way == 0)


def shadow_of(handler: Handler) -> Any:
    cells: Any = handler.__closure__
    return next(cell.cell_contents for cell in cells if hasattr(cell.cell_contents, "send"))


def test_over_the_most_copies_are_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    free = threading.Event()

    def hanging(request: UpstreamRequest) -> UpstreamResponse:
        assert free.wait(WAIT)
        return answer()

    shadow = Shadow(hanging)
    handler = mirrored(shadow, most=2)
    for _ in range(7):
        assert handler(outline()).status == 200
    assert shadow.had(2)
    lines = ["orders: of the copies for shadow, 1 were dropped and 0 failed"]
    assert caplog.messages == lines  # not one for each
    free.set()
    assert wait_for(lambda: idle(handler))
    handler(outline())
    assert shadow.had(3)
    shadow_of(handler)._told -= 60.0
    shadow_of(handler)._lost(dropped=1)
    assert caplog.messages == [
        *lines,
        "orders: of the copies for shadow, 5 were dropped and 0 failed",
    ]


def test_without_a_free_thread_a_copy_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    shadow = Shadow()
    handler = mirrored(shadow)
    with monkeypatch.context() as patch:
        patch.setattr(beside, "start", lambda task: False)
        assert handler(outline()).status == 200
    assert idle(handler)
    assert shadow.asked == []


def test_services_that_mirror_each_other_do_not_go_on_for_ever() -> None:
    seen: list[str] = []
    chains: dict[str, Handler] = {}

    def chain_of(name: str, other: str) -> Handler:
        def backend(request: UpstreamRequest) -> UpstreamResponse:
            seen.append(name)
            return answer()

        others = {other: lambda request: chains[other](request)}
        return Mirror(other).wrap(backend, make_context(name, others=others))

    chains.update(a=chain_of("a", "b"), b=chain_of("b", "a"))
    chains["a"](outline())
    chains["b"](outline())
    assert wait_for(lambda: len(seen) == 4)
    time.sleep(0.1)
    assert sorted(seen) == ["a", "a", "b", "b"]


def test_a_hedged_copy_is_not_copied_again() -> None:
    backend = Shadow()
    inner = mirrored(Shadow(), backend)
    shadow = Hedge(after=WAIT).wrap(inner, make_context())
    mirrored(shadow)(outline())
    assert backend.had(1)
    assert idle(inner)


def faults(to: str = "shadow", **options: Any) -> list[str]:
    context = make_context("orders", others={"shadow": Shadow()})
    return Mirror(to, **options).faults(context)


def test_wrong_options() -> None:
    assert faults("orders") == ["a service cannot be its own mirror"]
    assert faults("nobody") == ["there is no service 'nobody'"]
    assert faults(percent=101) == ["percent=101 must be from 0 to 100"]
    numbers = ["most must be at least 1, seconds above 0, body_bytes 0 or more"]
    assert faults(most=0) == faults(seconds=0) == faults(body_bytes=-1) == numbers
    methods = ["methods must be a collection of methods"]
    assert faults(methods="POST") == faults(methods=()) == methods
