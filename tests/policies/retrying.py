"""A Retry on a clock of its own, and an upstream with a list of outcomes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from gateway import Handler, Retry, UpstreamRequest, UpstreamResponse
from gateway.bodies import RequestBody
from gateway.exchange import Headers
from tests.support.outline import answer, make_context, outline

Outcome = UpstreamResponse | BaseException


class Time:
    """A clock that moves while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Upstream:
    """A handler with its outcomes in order, the last one ever after."""

    outcomes: list[Outcome]
    asked: list[UpstreamRequest] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        self.asked.append(request)
        assert request.tried is not None
        request.tried.append(f"target-{len(self.asked)}")
        if request.body is not None:
            self.bodies.append(b"".join(iter(request.body.next_piece, b"")))
        outcome = self.outcomes[min(len(self.asked), len(self.outcomes)) - 1]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class Body:
    """A response body that knows whether it was closed."""

    closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"sorry"])

    def close(self) -> None:
        self.closed = True


def failing(status: int = 503, **fields: str) -> tuple[UpstreamResponse, Body]:
    """An answer that is worth another try, and its body."""
    body = Body()
    headers: Headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return replace(answer(status, headers=headers), body=body), body


def retrying(following: Handler, time: Time | None = None, **options: object) -> Handler:
    """The handler of a Retry that waits as long as it may, on a clock of its own."""
    time = time or Time()
    given = {
        "clock": time.clock,
        "wall": time.clock,
        "sleep": time.sleep,
        "jitter": lambda _low, high: high,
        **options,
    }
    return Retry(**given).wrap(following, make_context())  # type: ignore[arg-type]


def asking(
    method: str = "GET",
    *,
    left: float = 5.0,
    headers: Headers | None = None,
    body: bytes | None = None,
) -> UpstreamRequest:
    """A request with `left` seconds on the clock of `Time`."""
    stream = None if body is None else RequestBody(io.BytesIO(body), len(body))
    return replace(outline(method, headers=headers, body=stream), deadline=1000.0 + left)
