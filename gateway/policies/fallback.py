"""What is answered instead, when a service cannot answer."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import orjson

from gateway.errors import UpstreamError
from gateway.exchange import (
    Asked,
    Early,
    Handler,
    Headers,
    UpstreamRequest,
    UpstreamResponse,
    early_of,
)
from gateway.policies.last_answer import LastAnswers
from gateway.policy import Explained, PolicyContext
from gateway.replay import Replayable, replayable
from gateway.response_bodies import StaticBody

Fields = Mapping[str, str] | Sequence[tuple[str, str]]
#: What a view returns: a response, or status, fields and body.
Answered = UpstreamResponse | tuple[int, Fields, Any]
#: Makes an answer from the request and the error, which is None where a status is the reason.
View = Callable[[UpstreamRequest, UpstreamError | None], Answered]
_Source = Callable[["_Failure"], UpstreamResponse | None]

#: Methods that change nothing, and so may be sent to another service whatever became of them.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_REPLAYED = 65536

log = logging.getLogger("gateway")

# The services whose requests are being passed on to another one: two may name each other.
_passing_on: ContextVar[tuple[str, ...]] = ContextVar("gateway_fallback", default=())


@dataclass(frozen=True, slots=True)
class Fallback:
    """Answers when the rest of the chain fails: from the first of these sources that can.

    service: another service, sent the same request. Its whole chain is used; a service without
        paths (`url_prefix=None`) can be there for this alone. Requests that may change something
        are only sent if the first service got nothing of them; bodies, if at most 64 KiB.
    stale: the last good answer to the same GET of the same caller, at most `remember_seconds` old.
    view: a function of the request and the error; it returns an UpstreamResponse, or status, fields
        and body. An UpstreamError it raises means that it cannot.
    body, status, headers: this answer; bytes, text, or anything that JSON can say. Used where it is
        given, and where there is no other source; then None is an error object and 503.

    statuses: answers that are failures, too, such as {502, 503, 504}; default: none. The answer of
        a backend is its own business, unless you say so.

    The answer says `X-Fallback: service`, `stale`, `view` or `static`. What went wrong stays in the
    access log. A request that is refused, whose body breaks or whose client left has none. Where no
    source can answer, the failure is told as without this policy.
    """

    body: Any = None
    status: int = 503
    headers: Fields = field(default_factory=dict)
    service: str | None = None
    view: View | None = None
    stale: bool = False
    remember_seconds: float = 300.0
    statuses: Collection[int] = frozenset()
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    per: ClassVar[str] = "request"
    once: ClassVar[bool] = True
    before: ClassVar[tuple[str, ...]] = (
        "AdaptiveConcurrency",
        "Bulkhead",
        "Cache",
        "CircuitBreaker",
        "Hedge",
        "Retry",
    )

    @property
    def needs(self) -> tuple[str, ...]:
        """See gateway.policy."""
        return () if self.service is None else (self.service,)

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options."""
        found = []
        view: Any = self.view
        if not 200 <= self.status <= 599:
            found.append(f"status={self.status!r} must be from 200 to 599")
        if self.service is not None and self.service not in context.services:
            found.append(f"service={self.service!r} is none of the services")
        if self.service is not None and context.is_own(self.service):
            found.append(f"service={self.service!r} is the one that failed")
        if view is not None and not callable(view):
            found.append("view must be a function")
        if not 0 < self.remember_seconds < math.inf:
            found.append(f"remember_seconds={self.remember_seconds!r} must be above 0")
        if not all(400 <= status <= 599 for status in self.statuses):
            found.append("statuses must be from 400 to 599")
        try:
            _encoded(self.body)
        except TypeError as error:
            found.append(f"body cannot be written as JSON: {error}")
        return found

    def explained(self, request: UpstreamRequest, context: PolicyContext) -> Explained:
        """See gateway.policy."""
        return Explained(instead=f"{type(self).__name__} may answer")

    def wrap(self, following: Handler, context: PolicyContext) -> Handler:
        """See gateway.policy."""
        return _Guarded(self, following, context)


class _Failure:
    """A request that was not answered as it should be, and why."""

    __slots__ = ("earlier", "error", "request", "response")

    def __init__(
        self,
        request: UpstreamRequest,
        earlier: int,
        error: UpstreamError | None,
        response: UpstreamResponse | None,
    ) -> None:
        self.request = request
        self.earlier = earlier  # attempts on its record before ours
        self.error = error
        self.response = response

    @property
    def reason(self) -> tuple[str, str]:
        """Who failed and how, as the access log says it."""
        if self.error is not None:
            return self.error.party, self.error.reason
        return "upstream", f"status_{self.response.status if self.response else 0}"

    def retry_after(self) -> str:
        """When to come back, as whoever failed said it; otherwise in a second."""
        if self.response is not None:
            for name, value in self.response.headers:
                if name.lower() == "retry-after":
                    return value
        seconds = self.error.retry_after if self.error is not None else None
        return str(max(1, math.ceil(seconds or 1)))

    def may_be_sent(self) -> bool:
        """Whether sending it elsewhere cannot do its work twice."""
        if self.request.method in SAFE:
            return True
        if self.error is None or not self.error.retry_safe:
            return False
        return not any(one.sent for one in self.request.exchange.attempts[self.earlier :])


