"""Who asks, as the client's request shows it: what a kept answer may depend on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from gateway.urls import raw_target

if TYPE_CHECKING:
    from gateway.authentication.identity import Identity

# Schemes whose credential says nothing that their identity does not, and how it begins in
# Authorization. In other fields credentials count as they are: who checked them is not said.
_TOLD = {"jwt": "bearer", "oidc": "bearer", "introspection": "bearer", "basic": "basic"}
_AUTHORIZATION, _COOKIE = "HTTP_AUTHORIZATION", "HTTP_COOKIE"


class Requester:
    """The client's side of a request. Costs nothing until it is asked.

    credentials: the names in the environ of the fields that may hold a credential, `HTTP_COOKIE`
    among them.
    """

    __slots__ = ("_credentials", "_environ", "_identity")

    def __init__(
        self, environ: dict[str, Any], identity: Identity | None, credentials: Sequence[str]
    ) -> None:
        self._environ = environ
        self._identity = identity
        self._credentials = credentials

    @property
    def origin(self) -> str:
        """The scheme and host that the client used, in lower case, without a usual port."""
        edge = self._environ["gateway.edge"]
        host: str = edge.host.lower()
        usual = ":443" if edge.scheme == "https" else ":80"
        return f"{edge.scheme}://{host.removesuffix(usual)}"

    @property
    def target(self) -> tuple[str, str | None]:
        """The path and query as the client sent them, before a prefix is stripped."""
        return raw_target(self._environ)

    def caller(self, cookies: Collection[str] | None = None) -> str:
        """A text that is the same for the same caller, and for no other; empty for one of whom
        nothing is known. Secret: only to be hashed. cookies: those that say who asks; None: all.

        Of a caller whose credential in Authorization was checked it has all that the credential
        says, and all other credentials as they are: a backend may tell callers apart by them.
        """
        environ, identity = self._environ, self._identity
        checked = _TOLD.get(identity.scheme, "") if identity is not None else ""
        found = []
        for name in self._credentials:
            value = environ.get(name)
            if value is None:
                continue
            if checked and name == _AUTHORIZATION and value.partition(" ")[0].lower() == checked:
                continue
            if name == _COOKIE and cookies is not None:
                value = _chosen(value, cookies)
            if value:
                found.append(f"{name}={value}")
        if identity is not None:
            found.append(identity.meaning)
        return repr(found) if found else ""


def _chosen(value: str, names: Collection[str]) -> str:
    """The cookies with these names, in the order sent."""
    pairs = (pair.strip() for pair in value.replace(",", ";").split(";"))
    return ";".join(pair for pair in pairs if pair.partition("=")[0].strip() in names)
