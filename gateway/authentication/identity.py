"""Who a request comes from, as far as a credential proves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from flask import request

# What may stand in a field value beside letters and digits. A comma parts list members and a
# line break would begin another field, so anything else is percent-encoded. So is a space at
# either end, which parsers cut off: ` alice` is not `alice`.
_SAFE = "!#$&'()*+-./:;<=>?@[]^_`{|}~\" "

# Claims of one credential, and not of whom it is for (RFC 7519 section 4.1).
_PASSING = frozenset({"exp", "iat", "nbf", "jti"})


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated caller, whichever scheme proved it.

    subject: its name, unique among those of its kind. kind: `user`, `client` for a program that
    acts for itself, `key` or `certificate`; limits are counted for kind and subject.
    permissions: what `require("order:read")` compares, scopes included. scopes: those of an OAuth
    2 token or a key. plan: the name of its plan; empty for the default one. claims: what the
    credential says, unchanged. scheme: what proved it. overrides: limits of its own, instead of
    its plan's. told: fields for backends beside the usual ones, or instead of those.

    Whoever an authorisation service lets in without a name has no subject: its limits are those of
    its address, and backends are told nothing that is empty.

    `headers` are the fields that tell a backend; they are made once and cached with the identity.
    """

    subject: str
    kind: str = "user"
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    plan: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)
    scheme: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    told: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = field(init=False)
    _meaning: str = field(init=False, default="", repr=False, compare=False)

    def __post_init__(self) -> None:
        made: tuple[tuple[str, str], ...] = (
            ("X-User-ID", encoded(self.subject)),
            ("X-User-Roles", listed(self.roles)),
            ("X-User-Permissions", listed(self.permissions)),
        )
        if self.told:
            own = {name.lower() for name, _ in self.told}
            made = (*(pair for pair in made if pair[0].lower() not in own), *self.told)
        if not self.subject:
            made = tuple(pair for pair in made if pair[1])
        object.__setattr__(self, "headers", made)

    @property
    def meaning(self) -> str:
        """All that is said of the caller, as one text: the same for the same caller with the same
        rights, whatever the credential's times and its number; another one for another."""
        if not self._meaning:
            claims = sorted((k, repr(v)) for k, v in self.claims.items() if k not in _PASSING)
            told = (self.scheme, self.kind, self.subject, self.roles, self.permissions)
            whole = repr((*told, self.scopes, self.plan, self.told, claims))
            object.__setattr__(self, "_meaning", whole)
        return self._meaning


def listed(values: tuple[str, ...]) -> str:
    """Words as one field value, parted by commas."""
    return ",".join(map(encoded, values))


def encoded(value: str) -> str:
    """Any text as a field value that cannot be mistaken for another one."""
    text = quote(value, safe=_SAFE)
    rest = text.lstrip(" ")
    inner = rest.rstrip(" ")
    return "%20" * (len(text) - len(rest)) + inner + "%20" * (len(rest) - len(inner))


def current_identity() -> Identity | None:
    """The identity of the request being served; None for an anonymous one."""
    identity: Identity | None = request.environ.get("gateway.identity")
    return identity
