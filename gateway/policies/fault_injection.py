"""Delays and failures made on purpose, to see what clients and policies make of them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from gateway.errors import ClientGone, HeadFailed, HeadTimeout, NotSent
from gateway.exchange import Handler, UpstreamRequest, UpstreamResponse
from gateway.policy import PolicyContext

_SLICE = 0.25


@dataclass(frozen=True, slots=True)
class FaultInjection:
    """Delays and aborts a percentage of the requests; only where FAULT_INJECTION is set.

    delay: seconds, 0 for none; one that outlasts the deadline ends there, as a HeadTimeout.
    delay_percent, abort_percent: of the requests, from 0 to 100, drawn apart.
    abort: None for none; a status from 400 to 599, told as problem+json with the code
        `fault_injected` (NotSent: the backend is not to blame); or "reset", which looks as if the
        backend had closed the connection (HeadFailed), to try out policies further out.
    header: only requests that have this field; None: all.

    A delay comes before an abort. Without the setting it is left out of the chain.
    """

    delay: float = 0.0
    delay_percent: float = 100.0
    abort: int | Literal["reset"] | None = None
    abort_percent: float = 100.0
    header: str | None = None
    draw: Callable[[], float] = random.random
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    per: ClassVar[str] = "either"

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options."""
        found = []
        if not 0 <= self.delay < float("inf"):
            found.append(f"delay={self.delay!r} must be seconds, 0 or more")
        for name in ("delay_percent", "abort_percent"):
            if not 0 <= getattr(self, name) <= 100:
                found.append(f"{name}={getattr(self, name)!r} must be from 0 to 100")
        status = self.abort
        if status not in (None, "reset") and not (isinstance(status, int) and 400 <= status <= 599):
            found.append(f"abort={status!r} must be a status from 400 to 599, or 'reset'")
        if not self.delay and status is None:
            found.append("it has neither a delay nor an abort")
        return found

    def wrap(self, following: Handler, context: PolicyContext) -> Handler:
        """See gateway.policy."""
        if not context.settings.FAULT_INJECTION:
            return following
        field = (self.header or "").lower()

        def handle(request: UpstreamRequest) -> UpstreamResponse:
            if not field or any(name.lower() == field for name, _ in request.headers):
                if self.delay and self.draw() * 100 < self.delay_percent:
                    self._wait(request)
                if self.abort is not None and self.draw() * 100 < self.abort_percent:
                    self._fail(self.abort)
            return following(request)

        return handle

    def _wait(self, request: UpstreamRequest) -> None:
        end = self.clock() + self.delay
        until = min(end, request.deadline)
        while (left := until - self.clock()) > 0:
            self.sleep(min(left, _SLICE))
            if request.abandoned():
                raise ClientGone
        if end > request.deadline:
            raise HeadTimeout("an injected delay lasted until the deadline")

    def _fail(self, abort: int | str) -> None:
        if isinstance(abort, int):
            raise NotSent("fault_injected", "A fault was injected on purpose.", status=abort)
        raise HeadFailed("an injected fault")
