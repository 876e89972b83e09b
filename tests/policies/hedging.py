"""Instances that play their answers, asked through a `Hedge`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from gateway import Handler, Hedge, UpstreamRequest, UpstreamResponse
from gateway.errors import ClientGone, HeadTimeout, NoTarget, UpstreamError
from gateway.exchange import Attempt
from tests.support.outline import answer, make_context

WAIT = 10.0
#: A deadline that no test waits for.
LONG = 60.0
SOON = 0.02


class Body:
    """A response body that knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"ok"])

    def close(self) -> None:
        self.closed.set()


Play = Callable[[UpstreamRequest], UpstreamResponse]


class Backends:
    """Instances a, b, c and so on, each with its way to answer; chosen in this order."""

    def __init__(self, *plays: Play) -> None:
        self.plays = dict(zip("abcd", plays, strict=False))
        self.asked: list[UpstreamRequest] = []
        self.ended = threading.Semaphore(0)

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        try:
            return self._answered(request)
        finally:
            self.ended.release()

    def _answered(self, request: UpstreamRequest) -> UpstreamResponse:
        tried = request.tried if request.tried is not None else []
        admit = request.admit or (lambda name: True)
        names = sorted((name for name in self.plays if admit(name)), key=lambda n: (n in tried, n))
        if not names:
            raise NoTarget
        tried.append(names[0])
        self.asked.append(request)
        attempt = Attempt(names[0], time.monotonic())
        request.exchange.attempts.append(attempt)
        try:
            response = self.plays[names[0]](request)
        except (UpstreamError, ClientGone) as error:
            attempt.error = getattr(error, "reason", "client_gone")
            raise
        finally:
            attempt.ended = time.monotonic()
        response.target = names[0]
        request.exchange.bodies.append(response.body)
        return response

    def all_ended(self) -> bool:
        """Whether every attempt came to its end, in time."""
        return all(self.ended.acquire(timeout=WAIT) for _ in self.asked)


def at_once(status: int = 200, body: Body | None = None) -> Play:
    return lambda request: replace_body(answer(status), body)


def replace_body(response: UpstreamResponse, body: Body | None) -> UpstreamResponse:
    return response if body is None else replace(response, body=body)


def failing(error: UpstreamError) -> Play:
    def play(request: UpstreamRequest) -> UpstreamResponse:
        raise error

    return play


def until(event: threading.Event, then: Play) -> Play:
    def play(request: UpstreamRequest) -> UpstreamResponse:
        assert event.wait(WAIT)
        return then(request)

    return play


def hanging(request: UpstreamRequest) -> UpstreamResponse:
    """As the transport waits: until nobody wants the answer, or the deadline."""
    while time.monotonic() < request.deadline:
        if request.abandoned():
            raise ClientGone
        time.sleep(0.005)
    raise HeadTimeout("silent")


def hedged(backends: Handler, after: float | str = SOON, **options: Any) -> Handler:
    hedge = Hedge(after=after, **{"budget": 1.0, **options})
    assert hedge.faults(make_context()) == []
    return hedge.wrap(backends, make_context())


def names(request: UpstreamRequest) -> list[tuple[str, str]]:
    return [(attempt.target, attempt.error) for attempt in request.exchange.attempts]
