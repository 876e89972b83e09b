"""Signed tokens that tell a backend who asks, so that it need not believe a plain field."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import cachetools
import jwt

from gateway.authentication.identity import Identity
from gateway.authentication.signing_keys import SigningKey, public_key_set
from gateway.exchange import SignedValue

#: Tokens that a worker remembers; the least used leaves first.
MOST = 10_000
#: Seconds by which a backend's clock may be behind: `iat` and `nbf` lie this far in the past.
BEHIND = 5

Fields = tuple[tuple[str, str], ...]


class InternalTokens:
    """Issues tokens for services: the first key signs, `key_set` has the public half of all.

    header: the field that carries a token; in `Authorization` it follows the word `Bearer`.
    issuer: their `iss`. seconds: for which they are valid. clock: seconds since the epoch.

    A token says nothing of one request, so this worker remembers it, for the same identity and
    service, until half of its time is over. At most 10,000 are remembered.
    """

    def __init__(
        self,
        keys: Sequence[SigningKey],
        *,
        header: str,
        issuer: str,
        seconds: int,
        clock: Callable[[], float] = time.time,
        most: int = MOST,
    ) -> None:
        self.header = header
        self.key_set = public_key_set(keys)
        self._key = keys[0]
        self._issuer = issuer
        self._seconds = seconds
        self._clock = clock
        self._scheme = "Bearer " if header.lower() == "authorization" else ""
        self._lock = threading.Lock()
        self._known: cachetools.LRUCache[object, tuple[float, Fields]] = cachetools.LRUCache(most)

    def teller(self, service: str) -> Callable[[Identity], Fields]:
        """What gives the field with a token for this service."""
        return lambda identity: self._field(service, identity)

    def _field(self, service: str, identity: Identity) -> Fields:
        if not (identity.subject or identity.roles or identity.permissions):
            return ()  # nobody, who was let in: a token would say that there is somebody
        # Not the identity itself: its claims cannot be hashed, and differ where nothing is told.
        key = (
            service,
            identity.subject,
            identity.kind,
            tuple(identity.roles),
            tuple(identity.permissions),
            tuple(identity.scopes),
            identity.plan,
        )
        now = self._clock()
        with self._lock:
            known = self._known.get(key)
        # The clock may have been set back: a token from the future would be refused.
        if known is not None and known[0] <= now < known[0] + self._seconds / 2:
            return known[1]
        value = SignedValue(self._scheme + self._signed(service, identity, int(now)))
        value.meaning = repr(key)
        told = ((self.header, value),)
        with self._lock:
            self._known[key] = (now, told)
        return told

    def _signed(self, service: str, identity: Identity, now: int) -> str:
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": service,
            "iat": now - BEHIND,
            "nbf": now - BEHIND,
            "exp": now + self._seconds,
            "kind": identity.kind,
            "roles": list(identity.roles),
            "permissions": list(identity.permissions),
            "scope": " ".join(identity.scopes),
            "plan": identity.plan,
        }
        if identity.subject:
            claims["sub"] = identity.subject
        key = self._key
        return jwt.encode(claims, key.private, key.algorithm, headers={"kid": key.kid})
