"""The last good answers of a service, for when it gives none: never one caller's for another.

Not a cache: a fresh answer is always asked for, and these are only looked at when none comes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from cachetools import TLRUCache

from gateway.exchange import (
    Headers,
    SignedValue,
    UpstreamRequest,
    UpstreamResponse,
)
from gateway.response_bodies import StaticBody, TeedBody, is_whole

#: Largest body that is remembered, and most bytes of all that is, for a service in one worker.
LARGEST = 64 * 1024
MOST_BYTES = 8 * 1024 * 1024
# What an answer takes besides its body, at least: this bounds their number, too.
_OVERHEAD = 4096

#: Request fields that belong to one request, or to its way here, and not to who asks for what. All
#: others are part of the key: an unknown one may be a credential.
PASSING = frozenset(
    {
        "cache-control",
        "cf-connecting-ip",
        "cf-ray",
        "forwarded",
        "grpc-timeout",
        "if-modified-since",
        "if-none-match",
        "pragma",
        "priority",
        "referer",
        "sentry-trace",
        "traceparent",
        "tracestate",
        "true-client-ip",
        "user-agent",
        "via",
        "x-amzn-trace-id",
        "x-cloud-trace-context",
        "x-correlation-id",
        "x-forwarded-for",
        "x-queue-start",
        "x-real-ip",
        "x-request-deadline",
        "x-request-id",
        "x-request-start",
        "x-timestamp",
    }
)

_CREDENTIALS = frozenset({"authorization", "cookie"})
# By these, the backend forbids to use an answer that is not fresh (RFC 9111 section 4.2.4).
_FORBIDDING = frozenset({"no-store", "no-cache", "must-revalidate", "proxy-revalidate"})
# Of the message that brought the answer, not of the answer: also what a cache said of it.
_FRAMING = frozenset(
    {
        *("content-length", "transfer-encoding", "connection", "age", "x-fallback"),
        *("x-cache", "cache-status"),
    }
)


@dataclass(frozen=True, slots=True)
class Remembered:
    """An answer, whole. `at` is when it came, `age` how old it was then, `until` its end."""

    response: UpstreamResponse
    body: bytes
    at: float
    age: float
    until: float


class LastAnswers:
    """Answers of one service, at most `seconds` old; this worker's own."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._changing = threading.Lock()
        self._kept: TLRUCache[bytes, Remembered] = TLRUCache(
            MOST_BYTES, ttu=lambda _key, one, _now: one.until, timer=clock, getsizeof=_size
        )

    def remembering(self, request: UpstreamRequest, response: UpstreamResponse) -> UpstreamResponse:
        """The response, which is remembered once its body has passed, if it may be."""
        seconds = _usable_for(request, response, self._seconds)
        if seconds > 0:
            now = self._clock()
            age = _seconds(_values(response.headers, "age")) or 0.0
            copy = UpstreamResponse(
                response.status,
                response.reason,
                [one for one in response.headers if one[0].lower() not in _FRAMING],
                StaticBody(b""),
                response.origin,
                response.base,
                response.version,
            )
            announced = _seconds(_values(response.headers, "content-length"))
            key = key_of(request)

            def remember(body: bytes | None, size: int) -> None:
                if body is not None and announced in (None, size):
                    with self._changing:
                        self._kept[key] = Remembered(copy, body, now, age, now + seconds)

            response.body = TeedBody(response.body, LARGEST, remember)
        return response

    def recall(self, request: UpstreamRequest) -> UpstreamResponse | None:
        """The last answer to the same request of the same caller; None if there is none."""
        if request.method != "GET" or request.body is not None:
            return None
        with self._changing:
            found = self._kept.get(key_of(request))
        if found is None:
            return None
        old = found.response
        age = int(found.age + self._clock() - found.at)
        fields = [*old.headers, ("Age", str(age)), ("Content-Length", str(len(found.body)))]
        return UpstreamResponse(
            old.status,
            old.reason,
            fields,
            StaticBody(found.body),
            old.origin,
            old.base,
            old.version,
        )


def key_of(request: UpstreamRequest) -> bytes:
    """Who asks for what: the method, the target, the host, the user, every request field that is
    not PASSING, of what the gateway signed, what it says; and what policies made it differ by."""
    fields = [
        (name.lower(), value.meaning if isinstance(value, SignedValue) else value)
        for name, value in request.headers
    ]
    own = [field for field in fields if field[0] not in PASSING]
    user = request.exchange.user
    asked = (request.method, request.target, request.host, user, own, request.differs)
    return sha256(repr(asked).encode("utf-8", "surrogateescape")).digest()


def _usable_for(request: UpstreamRequest, response: UpstreamResponse, most: float) -> float:
    """For how many seconds an answer may stand in for the next one; 0: not at all."""
    if request.method != "GET" or request.body is not None or response.status != 200:
        return 0.0
    fields = response.headers
    names = {name.lower() for name, _ in fields}
    length = _seconds(_values(fields, "content-length"))
    told = length is not None or "transfer-encoding" in names or is_whole(response.body)
    if not told or (length or 0) > LARGEST or names & {"set-cookie", "content-range"}:
        return 0.0  # without a length, a body that broke off looks whole
    control = _directives(fields, "cache-control", "pragma")
    if not control.keys().isdisjoint(_FORBIDDING) or not _identified(request, control):
        return 0.0
    if "no-store" in _directives(request.headers, "cache-control"):
        return 0.0
    if not PASSING.union("*").isdisjoint(_directives(fields, "vary")):
        return 0.0  # it varies with what is not in the key
    shared = control.get("s-maxage")
    return most if shared is None else min(most, _seconds([shared]) or 0.0)


def _identified(request: UpstreamRequest, control: dict[str, str]) -> bool:
    """Whether an answer for one caller alone is asked for by one that we can tell from others."""
    if "private" not in control or request.exchange.user:
        return True
    return any(name.lower() in _CREDENTIALS for name, _ in request.headers)


def _values(fields: Headers, *names: str) -> list[str]:
    return [value for name, value in fields if name.lower() in names]


def _directives(fields: Headers, *names: str) -> dict[str, str]:
    """The members of a list field, in lower case, with what stands behind `=`."""
    members = (one for value in _values(fields, *names) for one in value.lower().split(","))
    parted = (one.partition("=") for one in members)
    return {name.strip(): value.strip().strip('"') for name, _, value in parted}


def _seconds(values: list[str]) -> float | None:
    """A whole number, if that is all there is."""
    text = values[0].strip() if len(values) == 1 else ""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _size(one: Remembered) -> int:
    fields = sum(len(name) + len(value) for name, value in one.response.headers)
    return _OVERHEAD + fields + len(one.body)
