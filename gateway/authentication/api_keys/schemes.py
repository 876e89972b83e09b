"""Where a key stands in a request: in a field of its own, or as the password of HTTP basic."""

from __future__ import annotations

import base64
import binascii
from typing import Any, ClassVar

from gateway.authentication.api_keys.known import KnownKeys
from gateway.authentication.api_keys.queries import KeyQueries
from gateway.authentication.api_keys.verifier import KeyVerifier
from gateway.authentication.identity import Identity
from gateway.authentication.scheme import Carried, Scheme
from gateway.database.opening import Records
from gateway.headers import environ_name
from settings import Settings

_AUTHORIZATION = frozenset({"authorization"})


class ApiKey:
    """A key in a header, `X-API-Key` unless it is told otherwise. No backend is sent it."""

    name = "api_key"
    carried: ClassVar[Carried] = "message"
    needs: ClassVar[str] = "an API key"
    challenge = 'ApiKey realm="gateway"'
    writes: frozenset[str] = frozenset()

    def __init__(self, verifier: KeyVerifier, header: str = "X-API-Key") -> None:
        self._verifier = verifier
        self._variable = environ_name(header)
        self.hides: frozenset[str] = frozenset({header.lower()})

    def find(self, environ: dict[str, Any]) -> str | None:
        """See Scheme.find."""
        return environ.get(self._variable) or None

    def verify(self, credential: str, environ: dict[str, Any]) -> Identity:
        """See Scheme.verify."""
        return self._verifier.verify(credential.strip(), self.challenge)

    def peek(self, credential: str, environ: dict[str, Any]) -> Identity:
        """See Scheme."""
        return self._verifier.peek(credential.strip(), self.challenge)


class Basic:
    """A key as the password of HTTP basic authentication (RFC 7617), with any user name.

    Where this scheme is accepted, `Authorization: Basic` is the gateway's, and a backend is not
    sent it. Elsewhere it passes as any other field.
    """

    name = "basic"
    carried: ClassVar[Carried] = "message"
    needs: ClassVar[str] = "an API key"
    challenge = 'Basic realm="gateway", charset="UTF-8"'
    # Not Authorization as such: a bearer token may be the backend's business.
    hides: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()

    def __init__(self, verifier: KeyVerifier) -> None:
        self._verifier = verifier

    def find(self, environ: dict[str, Any]) -> str | None:
        """See Scheme.find."""
        authorization: str | None = environ.get("HTTP_AUTHORIZATION")
        if authorization is None:
            return None
        scheme, _, credential = authorization.partition(" ")
        if scheme.lower() != "basic":
            return None
        environ["gateway.hidden"] = _AUTHORIZATION
        return credential.strip()

    def verify(self, credential: str, environ: dict[str, Any]) -> Identity:
        """See Scheme.verify."""
        return self._verifier.verify(_password(credential), self.challenge)

    def peek(self, credential: str, environ: dict[str, Any]) -> Identity:
        """See Scheme."""
        return self._verifier.peek(_password(credential), self.challenge)


def _password(credential: str) -> str:
    """What follows the first colon; empty, which is no key, for what is malformed."""
    try:
        decoded = base64.b64decode(credential, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return decoded.partition(":")[2]


def make_schemes(settings: Settings, records: Records) -> list[Scheme]:
    """The schemes that the settings switch on, over one memory of keys."""
    known = KnownKeys(
        KeyQueries(records.database),
        size=settings.API_KEY_CACHE_SIZE,
        grace=settings.API_KEY_GRACE,
    )
    records.at_end(known.close)
    verifier = KeyVerifier(known, records.usage)
    found: list[Scheme] = []
    if settings.API_KEYS:
        found.append(ApiKey(verifier, settings.API_KEY_HEADER))
    if settings.API_KEY_BASIC:
        found.append(Basic(verifier))
    return found
