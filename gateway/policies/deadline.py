"""How much time a request has left: bounded, checked, and told to the upstream."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

from gateway.errors import deadline_exceeded
from gateway.exchange import Handler, Headers, UpstreamRequest
from gateway.policy import PolicyContext

HEADER = "X-Request-Deadline"
_GRPC = "grpc-timeout"
# What a client sends under these names is dropped.
_WRITTEN_USUALLY = frozenset({HEADER.lower()})
_WRITTEN = _WRITTEN_USUALLY | {_GRPC}


@dataclass(frozen=True, slots=True)
class Deadline:
    """Bounds the time of a request, and passes on how much of it is left.

    Upstreams get `X-Request-Deadline`: the Unix time in seconds, with milliseconds, by which the
    response head must be here. It stays right through retries, and needs clocks that agree. A
    client's own field of the name is dropped: nobody shortens or lengthens anything by it.

    seconds: from arrival to the response head; None: the service's total timeout, which also
        bounds any other.
    minimum: with less left, in seconds, the request is refused (504 `deadline_exceeded`; nothing
        was sent); 0: refused only when nothing is left.
    header: whether to send X-Request-Deadline.
    grpc_timeout: whether to send `grpc-timeout`, the time left as gRPC writes it, in place of the
        client's. It is counted anew in each attempt, so the policy then belongs below `Retry`.
    """

    seconds: float | None = None
    minimum: float = 0.01
    header: bool = True
    grpc_timeout: bool = False
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    wall: Callable[[], float] = field(default=time.time, repr=False)

    once: ClassVar[bool] = True

    @property
    def per(self) -> str:
        """Where it makes sense: a relative time is right for one attempt only."""
        return "attempt" if self.grpc_timeout else "either"

    def __call__(self, following: Handler) -> Handler:
        """The handler that minds the time."""
        outlined = self.outlined
        return lambda request: following(outlined(request))

    def outlined(self, request: UpstreamRequest) -> UpstreamRequest:
        """The request as it goes on. Raises NotSent where its time is spent."""
        deadline = request.deadline
        if self.seconds is not None:
            deadline = min(deadline, request.exchange.started + self.seconds)
        left = deadline - self.clock()
        if left <= self.minimum:
            raise deadline_exceeded()
        written = _WRITTEN if self.grpc_timeout else _WRITTEN_USUALLY
        headers = [pair for pair in request.headers if pair[0].lower() not in written]
        return replace(request, deadline=deadline, headers=headers + self._told(left))

    def _told(self, left: float) -> Headers:
        told: Headers = []
        if self.header:
            told.append((HEADER, f"{self.wall() + left:.3f}"))
        if self.grpc_timeout:
            told.append((_GRPC, grpc_timeout(left)))
        return told

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options."""
        found = []
        if self.minimum < 0:
            found.append(f"minimum={self.minimum} is below 0")
        if self.seconds is not None and not self.seconds > max(self.minimum, 0):
            found.append(f"seconds={self.seconds} must be above 0 and above minimum")
        return found


def grpc_timeout(seconds: float) -> str:
    """A time as gRPC writes it over HTTP/2: at most 8 digits and a unit, rounded down."""
    milliseconds = max(int(seconds * 1000), 1)
    if milliseconds < 100_000_000:
        return f"{milliseconds}m"
    return f"{min(int(seconds), 99_999_999)}S"
