"""Finding the credential of a request, wherever the settings allow one to stand."""

from __future__ import annotations

from typing import Any

from werkzeug.sansio.http import parse_cookie

from gateway.authentication.identity import Identity
from gateway.authentication.tokens import TokenVerifier, invalid
from gateway.errors import Refusal, Unauthenticated

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Authenticator:
    """Tells who sent a request, from `Authorization: Bearer`, a bare-token header, or a cookie.

    header, cookie: their names; empty for none. They are looked at in this order, and the first
    that is there decides.
    """

    def __init__(self, verifier: TokenVerifier, header: str = "", cookie: str = "") -> None:
        self._verifier = verifier
        self._header = "HTTP_" + header.upper().replace("-", "_") if header else ""
        self._cookie = cookie

    def authenticate(self, environ: dict[str, Any]) -> Identity:
        """The request's identity. Raises Unauthenticated if it has none, or Refusal (403) for a
        cookie that another site's page sent along."""
        authorization = environ.get("HTTP_AUTHORIZATION")
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() == "bearer":
                return self._verified(token.strip())
        if self._header and (token := environ.get(self._header)):
            return self._verified(token.strip())
        if self._cookie and (token := self._from_cookie(environ)):
            return self._verified(token)
        raise Unauthenticated("This needs a token.")

    def _verified(self, token: str) -> Identity:
        if not token or " " in token or "," in token:
            raise invalid("The credential is malformed.")
        return self._verifier.verify(token)

    def _from_cookie(self, environ: dict[str, Any]) -> str | None:
        cookies = environ.get("HTTP_COOKIE")
        if not cookies or self._cookie not in cookies:
            return None
        # Werkzeug's other parse_cookie fails on what is not UTF-8. A token is ASCII anyway.
        token = parse_cookie(cookies).get(self._cookie)
        # Browsers send cookies with requests that other sites' pages make; they say so.
        if (
            token
            and environ["REQUEST_METHOD"] not in _SAFE_METHODS
            and environ.get("HTTP_SEC_FETCH_SITE") == "cross-site"
        ):
            raise Refusal(
                "A cookie does not authenticate a request from another site.",
                status=403,
                slug="cross_site",
            )
        return token or None