class _Guarded:
    """The rest of the chain, with what to do when it fails."""

    def __init__(self, options: Fallback, following: Handler, context: PolicyContext) -> None:
        self._options = options
        self._following = following
        self._name = context.service
        #: See exchange.Early: an answer from memory is none of a failure.
        self.early: Early | None = early_of(following)
        if self.early is not None and options.statuses:
            self.early = partial(_unless, frozenset(options.statuses), self.early)
        self._answers: LastAnswers | None = None
        self._other: Handler | None = None
        self._sources: list[tuple[str, _Source]] = []
        if options.service is not None:
            self._other = context.handler_of(options.service)
            self._sources.append(("service", self._from_service))
        if options.stale:
            self._answers = LastAnswers(options.remember_seconds, options.clock)
            self._sources.append(("stale", self._from_memory))
        if options.view is not None:
            self._sources.append(("view", self._from_view))
        if options.body is not None or not self._sources:
            self._sources.append(("static", self._from_options))

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        """The chain's answer, or another one."""
        if self._other is not None and request.body is not None:
            request = replace(request, body=replayable(request.body, _REPLAYED))
        earlier = len(request.exchange.attempts)
        try:
            response = self._following(request)
        except UpstreamError as error:
            instead = self._instead(_Failure(request, earlier, error, None))
            if instead is None:
                raise
            return instead
        if response.status in self._options.statuses:
            instead = self._instead(_Failure(request, earlier, None, response))
            if instead is None:
                return response
            response.body.close()
            return instead
        return response if self._answers is None else self._answers.remembering(request, response)

    def _instead(self, failure: _Failure) -> UpstreamResponse | None:
        label = f"{failure.request.exchange.request_id}: {self._name}"
        for name, source in self._sources:
            try:
                response = source(failure)
            except UpstreamError as error:
                if error.party == "upstream":
                    log.warning("%s fallback %s failed: %s", label, name, error)
                continue
            if response is not None:
                party, reason = failure.reason
                failure.request.exchange.blame(party, reason)
                if party == "upstream":  # what was kept back by the thousand, the access log tells
                    why = failure.error or reason
                    log.warning("%s %s (%s), fallback: %s", label, reason, why, name)
                _mark(response, name)
                return response
        return None

    def _from_service(self, failure: _Failure) -> UpstreamResponse | None:
        request = failure.request
        passing_on = (*_passing_on.get(), self._name)
        if (
            self._other is None
            or self._options.service in passing_on
            or not failure.may_be_sent()
            or self._options.clock() >= request.deadline
        ):
            return None
        body = request.body
        if isinstance(body, Replayable):
            body = body.rewound()
            if body is None:
                return None
        token = _passing_on.set(passing_on)
        try:
            response = self._other(replace(request, body=body, tried=None, admit=None))
        finally:
            _passing_on.reset(token)
        if response.status in self._options.statuses:
            response.body.close()
            return None
        return response

    def _from_memory(self, failure: _Failure) -> UpstreamResponse | None:
        return None if self._answers is None else self._answers.recall(failure.request)

    def _from_view(self, failure: _Failure) -> UpstreamResponse | None:
        if self._options.view is None:
            return None
        answer = self._options.view(failure.request, failure.error)
        if isinstance(answer, tuple):
            status, fields, body = answer
            answer = _made(status, fields, body, failure.request)
        return answer

    def _from_options(self, failure: _Failure) -> UpstreamResponse:
        options, body = self._options, self._options.body
        if body is None:
            body = {
                "error": "Service temporarily unavailable",
                "service": self._name,
                "fallback": True,
            }
        response = _made(options.status, options.headers, body, failure.request)
        if options.status == 503 and not _has(response.headers, "retry-after"):
            response.headers.append(("Retry-After", failure.retry_after()))
        return response


def _unless(statuses: Collection[int], early: Early, asked: Asked) -> UpstreamResponse | None:
    """What comes early, unless it is a failure."""
    response = early(asked)
    return None if response is None or response.status in statuses else response


def _made(status: int, fields: Fields, body: Any, request: UpstreamRequest) -> UpstreamResponse:
    """An answer of our own; nobody is to keep it."""
    data, media_type = _encoded(body)
    pairs = list(fields.items() if isinstance(fields, Mapping) else fields)
    for name, value in (("Content-Type", media_type), ("Cache-Control", "no-store")):
        if value and not _has(pairs, name.lower()):
            pairs.append((name, value))
    pairs = [pair for pair in pairs if pair[0].lower() != "content-length"]
    pairs.append(("Content-Length", str(len(data))))
    return UpstreamResponse(
        status, "", pairs, StaticBody(b"" if request.method == "HEAD" else data)
    )


def _encoded(body: Any) -> tuple[bytes, str]:
    """A body's bytes and their media type, both empty for None. Raises TypeError."""
    if body is None:
        return b"", ""
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return orjson.dumps(body), "application/json"


def _has(fields: Headers, name: str) -> bool:
    return any(given.lower() == name for given, _ in fields)


def _mark(response: UpstreamResponse, source: str) -> None:
    fields = [one for one in response.headers if one[0].lower() != "x-fallback"]
    response.headers = [*fields, ("X-Fallback", source)]
