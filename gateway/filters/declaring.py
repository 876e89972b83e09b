"""The decorators that make filters: they note on a function when it is to be called.

It stays the function that it is: tests and others call it as any. What is noted counts where it is
listed, in FILTERS or in `Service(filters=[...])`, and nowhere else.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from flask import Request, Response
from flask.typing import ResponseReturnValue

from gateway.exchange import Handler, UpstreamRequest, UpstreamResponse

Phase = Literal["pre", "route", "post", "error"]
#: In the order in which a request comes to them.
PHASES: tuple[Phase, ...] = ("pre", "route", "post", "error")

MARK = "__gateway_filter__"
#: How many arguments each is called with.
_ARGUMENTS: dict[Phase, int] = {"pre": 1, "route": 2, "post": 1, "error": 1}
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}")

Failures = type[Exception] | tuple[type[Exception], ...]
Pre = TypeVar("Pre", bound=Callable[[Request], ResponseReturnValue | None])
Route = TypeVar("Route", bound=Callable[[UpstreamRequest, Handler], UpstreamResponse])
Post = TypeVar("Post", bound=Callable[[Response], Response | None])
Error = TypeVar("Error", bound=Callable[[Any], ResponseReturnValue | None])


@dataclass(frozen=True, slots=True)
class Filter:
    """What a decorator noted. of: the failures that an error filter is asked about."""

    phase: Phase
    order: int
    name: str
    only: Callable[[Any], bool] | None
    of: Failures = Exception

    def faults(self, function: Callable[..., Any]) -> list[str]:
        """What is wrong with it, on this function."""
        found = []
        if not _NAME.fullmatch(self.name):
            found.append("its name must be letters, digits, `_`, `-` and `.`, 64 at most")
        if isinstance(self.order, bool) or not isinstance(self.order, int):
            found.append(f"order={self.order!r} must be a whole number")
        if not _failures(self.of):
            found.append(f"of={self.of!r} must be a class of exceptions, or several")
        found += _function_faults(function, "it", _ARGUMENTS[self.phase])
        if self.only is not None:
            found += _function_faults(self.only, "only", 1)
        return found


def pre(
    *, order: int = 0, name: str | None = None, only: Callable[[Request], bool] | None = None
) -> Callable[[Pre], Pre]:
    """A filter for requests that were admitted: who is known, limits and requirements are met.

    It is called with Flask's request. None lets it go on; an answer, as a view may return it, is
    the answer. What it raises is answered as anything that a view raises: nothing is let through
    by a filter that fails.

    order: the lower, the earlier; those with the same keep the order of their list. name: what
    switches it, unique in a gateway; None: the function's. only: called first, with the same; where
    it is false, the filter is passed over.
    """
    return _noting("pre", order, name, only)


def route(
    *,
    order: int = 0,
    name: str | None = None,
    only: Callable[[UpstreamRequest], bool] | None = None,
) -> Callable[[Route], Route]:
    """A filter around what a service does with a request: its policies, and the transport.

    It is called with the outlined request and the handler that follows, and returns that one's
    answer, another one, or raises. Once per request, not per attempt: for that, write a policy.
    order, name, only: see `pre`.
    """
    return _noting("route", order, name, only)


def post(
    *, order: int = 0, name: str | None = None, only: Callable[[Response], bool] | None = None
) -> Callable[[Post], Post]:
    """A filter for answers, those to failures among them, before the head is sent.

    It is called with Flask's response, whose body is still to stream: it cannot be read here. It
    changes the response, or returns another one. One that fails is logged, and the answer goes on
    as it is. order, name, only: see `pre`; `flask.request` is there, too.
    """
    return _noting("post", order, name, only)


def error(
    *,
    order: int = 0,
    name: str | None = None,
    only: Callable[[Any], bool] | None = None,
    of: Failures = Exception,
) -> Callable[[Error], Error]:
    """A filter for failures: what the gateway refuses, what no backend answered, what was raised.

    of: which of them, such as `UpstreamError` or `(Refusal, NotFound)`; default: all. It is called
    with the exception. The first answer is sent; where there is none, or the filter fails, which is
    logged, the usual problem+json. order, name, only: see `pre`.
    """
    return _noting("error", order, name, only, of)


def _noting(
    phase: Phase,
    order: int,
    name: str | None,
    only: Callable[[Any], bool] | None,
    of: Failures = Exception,
) -> Callable[[Any], Any]:
    def note(function: Any) -> Any:
        told = filter_of(function)
        # functools.wraps hands on what was noted on what it wraps: that is not its own.
        if told is not None and told is not filter_of(getattr(function, "__wrapped__", None)):
            raise TypeError(f"{told.name!r} is a filter already, of phase {told.phase}")
        called = name or getattr(function, "__name__", "") or type(function).__name__
        try:
            setattr(function, MARK, Filter(phase, order, called, only, of))
        except AttributeError:  # a bound method, say
            raise TypeError(f"{function!r} cannot be made a filter: write a function") from None
        return function

    return note


def filter_of(function: object) -> Filter | None:
    """What was noted on a function; None: it is no filter."""
    found = getattr(function, MARK, None)
    return found if isinstance(found, Filter) else None


def place_of(function: object) -> str:
    """Where a function stands: file and line; empty if nobody can tell."""
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return f"{code.co_filename}:{code.co_firstlineno}" if code else ""


def _failures(of: object) -> bool:
    kinds = of if isinstance(of, tuple) and of else (of,)
    return all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds)


def _function_faults(function: Any, what: str, arguments: int) -> list[str]:
    if not callable(function):
        return [f"{what} is no function"]
    for one in (inspect.unwrap(function), type(function).__call__):  # that of an object
        if inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one):
            return [f"{what} is async: the gateway awaits nothing"]
    try:
        inspect.signature(function).bind(*range(arguments))
    except TypeError as fault:
        return [f"{what} must take {arguments} argument{'s' * (arguments > 1)}: {fault}"]
    except ValueError:  # one that does not tell, such as some written in C
        pass
    return []
