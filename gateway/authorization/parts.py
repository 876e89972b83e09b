"""What `require(...)` is made of: permissions, scopes, roles, functions, and combinations."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from flask import Request, request

from gateway.authentication.identity import Identity

#: A function that decides by what is asked for: of the identity and the request, True or False.
AccessPolicy = Callable[[Identity, Request], bool]

# A scope-token of RFC 6749 section 3.3: clients are told these in `WWW-Authenticate`.
_WORD = re.compile(r"[!#-\[\]-~]+")


@dataclass(frozen=True, slots=True)
class Permission:
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
class Scope:
    """A scope of an OAuth 2 token or a key, matched exactly."""

    name: str

    def held_by(self, identity: Identity) -> bool:
        """Whether the identity was given the scope."""
        return self.name in identity.scopes

    def __str__(self) -> str:
        return f"scope:{self.name}"


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
class Decision:
    """Met when a function says True of the identity and the request."""

    policy: AccessPolicy
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _called(self.policy))

    def held_by(self, identity: Identity) -> bool:
        """What the function says. Raises what it raises, and TypeError if it says neither True nor
        False: a value that was meant otherwise must not open anything."""
        # The request itself: a function may hand it on to where the context is another one.
        found: object = self.policy(identity, request._get_current_object())  # type: ignore[attr-defined]
        if found is True or found is False:
            return found
        raise TypeError(f"{self.name} must say True or False, not {type(found).__name__}")

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Met when one of its parts is."""

    parts: tuple[Part, ...]

    def held_by(self, identity: Identity) -> bool:
        """Whether the identity has at least one of the parts."""
        for part in self.parts:  # noqa: SIM110  a generator costs more than the parts
            if part.held_by(identity):
                return True
        return False

    def __str__(self) -> str:
        return joined(self.parts, " or ")


@dataclass(frozen=True, slots=True)
class AllOf:
    """Met when all of its parts are."""

    parts: tuple[Part, ...]

    def held_by(self, identity: Identity) -> bool:
        """Whether the identity has every part."""
        for part in self.parts:  # noqa: SIM110
            if not part.held_by(identity):
                return False
        return True

    def __str__(self) -> str:
        return joined(self.parts, " and ")


Part = Permission | Scope | Role | Decision | AnyOf | AllOf
_PARTS = (Permission, Scope, Role, Decision, AnyOf, AllOf)


def scope(name: str) -> Scope:
    """Require a scope, exactly: neither a permission of that name nor a wildcard will do."""
    return Scope(_word(name, "scope"))


def role(name: str) -> Role:
    """Require a role."""
    if not isinstance(name, str) or not name:
        raise TypeError(f"role({name!r}): a role is a word")
    return Role(name)


def any_of(*parts: str | Part | AccessPolicy) -> AnyOf:
    """Require at least one of several parts, which are what `require` takes."""
    if not parts:
        raise ValueError("any_of needs at least one part")
    return AnyOf(as_parts(parts))


def all_of(*parts: str | Part | AccessPolicy) -> AllOf:
    """Require all of several parts; for use inside `any_of`."""
    if not parts:
        raise ValueError("all_of needs at least one part")
    return AllOf(as_parts(parts))


def as_parts(given: Iterable[str | Part | AccessPolicy]) -> tuple[Part, ...]:
    """What was written, as parts in the order in which they are looked at. Raises TypeError or
    ValueError."""
    return cheap_first([_part(one) for one in given])


def cheap_first(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts with those last that call a function: it may ask a server, or a database."""
    return tuple(sorted(parts, key=calls))


def calls(part: Part) -> bool:
    """Whether a part calls functions."""
    if isinstance(part, AnyOf | AllOf):
        return any(map(calls, part.parts))
    return isinstance(part, Decision)


def leaves(part: Part) -> Iterator[Permission | Scope | Role | Decision]:
    """What a part is made of, without the combinations."""
    if isinstance(part, AnyOf | AllOf):
        for inner in part.parts:
            yield from leaves(inner)
    else:
        yield part


def joined(parts: Iterable[Part], word: str) -> str:
    """Parts as people read them; combinations in parentheses where there are several parts."""
    told = list(parts)
    if len(told) == 1:
        return str(told[0])
    return word.join(f"({part})" if isinstance(part, AnyOf | AllOf) else str(part) for part in told)


def _part(given: object) -> Part:
    if isinstance(given, _PARTS):
        return given
    if isinstance(given, str):
        return Permission(_word(given, "permission"))
    if isinstance(given, type) or not callable(given):
        raise TypeError(
            f"{given!r} cannot be required: it is no permission, no part such as role('admin'),"
            " and no function of identity and request"
        )
    name = _called(given)
    if inspect.iscoroutinefunction(given):
        raise TypeError(f"{name} is asynchronous; what decides must answer at once")
    try:
        inspect.signature(given).bind(None, None)
    except TypeError:
        raise TypeError(f"{name} must take two arguments: the identity and the request") from None
    except ValueError:
        pass  # written in C: it does not say what it takes
    return Decision(given)


def _word(name: object, kind: str) -> str:
    if not isinstance(name, str) or not _WORD.fullmatch(name):
        raise ValueError(f"{name!r} is no {kind}: one word of visible ASCII without quotes")
    return name


def _called(policy: Any) -> str:
    """What people call a function: its name, or what an object says of itself if it was told how.
    A usual repr may hold secrets."""
    if isinstance(policy, partial):
        return _called(policy.func)
    if name := getattr(policy, "__name__", ""):
        return str(name)
    kind = type(policy)
    told = any("__str__" in vars(base) for base in kind.__mro__[:-1])
    return str(policy) if told else kind.__name__
