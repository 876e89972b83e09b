"""May you: what a service or a view requires of an identity.

    require("order:read")(orders)          a whole service
    @require("order:refund")               a view, on top of what its service requires
    require(any_of("a:b", role("admin")))  one of several
    require(role("admin"), methods=["DELETE"])(notifications)
    require()(orders)                      any authenticated identity
    public(products, methods=READ)         nobody needs to say who they are

A service without either does not start: forwarding is denied by default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from flask import Blueprint

from gateway.authentication import Identity
from gateway.errors import Forbidden

T = TypeVar("T", bound=Callable[..., Any] | Blueprint)

ALL_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
#: The methods that read, and those that write.
READ = ("GET", "HEAD", "OPTIONS")
WRITE = ("POST", "PUT", "PATCH", "DELETE")

MARK = "__gateway_access__"


@dataclass(frozen=True, slots=True)
class Scope:
    """A permission such as `order:read`. Who holds `order:*` has it."""

    name: str

    def held_by(self, identity: Identity) -> bool:
        """Whether the identity has the permission, by name or by wildcard."""
        for held in identity.permissions:
            if held == self.name or (held.endswith(":*") and self.name.startswith(held[:-1])):
                return True
        return False

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Role:
    """A role such as `admin`, matched exactly."""

    name: str

    def held_by(self, identity: Identity) -> bool:
        """Whether the identity has the role."""
        return self.name in identity.roles

    def __str__(self) -> str:
        return f"role:{self.name}"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Met when one of its parts is."""

    parts: tuple[Scope | Role, ...]

    def held_by(self, identity: Identity) -> bool:
        """Whether the identity has at least one of the parts."""
        return any(part.held_by(identity) for part in self.parts)

    def __str__(self) -> str:
        return " ".join(map(str, self.parts))


Part = Scope | Role | AnyOf


def role(name: str) -> Role:
    """Require a role."""
    return Role(name)


def any_of(*parts: str | Role) -> AnyOf:
    """Require at least one of several permissions or roles."""
    if not parts:
        raise ValueError("any_of needs at least one part")
    return AnyOf(tuple(Scope(part) if isinstance(part, str) else part for part in parts))


@dataclass(frozen=True, slots=True)
class Access:
    """One declaration: what is needed for which methods. `parts` is None for public."""

    parts: tuple[Part, ...] | None
    methods: tuple[str, ...]

    def __str__(self) -> str:
        if self.parts is None:
            return "public"
        return " and ".join(map(str, self.parts)) or "any identity"


def authorize(parts: tuple[Part, ...], identity: Identity) -> None:
    """Raise Forbidden naming what is missing unless the identity has every part."""
    missing = [part for part in parts if not part.held_by(identity)]
    if missing:
        raise Forbidden("The token does not permit this.", " ".join(map(str, missing)))


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


def require(*parts: str | Part, methods: Iterable[str] = ALL_METHODS) -> Callable[[T], T]:
    """Require all of `parts` (strings are permissions) for `methods`; with none, any identity.

    Applies to a service or to a view; what a view requires comes on top of its service's.
    """
    needed = tuple(Scope(part) if isinstance(part, str) else part for part in parts)
    access = Access(needed, _methods(methods))
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
