"""Declaring who may: `require` and `public`, and what they declare compared with who asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from flask import Blueprint

from gateway.authentication.identity import Identity
from gateway.authorization.parts import (
    AccessPolicy,
    AllOf,
    AnyOf,
    Part,
    Permission,
    Scope,
    as_parts,
    calls,
    joined,
)
from gateway.errors import Forbidden

T = TypeVar("T", bound=Callable[..., Any] | Blueprint)

ALL_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
#: The methods that read, and those that write.
READ = ("GET", "HEAD", "OPTIONS")
WRITE = ("POST", "PUT", "PATCH", "DELETE")

MARK = "__gateway_access__"


@dataclass(frozen=True, slots=True)
class Access:
    """One declaration: what is needed for which methods. `parts` is None for public."""

    parts: tuple[Part, ...] | None
    methods: tuple[str, ...]

    def __str__(self) -> str:
        if self.parts is None:
            return "public"
        return joined(self.parts, " and ") or "any identity"


def authorize(parts: tuple[Part, ...], identity: Identity) -> None:
    """Raise Forbidden unless the identity has every part. `parts` are in the order of cheap_first,
    so that no function is called for an identity that lacks something else.

    Raises whatever a function raises.
    """
    for place, part in enumerate(parts):
        if not part.held_by(identity):
            raise _forbidden(parts[place:], identity)


def _forbidden(parts: tuple[Part, ...], identity: Identity) -> Forbidden:
    """The refusal for parts of which the first is not met. Clients are told what scopes they lack,
    and not the names of functions."""
    unmet = [part for part in parts if not (calls(part) or part.held_by(identity))] or parts[:1]
    lacking = [name for part in unmet for name in _lacking(part, identity)]
    scope = " ".join(dict.fromkeys(lacking))
    return Forbidden("This is not permitted.", scope, unmet=joined(unmet, " and "))


def _lacking(part: Part, identity: Identity) -> Iterator[str]:
    """The permissions and scopes of an unmet part that the identity has not: what a client could
    ask its authorisation server for. Calls no function."""
    if isinstance(part, Permission | Scope):
        if not part.held_by(identity):
            yield part.name
    elif isinstance(part, AnyOf | AllOf):
        inner = part.parts
        if isinstance(part, AllOf):
            cheap = tuple(one for one in inner if not (calls(one) or one.held_by(identity)))
            # Functions are called only where nothing else is lacking.
            inner = cheap or tuple(one for one in inner if calls(one))
        for one in inner:
            yield from _lacking(one, identity)


def _methods(methods: Iterable[str]) -> tuple[str, ...]:
    if isinstance(methods, str):
        raise TypeError("methods is a list, such as ['DELETE']")
    wanted = tuple(method.upper() for method in methods)
    if "GET" in wanted and "HEAD" not in wanted:
        wanted += ("HEAD",)  # Flask answers HEAD wherever it answers GET
    return wanted


def declare(target: T, access: Access) -> T:
    """Note a declaration on a service or a view; `gateway.routes` reads it at start."""
    # A new list each time: functools.wraps hands the old one on to other functions.
    setattr(target, MARK, [*getattr(target, MARK, ()), access])
    return target


def require(
    *parts: str | Part | AccessPolicy, methods: Iterable[str] = ALL_METHODS
) -> Callable[[T], T]:
    """Require all of `parts` for `methods`; with none, any identity.

    A string is a permission. A function is called with the identity and the flask Request, after
    everything else was found in order: True permits, False is a 403 `forbidden`. A Refusal or an
    UpstreamError that it raises is answered as what it is, so is `flask.abort`; any other error,
    and any other result, is a 500. It must not read the body. TypeError or ValueError for what
    cannot be required.

    Applies to a service or to a view; what a view requires comes on top of its service's.
    """
    access = Access(as_parts(parts), _methods(methods))
    return lambda target: declare(target, access)


@overload
def public(target: T, *, methods: Iterable[str] = ALL_METHODS) -> T: ...


@overload
def public(*, methods: Iterable[str] = ALL_METHODS) -> Callable[[T], T]: ...


def public(target: Any = None, *, methods: Iterable[str] = ALL_METHODS) -> Any:
    """Mark a service, or a view of one, as open to everybody for `methods`.

    On a view it lifts what the blueprints around it require. A valid token still tells the
    backend who asks.
    """
    access = Access(None, _methods(methods))
    if target is None:
        return lambda later: declare(later, access)
    return declare(target, access)
