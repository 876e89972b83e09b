"""A key's row, as a worker judges by it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.authentication.identity import Identity, encoded

#: The field that tells backends whose key it was: one of gateway.headers.IDENTITY.
OWNER_FIELD = "X-Key-Owner"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """digest, previous: SHA-256 of the key, and of the one before it, which is valid until
    previous_until. expires: seconds since the epoch, as that. counted: its name in the usage."""

    digest: bytes
    previous: bytes
    previous_until: float
    active: bool
    revoked: bool
    expires: float
    identity: Identity
    counted: str

    @property
    def known_id(self) -> str:
        """The key's id; empty for a key that there is not."""
        subject = self.identity.subject
        return "" if subject == NOBODY["id"] else subject

    def __repr__(self) -> str:
        return f"KeyRecord({self.identity.subject!r})"


def usage_name(key_id: str) -> str:
    """What the requests of a key are counted under."""
    return f"key:{key_id}"


def make_record(row: Mapping[Any, Any]) -> KeyRecord:
    """The record of a row of the table of API keys."""
    scopes, roles = tuple(row["scopes"]), tuple(row["roles"])
    return KeyRecord(
        digest=bytes(row["digest"]),
        # What no SHA-256 is: it is compared like any other.
        previous=bytes(row["previous_digest"] or bytes(32)),
        previous_until=row["previous_until"] or 0,
        active=row["active"],
        revoked=row["revoked"] is not None,
        expires=math.inf if row["expires"] is None else row["expires"],
        identity=Identity(
            row["id"],
            kind="key",
            roles=roles,
            permissions=scopes,
            scopes=scopes,
            plan=row["plan"],
            claims={"name": row["name"], "owner": row["owner"]},
            scheme="api_key",
            overrides=row["overrides"],
            told=((OWNER_FIELD, encoded(row["owner"])),),
        ),
        counted=usage_name(row["id"]),
    )


#: The row of a key that there is not: judging it takes as long as judging another, and fails.
NOBODY: Mapping[Any, Any] = {
    "id": "0" * 12,
    "name": "",
    "owner": "",
    "digest": os.urandom(32),
    "previous_digest": None,
    "previous_until": None,
    "active": False,
    "expires": None,
    "scopes": [],
    "roles": [],
    "plan": "",
    "overrides": {},
    "revoked": 0,
}
