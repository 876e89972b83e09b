"""Fields that tell backends and clients the same few things everywhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from gateway.exchange import Handler, UpstreamRequest, UpstreamResponse
from gateway.policy import PolicyContext
from gateway.transforms.editing import KEPT
from gateway.transforms.field_edit import settled
from gateway.transforms.transform import Transform

_WRITTEN = frozenset({"x-response-time", "x-service"})


@dataclass(frozen=True, slots=True)
class StandardHeaders(Transform):
    """Tells the backend `X-Timestamp`, the time in Unix seconds, and the client `X-Response-Time`,
    how long it took from the request's arrival to the answer's head, such as `12.345ms`, and
    `X-Service`, the name of the service.

    Whatever came under these names is replaced. `X-Request-ID` is there without this, both ways.
    service: another name to tell; empty: that of the service, also for its versions. wall,
    monotonic: clocks.
    """

    service: str = ""
    wall: Callable[[], float] = field(default=time.time, repr=False, kw_only=True)
    monotonic: Callable[[], float] = field(default=time.monotonic, repr=False, kw_only=True)

    per: ClassVar[str] = "request"
    once: ClassVar[bool] = True
    stacks: ClassVar[bool] = False
    before: ClassVar[Mapping[str, str]] = {"Cache": KEPT, "Fallback": KEPT}

    def wrap(self, following: Handler, context: PolicyContext) -> Handler:
        """See gateway.policy."""
        named = self if self.service else replace(self, service=context.family)
        return named(following)

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options."""
        if isinstance(self.service, str) and self.service.isascii() and self.service.isprintable():
            return []
        return ["service must be a name of printable ASCII"]

    def outlined(self, request: UpstreamRequest) -> UpstreamRequest:
        """See transform.Outlining. Raises nothing."""
        fields = [pair for pair in request.headers if pair[0].lower() != "x-timestamp"]
        fields.append(("X-Timestamp", str(int(self.wall()))))
        return replace(request, headers=fields)

    def returned(self, request: UpstreamRequest, response: UpstreamResponse) -> UpstreamResponse:
        """See transform.Returning. Raises nothing."""
        fields = [one for one in settled(response.headers) if one[0].lower() not in _WRITTEN]
        milliseconds = (self.monotonic() - request.exchange.started) * 1000
        fields.append(("X-Response-Time", f"{milliseconds:.3f}ms"))
        fields.append(("X-Service", self.service or request.service))
        return replace(response, headers=fields)
