"""What a token of an issuer must claim, and who it proves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gateway.authentication.identity import Identity
from gateway.authentication.oidc.issuer import Issuer
from gateway.authentication.tokens import check_unbound, invalid, scopes, subject_of, words

Claims = Mapping[str, Any]

#: Header types of access and ID tokens (RFC 7519 section 5.1, RFC 9068 section 2.1); a token of
#: any other, such as `logout+jwt`, is something else.
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
#: Where a token names the client that it was issued to: RFC 9068 and Cognito, OpenID Connect, Okta,
#: Entra ID.
_CLIENT = ("client_id", "azp", "cid", "appid")
#: What Keycloak calls them in the claim `typ`.
_KEYCLOAK = {"Bearer": "access", "ID": "id", "Refresh": "other", "Offline": "other"}
_KEYCLOAK_CLIENT = "service-account-"


def check_type(header: Claims) -> str:
    """What the header says that a token is: `access`, or nothing. Raises Unauthenticated for what
    is no token of this kind."""
    if "crit" in header or "b64" in header:  # nothing of that is understood here
        raise invalid()
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower() not in _TYPES:
        raise invalid("The token is of a type that is not accepted here.")
    return "access" if typ.lower() != "jwt" else ""


def check_claims(claims: Claims, issuer: Issuer, typ: str, now: float, leeway: float) -> None:
    """Raise Unauthenticated, with the reason, for a token that does not hold now or not here.

    typ: what its header says that it is. now: seconds since the epoch. leeway: seconds forgiven.
    """
    if claims.get("iss") != issuer.url:
        raise invalid()
    _check_times(claims, now, leeway)
    check_unbound(claims)
    use = _check_use(claims, issuer, typ)
    if issuer.audiences and not issuer.audiences & _audiences(claims):
        raise invalid("The token is for another audience.")
    if issuer.client_ids:
        _check_client(claims, issuer, use)


def _check_times(claims: Claims, now: float, leeway: float) -> None:
    if _time(claims, "exp") + leeway <= now:
        raise invalid("The token has expired.", slug="token_expired")
    for name in ("nbf", "iat"):
        if name in claims and _time(claims, name) > now + leeway:
            raise invalid("The token does not hold yet.")


def _time(claims: Claims, name: str) -> int | float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"The token's {name} is not a number.")
    if isinstance(value, float) and not math.isfinite(value):
        raise invalid(f"The token's {name} is not a number.")
    return value


def _check_use(claims: Claims, issuer: Issuer, typ: str) -> str:
    """What the token says it is: `access`, `id`, or nothing."""
    use = claims.get("token_use")
    if use is None:
        said = claims.get("typ")
        use = _KEYCLOAK.get(said, typ) if isinstance(said, str) else typ
    if "events" in claims:  # RFC 8417: it tells of something, such as a logout
        use = "other"
    if not isinstance(use, str) or use not in (issuer.token_use or ("access", "")):
        raise invalid("The token is of a use that is not accepted here.")
    return use


def _audiences(claims: Claims) -> frozenset[str]:
    value = claims.get("aud")
    several = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in several):
        return frozenset()
    return frozenset(several)


def _check_client(claims: Claims, issuer: Issuer, use: str) -> None:
    found = _clients(claims)
    if not found and use == "id":  # its audience is the client (OpenID Connect Core section 2)
        found = list(_audiences(claims) & issuer.client_ids)
    if not found or not all(isinstance(one, str) and one in issuer.client_ids for one in found):
        raise invalid("The token was issued to another client.")


def _clients(claims: Claims) -> list[Any]:
    return [claims[name] for name in _CLIENT if name in claims]


def identity_of(claims: Claims, issuer: Issuer, others: tuple[str, ...] = ()) -> Identity:
    """Who a token proves. others: how subjects of other issuers begin, which it must not name.

    Raises Unauthenticated for claims that are not what they should be.
    """
    subject = subject_of(_at(claims, issuer.subject))
    if others and subject.startswith(others):
        raise invalid("The token's subject is not this issuer's.")
    granted = scopes(claims)
    plan = _at(claims, issuer.plan)
    try:
        return Identity(
            f"{issuer.name}:{subject}" if issuer.name else subject,
            kind="client" if _is_client(claims) else "user",
            roles=_words(claims, issuer.roles, "roles"),
            permissions=tuple(
                dict.fromkeys((*_words(claims, issuer.permissions, "permissions"), *granted))
            ),
            scopes=granted,
            plan=plan if isinstance(plan, str) else "",
            claims=claims,
            scheme="oidc",
        )
    except UnicodeEncodeError:  # half a surrogate pair
        raise invalid("The token's claims are not valid text.") from None


def _is_client(claims: Claims) -> bool:
    """Whether a program has it for itself, by what the usual issuers say then: a subject that is
    the client (RFC 9068 section 2.2, Cognito, Okta), `gty` (Auth0), `idtyp` (Entra ID), or the
    name of a service account (Keycloak)."""
    subject = claims.get("sub")
    clients = _clients(claims)
    return (
        subject in clients
        or claims.get("gty") == "client-credentials"
        or claims.get("idtyp") == "app"
        or any(
            isinstance(one, str)
            and claims.get("preferred_username") == _KEYCLOAK_CLIENT + one.lower()
            for one in clients
        )
    )


def _words(claims: Claims, paths: tuple[str, ...], what: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for path in paths:
        found.update(dict.fromkeys(words({what: _at(claims, path)}, what)))
    return tuple(found)


def _at(claims: Any, path: str) -> Any:
    """What stands at a path: names parted by dots, which may have dots themselves. None where
    nothing does."""
    if not isinstance(claims, Mapping):
        return None
    if path in claims:
        return claims[path]
    dot = path.find(".")
    while dot > 0:
        if path[:dot] in claims and (found := _at(claims[path[:dot]], path[dot + 1 :])) is not None:
            return found
        dot = path.find(".", dot + 1)
    return None
