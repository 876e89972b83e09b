"""The schemes of a gateway or of one service, put together: at most one credential counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gateway.authentication.bearer import Bearer
from gateway.authentication.identity import Identity
from gateway.authentication.scheme import Scheme
from gateway.errors import Refusal, Unauthenticated, two_credentials

#: What judges a credential in place of its scheme, which it may ask; raises as Scheme.verify.
Judge = Callable[[Scheme, str, dict[str, Any]], Identity]


class Authenticator:
    """Tells who sent a request: the scheme that finds a credential judges it, nobody else.

    Two credentials in one message are refused with 400. A client certificate counts where the
    message has none, and a scheme that judges the request as a whole where there is neither.
    """

    def __init__(self, schemes: Sequence[Scheme]) -> None:
        self.schemes = tuple(schemes)
        self._told = tuple(s for s in schemes if s.carried == "message")
        self._ambient = tuple(s for s in schemes if s.carried == "connection")
        self._asking = tuple(s for s in schemes if s.carried == "request")
        self._challenges = tuple(dict.fromkeys(s.challenge for s in schemes if s.challenge))
        self._needs = " or ".join(dict.fromkeys(s.needs for s in schemes))
        bearer = any(isinstance(scheme, Bearer) for scheme in schemes)
        self._slug = "missing_token" if bearer else "missing_credential"

    @property
    def names(self) -> frozenset[str]:
        """What its schemes are called, and the authorities of its tokens."""
        found = {scheme.name for scheme in self.schemes}
        for scheme in self.schemes:
            if isinstance(scheme, Bearer):
                found |= {authority.name for authority in scheme.authorities}
        return frozenset(found)

    def narrowed(self, accepted: Iterable[str | Scheme]) -> Authenticator:
        """Those of its schemes that are named, and the further ones."""
        accepted = tuple(accepted)
        names = frozenset(one for one in accepted if isinstance(one, str))
        kept: list[Scheme] = []
        for scheme in self.schemes:
            if isinstance(scheme, Bearer):
                if (bearer := scheme.only(names)) is not None:
                    kept.append(bearer)
            elif scheme.name in names:
                kept.append(scheme)
        return Authenticator([*kept, *(one for one in accepted if not isinstance(one, str))])

    def authenticate(
        self, environ: dict[str, Any], *, needed: bool = True, judge: Judge | None = None
    ) -> Identity:
        """The request's identity. needed: False where an anonymous request would do; then only a
        credential is judged, not the request as a whole. judge: in place of the schemes.

        Raises Unauthenticated if it has none or a bad one, another Refusal where that is told, and
        AuthorityUnavailable when nobody can say.
        """
        found: tuple[Scheme, str] | None = None
        for scheme in self._told:
            credential = scheme.find(environ)
            if credential is not None:
                if found is not None:
                    raise two_credentials()
                found = scheme, credential
        if found is None:
            found = self._first(self._ambient, environ)
        if found is None and needed:
            found = self._first(self._asking, environ)
        if found is None:
            raise Unauthenticated(
                f"This needs {self._needs or 'a credential'}.",
                slug=self._slug,
                challenges=self._challenges,
            )
        try:
            if judge is not None:
                return judge(*found, environ)
            return found[0].verify(found[1], environ)
        except Refusal as refusal:
            refusal.scheme = refusal.scheme or found[0].name
            raise

    def _first(
        self, schemes: Sequence[Scheme], environ: dict[str, Any]
    ) -> tuple[Scheme, str] | None:
        for scheme in schemes:
            credential = scheme.find(environ)
            if credential is not None:
                return scheme, credential
        return None
