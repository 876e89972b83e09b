"""A cache around a backend that says what a test wants, with clocks that are set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gateway import Cache, StaticBody, UpstreamRequest, UpstreamResponse
from gateway.caching.handler import Cached
from gateway.caching.memory import MemoryResponses
from gateway.caching.tiers import TieredResponses
from gateway.errors import BodyFailed
from gateway.exchange import Headers, ResponseBody
from tests.support.outline import outline

FRESH = "max-age=60"
NOW = 1_000_000.0


@dataclass
class Clock:
    """A clock that is set."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


class Pieces:
    """A body that arrives piece by piece; it may break at its end."""

    def __init__(self, *pieces: bytes, broken: bool = False) -> None:
        self.given = 0
        self.closed = False
        self._pieces = pieces
        self._broken = broken

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.given += 1
            yield piece
        if self._broken:
            raise BodyFailed

    def close(self) -> None:
        """Note it."""
        self.closed = True


def says(
    control: str | None = FRESH,
    body: bytes | ResponseBody = b"answer",
    status: int = 200,
    **fields: str,
) -> UpstreamResponse:
    """A backend's answer; names of fields with `_` for `-`."""
    headers: Headers = [(name.replace("_", "-").title(), text) for name, text in fields.items()]
    if control is not None:
        headers.append(("Cache-Control", control))
    if isinstance(body, bytes):
        headers.append(("Content-Length", str(len(body))))
        body = StaticBody(body)
    else:
        headers.append(("Transfer-Encoding", "chunked"))
    return UpstreamResponse(status, "", headers, body, "http://things.internal")


#: What a backend does: answer or raise.
Play = Callable[[UpstreamRequest], UpstreamResponse]


@dataclass
class Backend:
    """Answers each request by what `play` is at the moment."""

    play: Play = field(default=lambda request: says())
    asked: list[UpstreamRequest] = field(default_factory=list)

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        self.asked.append(request)
        return self.play(request)

    def says(self, *told: Any, **fields: Any) -> None:
        """Answer so from now on; see `says` above."""
        self.play = lambda request: says(*told, **fields)

    def fails(self, error: Exception) -> None:
        """Have nothing to answer from now on."""

        def raising(_request: UpstreamRequest) -> UpstreamResponse:
            raise error

        self.play = raising

    def last(self, name: str) -> str:
        """A field of the last request."""
        return self.asked[-1].field(name)


def store(size: int = 1 << 20, worker: int = 1 << 20) -> TieredResponses:
    """Answers kept in this process."""
    return TieredResponses(MemoryResponses(size), worker)


def cached(
    backend: Callable[[UpstreamRequest], UpstreamResponse],
    *,
    kept: TieredResponses | None = None,
    clocks: dict[str, Any] | None = None,
    service: str = "things",
    **options: Any,
) -> Cached:
    """A cache with these options. clocks: of Cached."""
    policy = Cache(**options)
    rules = policy.rules(1 << 16, 1 << 16)
    shelf = store() if kept is None else kept
    return Cached(backend, service, policy, rules, shelf, "edge", **clocks or {})


def read(response: UpstreamResponse) -> bytes:
    """All of a body."""
    data = b"".join(response.body)
    response.body.close()
    return data


def header(response: UpstreamResponse, name: str) -> str:
    """A field's value; its repetitions joined."""
    return ", ".join(value for given, value in response.headers if given.lower() == name.lower())


def label(response: UpstreamResponse) -> str:
    """What the cache did, as the client is told."""
    return header(response, "X-Cache")


def asking(*headers: tuple[str, str], method: str = "GET") -> UpstreamRequest:
    """A request with these fields."""
    return outline(method, headers=list(headers))
