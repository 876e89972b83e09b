"""Development tokens: what `make run` prints and `make token` gives."""

from __future__ import annotations

import os
import re
import time

import jwt

from gateway.application import create_app
from gateway.authentication.keys import load_keys
from gateway.authorization.parts import Permission, Scope, leaves
from gateway.configuration import load_settings
from gateway.errors import ConfigurationError

ROLES = ("reader", "writer", "admin")


def development_token(role: str, subject: str, expires: int) -> str:
    """A signed token for `role`, valid for `expires` seconds.

    reader: every permission that ends in `:read`. writer: every permission that a service names.
    admin: all permissions of every kind, and the gateway's own, by wildcard. Scopes have no
    wildcards: a reader has those that end in `read`, the others all that a service names. Raises
    ConfigurationError without a shared secret: a gateway that has public keys alone cannot sign,
    and must not.
    """
    settings = load_settings()
    keys, faults = load_keys(settings.JWT_SECRET, settings.JWT_KEYS, needed=False)
    key = keys.signing_secret()
    if key is None:
        raise ConfigurationError(faults or ["development tokens need a shared secret: JWT_SECRET"])
    permissions, scopes = _named()
    now = int(time.time())
    claims: dict[str, object] = {
        "sub": subject,
        "iat": now,
        "exp": now + expires,
        "roles": [role],
        "permissions": _permissions(role, permissions),
    }
    if given := _scopes(role, scopes):
        claims["scope"] = " ".join(given)
    if settings.JWT_ISSUER:
        claims["iss"] = settings.JWT_ISSUER
    if settings.JWT_AUDIENCE:
        claims["aud"] = settings.JWT_AUDIENCE
    headers = {"kid": key.kid} if key.kid else None
    return jwt.encode(claims, key.material, algorithm=key.algorithm, headers=headers)


def _named() -> tuple[set[str], set[str]]:
    """The permissions and the scopes that the services of this gateway ask for."""
    from blueprints import SERVICES  # the fork's own

    for service in SERVICES:  # a terminal that only wants a token need not know addresses
        os.environ.setdefault(service.variable, "")
    settings = load_settings().model_copy(
        update={"STATE_URL": "memory://", "ALLOW_MEMORY_STATE": True}
    )
    routes = create_app(settings).extensions["gateway"].routes
    named = [
        leaf
        for route in routes.values()
        for parts in route.access.values()
        for part in parts or ()
        for leaf in leaves(part)
    ]
    return (
        {leaf.name for leaf in named if isinstance(leaf, Permission)},
        {leaf.name for leaf in named if isinstance(leaf, Scope)},
    )


def _permissions(role: str, named: set[str]) -> list[str]:
    """Those that the role has."""
    if role == "reader":
        return sorted(name for name in named if name.endswith(":read"))
    if role == "writer":
        return sorted(named)
    # The gateway that it is for may have an ADMIN_PREFIX that this terminal knows nothing of.
    named = named | {"cache:purge", "filters:write"}
    return sorted({name.partition(":")[0] + ":*" if ":" in name else name for name in named})


def _scopes(role: str, named: set[str]) -> list[str]:
    return sorted(name for name in named if role != "reader" or re.search(r"(^|\W)read$", name))
