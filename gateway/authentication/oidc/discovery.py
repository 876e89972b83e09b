"""Asking an issuer for its keys (OpenID Connect Discovery 1.0 section 4, RFC 7517)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gateway.authentication.oidc.issuer import Issuer
from gateway.authentication.oidc.key_document import Jwk, read_document
from gateway.authentication.strict_json import strict_object
from gateway.transport.calls import Caller, CallFailed, Server

#: Seconds for both documents together.
TIMEOUT = 1.5
#: Bytes of each of them.
LARGEST = 256 * 1024
WELL_KNOWN = "/.well-known/openid-configuration"

_ACCEPT = (("Accept", "application/json, application/jwk-set+json"),)


class FetchFailed(Exception):
    """The keys could not be had. The text is for the log."""


class KeySource:
    """Fetches the keys of one issuer: the discovery document tells where, unless the issuer has a
    `jwks_uri`. No redirect is followed, and nothing is connected before it is called.

    ca_file: authorities trusted for https, empty for certifi's.
    """

    def __init__(
        self,
        issuer: Issuer,
        ca_file: str = "",
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer = issuer
        self._ca_file = ca_file
        self._monotonic = monotonic

    def __call__(self) -> tuple[tuple[Jwk, ...], int]:
        """The keys, and how many more there are that cannot be used. Raises FetchFailed, also
        where there is no key that can."""
        end = self._monotonic() + TIMEOUT
        uri = self.issuer.jwks_uri or self._discover(end)
        body = self._get(uri, end)
        try:
            keys, others = read_document(body)
        except ValueError as error:
            raise FetchFailed(f"the key document {_told(error)}") from None
        if not keys:
            raise FetchFailed(f"none of the {others} keys can be used")
        return keys, others

    def _discover(self, end: float) -> str:
        body = self._get(self.issuer.url.rstrip("/") + WELL_KNOWN, end)
        try:
            document = strict_object(body)
        except (ValueError, RecursionError):
            raise FetchFailed("the discovery document is no JSON object") from None
        if document.get("issuer") != self.issuer.url:
            raise FetchFailed(f"the discovery document is of {_short(document.get('issuer'))}")
        uri = document.get("jwks_uri")
        if not isinstance(uri, str):
            raise FetchFailed("the discovery document has no jwks_uri")
        if self.issuer.url.startswith("https:") and not uri.startswith("https:"):
            raise FetchFailed("the discovery document has a jwks_uri without TLS")
        return uri

    def _get(self, url: str, end: float) -> bytes:
        try:
            origin, target = self.issuer.address(url)
        except ValueError as error:
            raise FetchFailed(f"{_short(url)} {error}") from None
        caller = Caller(Server(origin), _ACCEPT, ca_file=self._ca_file, largest=LARGEST)
        left = end - self._monotonic()
        if left <= 0:
            raise FetchFailed(f"{origin.authority} was not asked: there was no time left")
        try:
            answer = caller.call("GET", target, seconds=left)
        except CallFailed as error:
            raise FetchFailed(str(error)) from None
        if answer.status != 200:
            raise FetchFailed(f"{origin.authority} answers {answer.status}")
        return answer.body


def _told(error: ValueError) -> str:
    # What json says of a text shows some of it.
    return "is no JSON" if hasattr(error, "doc") or isinstance(error, UnicodeError) else str(error)


def _short(value: Any) -> str:
    return repr(value)[:200]
