"""Who asks, as the client's request shows it: what a kept answer may depend on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from gateway.forwarded import CALLERS, PLACES
from gateway.headers import environ_name
from gateway.urls import folded, raw_target

if TYPE_CHECKING:
    from gateway.authentication.identity import Identity

# Schemes whose credential says nothing that their identity does not, and how it begins in
# Authorization. In other fields credentials count as they are: who checked them is not said. So do
# opaque tokens: their server may tell a backend more of them than the gateway (RFC 7662, 2.2).
_TOLD = {"jwt": "bearer", "oidc": "bearer", "basic": "basic"}
_AUTHORIZATION, _COOKIE = "HTTP_AUTHORIZATION", "HTTP_COOKIE"
# What trusted proxies say, and backends are told: who asks, and by which URL.
_CALLERS = tuple(sorted(map(environ_name, CALLERS)))
_PLACES = tuple(sorted(map(environ_name, PLACES | {"x-forwarded-prefix", "x-forwarded-port"})))
# Parts of `Forwarded` that are the client's own or a proxy's, and no part of a URL.
_NODES = ("for=", "by=")


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
    def identity(self) -> Identity | None:
        """Who asks; None where nobody was asked who it is."""
        return self._identity

    @property
    def address(self) -> str:
        """The client's address, as trusted proxies tell it."""
        told: str = self._environ["gateway.edge"].address
        return told

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The values of the route's variables, such as `{"order_id": 7}`; empty where a service
        forwards by itself."""
        routed = self._environ.get("werkzeug.request")  # not there before Flask has the request
        values: Mapping[str, Any] = getattr(routed, "view_args", None) or {}
        return {name: value for name, value in values.items() if name != "_rest"}

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

    @property
    def way(self) -> str:
        """What trusted proxies say of the client's URL beside its scheme and host, such as
        `X-Forwarded-Prefix`, and their own `Host`, which a backend may get, where the client's is
        another one; empty where they say nothing. Clients may be able to write it."""
        environ = self._environ
        edge = environ["gateway.edge"]
        if not edge.trusted:
            return ""
        found = [f"{name}={_place(environ[name])}" for name in _PLACES if name in environ]
        own = environ.get("HTTP_HOST", "")
        if own != edge.host:
            found.append(f"HTTP_HOST={own.lower()}")
        return repr(found) if found else ""

    def caller(self, cookies: Collection[str] | None = None) -> str:
        """A text that is the same for the same caller, and for no other; empty for one of whom
        nothing is known. Secret: only to be hashed. cookies: those that say who asks; None: all.

        Of a caller whose credential in Authorization was checked it has all that the credential
        says, and all other credentials as they are: a backend may tell callers apart by them.
        Likewise what a trusted proxy says of the caller.
        """
        environ, identity = self._environ, self._identity
        checked = _TOLD.get(identity.scheme, "") if identity is not None else ""
        found = []
        names = self._credentials
        if environ["gateway.edge"].trusted and (told := [x for x in _CALLERS if x in environ]):
            names = tuple(dict.fromkeys((*names, *told)))
        for name in names:
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
    """The cookies with these names, in the order sent, each with all that any backend may take for
    its value: for some a comma ends it, for most it does not, and quotes may hold a semicolon."""
    known = frozenset(map(folded, names))
    found = [part.strip() for part in value.split(";") if _has_one(part, known)]
    return value if found and '"' in value else ";".join(found)


def _has_one(part: str, known: Set[str]) -> bool:
    return any(folded(pair.partition("=")[0]) in known for pair in part.split(","))


def _place(value: str) -> str:
    """What a field says of a URL."""
    if "=" not in value:
        return value
    parts = (part.strip() for part in value.replace(",", ";").split(";"))
    return ";".join(part for part in parts if not part.lower().startswith(_NODES))
