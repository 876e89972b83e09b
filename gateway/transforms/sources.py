"""What templates are made of: what a request, its caller and its answer have to say."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from gateway.exchange import UpstreamRequest, UpstreamResponse
from gateway.transforms.encodings import Encoding

if TYPE_CHECKING:
    from gateway.authentication.identity import Identity

#: What makes a value. A request has no response yet.
Render = Callable[[UpstreamRequest, UpstreamResponse | None], str]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Clocks:
    """The time of day, and the clock that `Exchange.started` is read from. In seconds."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Source:
    """One name of a template. tells: backends may tell clients apart by it, or requests by more
    than their path; what is another one each time tells nothing."""

    render: Render
    tells: bool = False


#: The names there are, and those for answers alone, as a fault lists them.
NAMES = (
    *("request_id", "timestamp", "timestamp_ms", "time", "method", "path", "service", "client"),
    *("identity.subject", "identity.kind", "identity.scheme", "identity.plan", "identity.roles"),
    *("identity.permissions", "identity.scopes", "identity.claims.<name>"),
    *("route.<variable>", "query.<name>", "header.<name>"),
)
OF_ANSWERS = ("status", "duration_ms")

_ATTRIBUTES = {name.partition(".")[2] for name in NAMES if name.startswith("identity.")}


def find_source(
    name: str, encoding: Encoding, clocks: Clocks, *, answers: bool = False
) -> Source | None:
    """What a name stands for; None if there is none such. answers: more is known of those."""
    kind, _, rest = name.partition(".")
    if not rest:
        return _plain(name, encoding, clocks, answers=answers)
    if kind == "identity":
        get = _of_identity(rest)
        return None if get is None else Source(_written(get, encoding.word), True)
    if kind == "route":
        return Source(_written(_of_route(rest), encoding.word))  # it is part of the path
    if kind == "query":
        return Source(_written(_of_query(rest), encoding.word), True)
    if kind == "header" and _TOKEN.fullmatch(rest):
        field, line = rest.lower(), encoding.line
        return Source(lambda request, _: line(request.field(field)), True)
    return None


def _plain(name: str, encoding: Encoding, clocks: Clocks, *, answers: bool) -> Source | None:
    """A name without a dot. What the gateway wrote itself needs no encoding."""
    wall, monotonic, line = clocks.wall, clocks.monotonic, encoding.line
    known: dict[str, Render] = {
        "request_id": lambda request, _: request.exchange.request_id,
        "timestamp": lambda request, _: str(int(wall())),
        "timestamp_ms": lambda request, _: str(int(wall() * 1000)),
        "time": lambda request, _: line(
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(wall())))
        ),
        "method": lambda request, _: line(request.method),
        "path": lambda request, _: line(_path(request)),
        "service": lambda request, _: line(request.service),
        "client": lambda request, _: line(request.exchange.client),
    }
    if answers:
        known["status"] = lambda _, response: str(response.status) if response else ""
        known["duration_ms"] = lambda request, _: (
            f"{(monotonic() - request.exchange.started) * 1000:.3f}"
        )
    render = known.get(name)
    return None if render is None else Source(render, name == "client")


def _path(request: UpstreamRequest) -> str:
    """The client's path as it sent it; that of a request which no client sent."""
    requester = request.requester
    return request.target.partition("?")[0] if requester is None else requester.target[0]


def _of_identity(name: str) -> Callable[[UpstreamRequest], Any] | None:
    kind, _, claim = name.partition(".")
    if kind == "claims" and claim:
        return _asked(lambda identity: identity.claims.get(claim))
    if name not in _ATTRIBUTES:
        return None
    return _asked(lambda identity: getattr(identity, name))


def _asked(get: Callable[[Identity], Any]) -> Callable[[UpstreamRequest], Any]:
    def find(request: UpstreamRequest) -> Any:
        requester = request.requester
        identity = None if requester is None else requester.identity
        return None if identity is None else get(identity)

    return find


def _of_route(name: str) -> Callable[[UpstreamRequest], Any]:
    def find(request: UpstreamRequest) -> Any:
        return None if request.requester is None else request.requester.parameters.get(name)

    return find


def _of_query(name: str) -> Callable[[UpstreamRequest], Any]:
    """The first parameter of that name, decoded."""

    def find(request: UpstreamRequest) -> str:
        for pair in request.target.partition("?")[2].split("&"):
            given, _, value = pair.partition("=")
            if given == name or (("%" in given or "+" in given) and unquote_plus(given) == name):
                return unquote_plus(value)
        return ""

    return find


def _written(get: Callable[[UpstreamRequest], Any], word: Callable[[str], str]) -> Render:
    def render(request: UpstreamRequest, _: UpstreamResponse | None) -> str:
        value = get(request)
        if type(value) is str:
            return word(value)
        if isinstance(value, list | tuple):
            return ",".join([word(_text(one)) for one in value])
        return word(_text(value))

    return render


def _text(value: Any) -> str:
    """Words, numbers and truth as text; nothing of what has parts, or is not there."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else ""
