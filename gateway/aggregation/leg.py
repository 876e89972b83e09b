"""What one service is asked for a part of an answer, and what stands for it when that fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, signature
from types import FunctionType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from gateway import forwarded
from gateway import headers as header_fields
from gateway.aggregation.leg_path import leg_path

if TYPE_CHECKING:
    from gateway.exchange import Policy
    from gateway.service import Service

Query = Mapping[str, Any] | Sequence[tuple[str, Any]]

#: Until when the answer of a leg is of use, in Unix seconds.
DEADLINE = "X-Request-Deadline"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OWN = header_fields.NEVER_FORWARDED | forwarded.ALWAYS | forwarded.CALLERS | forwarded.PLACES
_WRITTEN = _OWN | {"accept-encoding", DEADLINE.lower()}
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


class LegFailed(Exception):
    """A part of an answer that could not be had.

    reason: the stable, machine-readable name of the cause. status: what the client is answered if
    nothing works without the part. error: what was raised, None where an answer was no use.
    """

    def __init__(self, reason: str, status: int = 502, error: BaseException | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.error = error


@dataclass(frozen=True, slots=True)
class Leg:
    """A request to a service, made by `Service.fetch`, sent by `gather`."""

    service: Service
    method: str
    #: The path below the service's prefix and the query, percent-encoded.
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    json: Any = None
    timeout: float | None = None
    required: bool = False
    default: Any = None
    fallback: Leg | Callable[[LegFailed], Any] | None = None
    cache: Policy | None = None
    version: str | None = None
    trusted: bool = False


def make_leg(
    service: Service,
    method: str,
    path: str,
    values: Mapping[str, object],
    query: Query | None,
    **options: Any,
) -> Leg:
    """See Service.fetch."""
    target = leg_path(path, values, encoded_slashes=service.allow_encoded_slashes)
    pairs = query.items() if isinstance(query, Mapping) else (query or ())
    given = [(name, value) for name, value in pairs if value is not None]
    if told := urlencode(given, doseq=True, errors="surrogatepass"):
        target += "?" + told
    options["headers"] = tuple(_fields(options.pop("headers") or {}))
    timeout = options.get("timeout")
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout={timeout!r} must be above 0")
    return Leg(service, method.upper(), target, **options)


def _fields(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields as they are sent: nothing in a value breaks them. An empty one is not."""
    for name, value in given.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _WRITTEN:
            raise ValueError(f"a leg cannot have a field {name!r} of its own")
        told = "" if value is None else str(value)
        yield name, quote(told, safe=_PRINTABLE, errors="surrogatepass")


@dataclass(frozen=True, slots=True)
class After:
    """A part that is made when others are there; see `after`."""

    function: Callable[..., Any]
    default: Any = None
    required: bool = False
    needs: tuple[str, ...] = field(default=(), compare=False)


def after(function: Callable[..., Any], *, default: Any = None, required: bool = False) -> After:
    """A part of `gather` that depends on other parts: the function is called with the values of
    those that its parameters name, and returns a leg, a list of legs, or a value.

    It is not called where one of them failed and no `fallback` answered for it: the part is then
    `default` and counts as failed, or the whole answer fails where it is `required`. A plain
    function in gather is one with default None. Raises TypeError for one with other than plain
    parameters.
    """
    return After(function, default, required, _needs(function))


def _needs(function: Callable[..., Any]) -> tuple[str, ...]:
    code = getattr(function, "__code__", None)
    plain = type(function) is FunctionType and not function.__defaults__
    if plain and code is not None and not code.co_kwonlyargcount and not code.co_flags & 0x0C:
        names: tuple[str, ...] = code.co_varnames[: code.co_argcount]
        return names
    found = []
    for one in signature(function).parameters.values():
        if one.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            raise TypeError("a part's function names the parts that it needs, one by one")
        if one.default is Parameter.empty:
            found.append(one.name)
    return tuple(found)
