"""Places in a worker: taken when a request is forwarded, given back however it ends."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, Response
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import Bulkhead, Handler, Service, StaticBody, UpstreamRequest, UpstreamResponse
from gateway.capacity import Capacity
from gateway.errors import BodyFailed, ClientGone, HeadTimeout, NotSent
from gateway.exchange import Exchange
from gateway.policies.bulkhead import Compartment
from tests.support.gunicorn import wait_for
from tests.support.wsgi import call, make_app, make_environ, open_service


class Played:
    """A body of two pieces that may break after the first."""

    def __init__(self, error: BaseException | None = None) -> None:
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield b"one"
        if self._error is not None:
            raise self._error
        yield b"two"

    def close(self) -> None:
        """Nothing is open."""


class BadlyClosed(Played):
    """A body that fails when it is closed."""

    def close(self) -> None:
        raise OSError("closing failed")


#: How an upstream may answer, by the name of the ending.
ENDINGS: dict[str, Callable[[], UpstreamResponse]] = {
    "ok": lambda: UpstreamResponse(200, "", [], Played()),
    "static": lambda: UpstreamResponse(200, "", [], StaticBody(b"onetwo")),
    "body broken": lambda: UpstreamResponse(200, "", [], Played(BodyFailed("closed early"))),
    "client gone inside": lambda: UpstreamResponse(200, "", [], Played(ClientGone())),
    "bug inside": lambda: UpstreamResponse(200, "", [], Played(RuntimeError("bug"))),
    "badly closed": lambda: UpstreamResponse(200, "", [], BadlyClosed()),
    "error": lambda: fail(HeadTimeout()),
    "client gone": lambda: fail(ClientGone()),
    "bug": lambda: fail(RuntimeError("bug")),
}


def fail(error: BaseException) -> UpstreamResponse:
    """Raise it."""
    raise error


class Playing:
    """The end of a chain: answers as the last one told to."""

    def __init__(self) -> None:
        self.ending = "ok"
        self.dropping = False

    def __call__(self, following: Handler) -> Handler:
        def handle(request: UpstreamRequest) -> UpstreamResponse:
            if self.dropping:  # as a policy that asks again, and forgets the first answer
                with contextlib.suppress(Exception):
                    request.exchange.bodies.append(ENDINGS[self.ending]().body)
            return ENDINGS[self.ending]()

        return handle


def bounded(**changes: Any) -> tuple[Flask, Playing, Callable[[], int]]:
    """An application, what its backend plays, and how many places are taken in all."""
    playing = Playing()
    service, _ = open_service(policies=[Bulkhead(limit=2, wait=0), playing])
    app = make_app(service, **changes)
    gateway = app.extensions["gateway"]
    compartment = gateway.runtimes["things"].handler
    assert isinstance(compartment, Compartment)
    return app, playing, lambda: gateway.capacity.taken + compartment.places.taken


def begin(app: Flask) -> Any:
    """Serve a request as far as its response's head."""
    application: Any = app
    return application(make_environ("/things/7"), lambda *_: None)


def test_places_are_held_until_the_response_is_closed() -> None:
    app, _, taken = bounded()
    response = begin(app)
    assert taken() == 2  # the worker's and the service's
    assert b"".join(response) == b"onetwo"
    assert taken() == 1  # the body is over, the thread is not free yet
    response.close()
    assert taken() == 0


def test_more_than_the_worker_may_forward_is_refused() -> None:
    app, _, taken = bounded(WORKER_CONNECTIONS=1)
    first = begin(app)
    refused = call(app, "/things/7")
    assert (refused.status, refused.code) == (503, "worker_busy")
    assert refused.header("Retry-After") == ["1"]
    assert call(app, "/healthz").status == 200
    first.close()
    assert call(app, "/things/7").status == 200
    assert taken() == 0


def test_a_request_forwarded_twice_has_one_place() -> None:
    service, _ = open_service()

    @service.get("/both")
    def both() -> Response:
        service.forward()
        return service.forward()

    app = make_app(service, WORKER_CONNECTIONS=1)
    assert call(app, "/things/both").status == 200
    assert app.extensions["gateway"].capacity.taken == 0


def test_what_is_answered_here_takes_no_place() -> None:
    app, _, taken = bounded()
    application: Any = app
    response = application(make_environ("/healthz"), lambda *_: None)
    assert taken() == 0
    response.close()
    assert taken() == 0


def test_a_body_that_fails_to_close_leaves_none_open() -> None:
    playing = Playing()
    playing.ending = "badly closed"
    service, _ = open_service(policies=[Bulkhead(limit=3, wait=0), playing])

    @service.get("/thrice")
    def thrice() -> Response:
        service.forward()
        service.forward()
        return service.forward()

    app = make_app(service)
    gateway = app.extensions["gateway"]
    for _ in range(2):
        with pytest.raises(OSError, match="closing failed"):
            call(app, "/things/thrice")
        assert gateway.runtimes["things"].handler.places.taken == gateway.capacity.taken == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(ENDINGS)),
            st.sampled_from(["all", "some", "none"]),
            st.booleans(),
            st.integers(1, 2),
        ),
        max_size=12,
    )
)
def test_no_ending_keeps_a_place(requests: list[tuple[str, str, bool, int]]) -> None:
    app, playing, taken = bounded()
    for playing.ending, read, playing.dropping, closings in requests:
        response = begin(app)
        with contextlib.suppress(ConnectionResetError, RuntimeError):
            for _piece in response if read == "all" else ():
                pass
            if read == "some":
                next(iter(response), b"")
        for _ in range(closings):
            with contextlib.suppress(OSError):
                response.close()
        assert taken() == 0
    assert taken() == 0


