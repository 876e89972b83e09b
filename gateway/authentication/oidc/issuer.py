"""The issuers whose tokens are believed, as OIDC_ISSUERS lists them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gateway.urls import Origin

#: Where roles are looked for; all that is found counts.
ROLES = ("roles", "cognito:groups", "realm_access.roles")
PERMISSIONS = ("permissions",)
USES = frozenset({"access", "id"})

_NAME = re.compile(r"[A-Za-z0-9._\-]{1,64}")
_TARGET = re.compile(r"/[!\"$-;=?-~]*|")


@dataclass(frozen=True, slots=True)
class Issuer:
    """A server whose tokens are believed.

    url: its `iss`, to the letter. name: put before its subjects, as in `acme:42`; empty for none.
    audiences: of which a token must name one in `aud`; empty: `aud` is not looked at.
    client_ids: of which a token must name its own; empty: any client. token_use: `access`, `id`
    or both, what a token must say it is; empty: it must not say that it is anything but `access`.
    jwks_uri: where its keys are; empty: discovery tells. subject, roles, permissions, plan: the
    claims that tell those, as paths such as `realm_access.roles`; several are put together, and
    none where there is none. plain_http: whether its keys may be fetched without TLS.
    """

    url: str
    name: str = ""
    audiences: frozenset[str] = frozenset()
    client_ids: frozenset[str] = frozenset()
    token_use: frozenset[str] = frozenset()
    jwks_uri: str = ""
    subject: str = "sub"
    roles: tuple[str, ...] = ROLES
    permissions: tuple[str, ...] = PERMISSIONS
    plan: str = "plan"
    plain_http: bool = False

    def address(self, url: str) -> tuple[Origin, str]:
        """Where a URL of this issuer's leads, and the request target there. ValueError for one
        that is malformed, or not https where it has to be."""
        return split_url(url, plain_http=self.plain_http)


def split_url(url: str, *, plain_http: bool = False) -> tuple[Origin, str]:
    """The origin and the request target of a URL. Plain http is for this machine alone, unless
    `plain_http`. Raises ValueError."""
    scheme, mark, rest = url.partition("://")
    cut = min((rest.find(c) for c in "/?#" if c in rest), default=len(rest))
    origin = Origin.parse(scheme + mark + rest[:cut])
    target = rest[cut:]
    if not _TARGET.fullmatch(target if target.startswith("/") else f"/{target}"):
        raise ValueError("has a path that is none")
    if scheme == "http" and not (plain_http or _loopback(origin.host)):
        raise ValueError("must be https, or have ;plain_http=true")
    return origin, target if target.startswith("/") else f"/{target}"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_issuers(text: str) -> tuple[tuple[Issuer, ...], list[str]]:
    """Read OIDC_ISSUERS. Returns the issuers that can be used, and every fault found."""
    issuers: list[Issuer] = []
    faults: list[str] = []
    for number, part in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        try:
            issuers.append(parse_issuer(part))
        except ValueError as error:
            faults.append(f"OIDC_ISSUERS entry {number} {error}")
    if text and not issuers and not faults:
        faults.append("OIDC_ISSUERS names no issuer")
    urls = [issuer.url for issuer in issuers]
    twice = sorted({url for url in urls if urls.count(url) > 1})
    faults += [f"OIDC_ISSUERS has {url!r} twice" for url in twice]
    if sum(not issuer.name for issuer in issuers) > 1:
        faults.append(
            "OIDC_ISSUERS has several issuers without ;name=, whose subjects could not be told"
            " apart: give a name to all but one"
        )
    return tuple(issuers), faults


def parse_issuer(text: str) -> Issuer:
    """Read `https://issuer;audience=a|b;...`. ValueError says what is wrong with it."""
    url, *parts = (part.strip() for part in text.split(";"))
    options: dict[str, Any] = {}
    for part in parts:
        name, mark, value = (piece.strip() for piece in part.partition("="))
        if name not in _OPTIONS or not mark:
            shown = f"{name!r}" if name.isidentifier() else "one"  # it may be half a secret
            raise ValueError(f"has an option that there is not: {shown}")
        field, read = _OPTIONS[name]
        if field in options:
            raise ValueError(f"has {name}= twice")
        try:
            options[field] = read(value)
        except ValueError as error:
            raise ValueError(f"has a {name}= that {error}") from None
    return _checked(url, options)


def _checked(url: str, options: dict[str, Any]) -> Issuer:
    parsed = urlsplit(url)
    if parsed.query or parsed.fragment or "?" in url or "#" in url:
        raise ValueError("must be a URL without query and fragment")
    plain_http = options.get("plain_http", False)
    split_url(url, plain_http=plain_http)
    if jwks_uri := options.get("jwks_uri"):
        try:
            split_url(jwks_uri, plain_http=plain_http)
        except ValueError as error:
            raise ValueError(f"has a jwks_uri= that {error}") from None
    if not options.get("audiences") and not options.get("client_ids"):
        raise ValueError("needs ;audience= or ;client_id= (;audience=* is any audience)")
    audiences = options.get("audiences", frozenset())
    if "*" in audiences:
        if len(audiences) > 1:
            raise ValueError("has an audience= of * and others")
        options["audiences"] = frozenset()
    return Issuer(url, **options)


def _listed(value: str) -> tuple[str, ...]:
    """Words parted by bars; empty for none."""
    return tuple(filter(None, (word.strip() for word in value.split("|"))))


def _some(value: str) -> frozenset[str]:
    words = frozenset(_listed(value))
    if not words:
        raise ValueError("is empty")
    return words


def _uses(value: str) -> frozenset[str]:
    words = _some(value)
    if not words <= USES:
        raise ValueError("is not access, id or access|id")
    return words


def _text(value: str) -> str:
    if not value:
        raise ValueError("is empty")
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("is not 1 to 64 letters, digits, dots, hyphens and underscores")
    return value


def _truth(value: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError("is not true or false")
    return value == "true"


_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "name": ("name", _name),
    "audience": ("audiences", _some),
    "client_id": ("client_ids", _some),
    "token_use": ("token_use", _uses),
    "jwks_uri": ("jwks_uri", _text),
    "subject": ("subject", _text),
    "roles": ("roles", _listed),
    "permissions": ("permissions", _listed),
    "plan": ("plan", str),
    "plain_http": ("plain_http", _truth),
}


def other_names(issuer: Issuer, issuers: Sequence[Issuer]) -> tuple[str, ...]:
    """How subjects of others begin: one without a name must not name such."""
    if issuer.name:
        return ()
    return tuple(f"{other.name}:" for other in issuers if other.name)
