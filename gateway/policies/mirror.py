"""Copies of real requests for another service, whose answers nobody sees."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from gateway import parallel
from gateway.detached import closed, detached, read_over
from gateway.errors import ClientGone, Refusal, UpstreamError
from gateway.exchange import Exchange, Handler, UpstreamRequest, UpstreamResponse
from gateway.policy import PolicyContext
from gateway.replay import replayable

_MARK = "X-Mirrored"
#: Most bytes read of an answer before its connection is closed.
_ANSWER_BYTES = 256 * 1024
#: Least seconds between two lines in the log.
_QUIET = 60.0

log = logging.getLogger("gateway")


@dataclass(slots=True)
class ShadowExchange(Exchange):
    """The record of a copy, which is not copied again; in no access log."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """Sends a copy of each request, or of a sample, to another service's chain as well.

    to: that service. percent: of the requests, from 0 to 100.
    most: copies of this service under way in a worker; more are dropped.
    seconds: for a copy's response head, and as long again for its body, which is thrown away.
    body_bytes: requests with a longer body are not copied; bodies up to this are kept in memory.
    methods: those that are copied. What the other service does with a POST, it does for real: add
        one only if its data, mails and payments are its own.

    A copy has the request's path and fields, `Host` by the rules of the service, and `X-Mirrored:
    true`, which is taken away from clients. It is sent once the response head is there, and never
    makes the client wait, nor fail. A request without an answer is not copied. What was dropped or
    failed is logged once a minute at most.
    """

    to: str
    percent: float = 100.0
    most: int = 10
    seconds: float = 5.0
    body_bytes: int = 64 * 1024
    methods: Collection[str] = ("GET", "HEAD", "OPTIONS")
    draw: Callable[[], float] = random.random

    per: ClassVar[str] = "request"

    @property
    def needs(self) -> tuple[str, ...]:
        """See gateway.policy."""
        return (self.to,)

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options."""
        found = []
        if context.is_own(self.to):
            found.append("a service cannot be its own mirror")
        elif self.to not in context.services:
            found.append(f"there is no service {self.to!r}")
        if not 0 <= self.percent <= 100:
            found.append(f"percent={self.percent!r} must be from 0 to 100")
        if self.most < 1 or not self.seconds > 0 or self.body_bytes < 0:
            found.append("most must be at least 1, seconds above 0, body_bytes 0 or more")
        if isinstance(self.methods, str) or not self.methods:
            found.append("methods must be a collection of methods")
        return found

    def wrap(self, following: Handler, context: PolicyContext) -> Handler:
        """See gateway.policy."""
        shadow = _Shadow(self, context.service, context.handler_of(self.to))
        methods = frozenset(method.upper() for method in self.methods)

        def handle(request: UpstreamRequest) -> UpstreamResponse:
            if isinstance(request.exchange, ShadowExchange):
                return following(request)
            if any(name.lower() == "x-mirrored" for name, _ in request.headers):
                fields = [field for field in request.headers if field[0].lower() != "x-mirrored"]
                request = replace(request, headers=fields)
            if request.method not in methods or self.draw() * 100 >= self.percent:
                return following(request)
            if request.body is None:
                response = following(request)
                shadow.send(request)
                return response
            if (request.body.length or 0) > self.body_bytes:
                return following(request)
            body = replayable(request.body, self.body_bytes)
            request = replace(request, body=body)
            response = following(request)
            if body.whole() is not None:
                shadow.send(replace(request, body=body.rewound()))
            return response

        return handle


class _Shadow:
    """Sends copies beside the requests, and drops their answers. This worker's own."""

    def __init__(self, options: Mirror, service: str, handler: Handler) -> None:
        self._options = options
        self._service = service
        self._handler = handler
        self._counting = threading.Lock()
        self._under_way = 0
        self._dropped = 0
        self._failed = 0
        self._told = -_QUIET

    def send(self, request: UpstreamRequest) -> None:
        """Have a copy sent, unless too many are under way. Raises nothing, waits for nothing."""
        with self._counting:
            free = self._under_way < self._options.most
            self._under_way += free
        if free:
            if parallel.start(partial(self._send, request)):
                return
            with self._counting:
                self._under_way -= 1
        self._lost(dropped=1)

    def _send(self, request: UpstreamRequest) -> None:
        options = self._options
        copy = detached(request, options.seconds, ShadowExchange, options.to)
        # The other service may answer a copy otherwise than who asks it in earnest.
        differs = (*request.differs, _MARK)
        copy = replace(copy, headers=[*request.headers, (_MARK, "true")], differs=differs)
        try:
            response = self._handler(copy)
            read_over(response, copy.deadline + options.seconds, _ANSWER_BYTES)
        except (UpstreamError, Refusal, ClientGone):
            self._lost(failed=1)
        finally:
            closed(copy)
            with self._counting:
                self._under_way -= 1

    def _lost(self, dropped: int = 0, failed: int = 0) -> None:
        with self._counting:
            self._dropped += dropped
            self._failed += failed
            now = time.monotonic()
            if now < self._told + _QUIET:
                return
            self._told = now
            counts = self._dropped, self._failed
            self._dropped = self._failed = 0
        log.warning(
            "%s: of the copies for %s, %d were dropped and %d failed",
            self._service,
            self._options.to,
            *counts,
        )