def test_a_place_is_left_when_the_application_raises() -> None:
    service, _ = open_service()

    @service.get("/fails")
    def fails() -> Response:
        service.forward()
        raise KeyboardInterrupt

    app = make_app(service)
    with pytest.raises(KeyboardInterrupt):
        call(app, "/things/fails")
    assert app.extensions["gateway"].capacity.taken == 0


def record() -> Exchange:
    """A request's record."""
    return Exchange("an-id", time.monotonic())


def still_there() -> bool:
    """What a client that waits is: not gone."""
    return False


def test_who_left_while_waiting_is_not_forwarded_and_keeps_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.capacity.WAIT", 30)
    capacity = Capacity(1, waiting=1)
    first, second = record(), record()
    capacity.enter(first, lambda: True)  # who need not wait is not looked at
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(capacity.enter, second, lambda: True)
        assert wait_for(lambda: capacity.taken == 2)
        first.end()
        with pytest.raises(ClientGone):
            waiting.result(20)
    second.end()
    assert capacity.taken == 0


def test_without_a_place_to_wait_it_is_refused_at_once() -> None:
    capacity = Capacity(1)
    first, second = record(), record()
    capacity.enter(first, still_there)
    capacity.enter(first, still_there)
    with pytest.raises(NotSent, match="worker_busy") as raised:
        capacity.enter(second, still_there)
    assert (raised.value.status, raised.value.retry_after) == (503, 1)
    assert raised.value.retry_safe
    assert (second.placed, second.endings) == (False, [])
    first.end()
    capacity.enter(second, still_there)
    assert capacity.taken == 1


def test_who_waits_gets_the_next_place_or_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.capacity.WAIT", 30)
    capacity = Capacity(1, waiting=1)
    first, second = record(), record()
    capacity.enter(first, still_there)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(capacity.enter, second, still_there)
        assert wait_for(lambda: capacity.taken == 2)
        with pytest.raises(NotSent, match="worker_busy"):
            capacity.enter(record(), still_there)  # enough wait
        first.end()
        waiting.result(20)
    assert second.placed
    monkeypatch.setattr("gateway.capacity.WAIT", 0.05)
    for _ in range(2):  # who gave up waits no more
        with pytest.raises(NotSent, match="worker_busy"):
            capacity.enter(record(), still_there)
    assert capacity.taken == 1


def test_services_without_a_place_of_their_own() -> None:
    """A service that only others' policies use needs no guard, since nobody reaches it."""
    service, _ = open_service()
    backup = Service("backup", __name__, url_prefix=None, upstream="http://backup.internal")
    assert call(make_app(service, backup), "/things/7").status == 200


def test_who_stands_aside_leaves_his_place_and_takes_it_again() -> None:
    capacity = Capacity(1, waiting=2)
    first, second = record(), record()
    capacity.enter(first, still_there)
    assert first.aside is not None
    aside = first.aside(first, still_there)
    assert (first.placed, capacity.taken) == (False, 0)
    capacity.enter(second, still_there)
    second.end()
    aside.back()
    aside.back()
    assert (first.placed, capacity.taken) == (True, 1)
    first.end()
    assert (capacity.taken, first.endings) == (0, [])


def test_without_a_place_to_stand_it_keeps_its_own() -> None:
    capacity = Capacity(2, waiting=2)  # half of those that may wait: one
    first, second = record(), record()
    for one in (first, second):
        capacity.enter(one, still_there)
        assert one.aside is not None
    standing = [one.aside(one, still_there) for one in (first, second) if one.aside is not None]
    assert (first.placed, second.placed, capacity.taken) == (False, True, 1)
    for aside in standing:
        aside.over()
        aside.over()
    assert capacity.hold()
    assert not capacity.hold()


def test_whose_place_was_taken_meanwhile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.capacity.WAIT", 0.05)
    capacity = Capacity(1, waiting=2)
    first, second = record(), record()
    capacity.enter(first, still_there)
    assert first.aside is not None
    aside = first.aside(first, still_there)
    capacity.enter(second, still_there)
    with pytest.raises(NotSent, match="worker_busy"):
        aside.back()
    first.end()
    second.end()
    assert capacity.taken == 0
    assert capacity.hold()


def test_whoever_ends_while_it_stands_aside_keeps_no_place() -> None:
    capacity = Capacity(1, waiting=2)
    first = record()
    capacity.enter(first, still_there)
    assert first.aside is not None
    first.aside(first, still_there)
    first.end()
    assert capacity.taken == 0
    assert capacity.hold()
