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


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated caller. `claims` is what the credential says, unchanged.

    `headers` are the fields that tell a backend; they are made once and cached with the identity.
    """

    subject: str
    kind: str = "user"
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = field(init=False)

    def __post_init__(self) -> None:
        made = (
            ("X-User-ID", _encoded(self.subject)),
            ("X-User-Roles", _listed(self.roles)),
            ("X-User-Permissions", _listed(self.permissions)),
        )
        object.__setattr__(self, "headers", made)


def _listed(values: tuple[str, ...]) -> str:
    return ",".join(map(_encoded, values))


def _encoded(value: str) -> str:
    text = quote(value, safe=_SAFE)
    rest = text.lstrip(" ")
    inner = rest.rstrip(" ")
    return "%20" * (len(text) - len(rest)) + inner + "%20" * (len(rest) - len(inner))


def current_identity() -> Identity | None:
    """The identity of the request being served; None for an anonymous one."""
    identity: Identity | None = request.environ.get("gateway.identity")
    return identity
