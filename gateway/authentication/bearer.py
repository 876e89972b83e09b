"""Bearer tokens: where they stand in a request, and which authority is to judge one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from werkzeug.sansio.http import parse_cookie

from gateway.authentication.identity import Identity
from gateway.authentication.scheme import Carried, NotAsked
from gateway.authentication.tokens import invalid, unverified_claims
from gateway.errors import Refusal, two_credentials
from gateway.headers import environ_name

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class TokenAuthority(Protocol):
    """Whoever can tell what a token is worth. name: what services and identities call it. It may
    have a method `peek(token)`, see Scheme."""

    name: str

    def recognises(self, token: str, claims: Mapping[str, Any] | None) -> bool:
        """Whether the token is this authority's to judge. claims: what it says of itself, not
        verified; None if it is no JSON Web Token."""
        ...

    def verify(self, token: str) -> Identity:
        """Who the token proves. Raises Unauthenticated or AuthorityUnavailable."""
        ...


class Bearer:
    """Tokens in `Authorization: Bearer`, in a header of their own, or in a cookie.

    header, cookie: their names; empty for none. A token in two places is refused with 400 (RFC
    6750 section 2). The first of `authorities` that recognises a token judges it.
    """

    name = "bearer"
    carried: ClassVar[Carried] = "message"
    needs: ClassVar[str] = "a token"
    challenge = 'Bearer realm="gateway"'
    writes: frozenset[str] = frozenset()

    def __init__(
        self, authorities: Sequence[TokenAuthority], header: str = "", cookie: str = ""
    ) -> None:
        self.authorities = tuple(authorities)
        self._lone = self.authorities[0] if len(self.authorities) == 1 else None
        self._names = (header, cookie)
        self._header = environ_name(header) if header else ""
        self._cookie = cookie
        # A backend may want the token itself: Service(hide_credentials=) decides.
        self.hides: frozenset[str] = frozenset()

    def only(self, names: frozenset[str]) -> Bearer | None:
        """The same with those authorities alone that are named; None if there is none."""
        if self.name in names:
            return self
        kept = [authority for authority in self.authorities if authority.name in names]
        return Bearer(kept, *self._names) if kept else None

    def find(self, environ: dict[str, Any]) -> str | None:
        """See Scheme.find. Raises Refusal for two tokens (400), and for a cookie that another
        site's page sent along (403)."""
        found: str | None = None
        authorization = environ.get("HTTP_AUTHORIZATION")
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() == "bearer":
                found = token.strip()
        if self._header and (token := environ.get(self._header)):
            if found is not None:
                raise two_credentials()
            found = token.strip()
        if self._cookie and (token := self._from_cookie(environ)):
            if found is not None:
                raise two_credentials()
            self._check_site(environ)
            found = token
        return found

    def verify(self, credential: str, environ: dict[str, Any]) -> Identity:
        """See Scheme.verify."""
        return self._authority(credential).verify(credential)

    def peek(self, credential: str, environ: dict[str, Any]) -> Identity:
        """See Scheme."""
        authority = self._authority(credential)
        peek: Callable[[str], Identity] | None = getattr(authority, "peek", None)
        if peek is None:
            raise NotAsked(authority.name)
        return peek(credential)

    def _authority(self, credential: str) -> TokenAuthority:
        """Who judges a token. Raises Unauthenticated where nobody does."""
        if not credential or " " in credential or "," in credential:
            raise invalid("The credential is malformed.")
        if self._lone is not None:
            return self._lone
        claims = unverified_claims(credential)
        for authority in self.authorities:
            if authority.recognises(credential, claims):
                return authority
        raise invalid()

    def _from_cookie(self, environ: dict[str, Any]) -> str | None:
        cookies = environ.get("HTTP_COOKIE")
        if not cookies or self._cookie not in cookies:
            return None
        # Werkzeug's other parse_cookie fails on what is not UTF-8. A token is ASCII anyway.
        return parse_cookie(cookies).get(self._cookie) or None

    def _check_site(self, environ: dict[str, Any]) -> None:
        # Browsers send cookies with requests that other sites' pages make; they say so.
        if (
            environ["REQUEST_METHOD"] not in _SAFE_METHODS
            and environ.get("HTTP_SEC_FETCH_SITE") == "cross-site"
        ):
            raise Refusal(
                "A cookie does not authenticate a request from another site.",
                status=403,
                slug="cross_site",
            )
