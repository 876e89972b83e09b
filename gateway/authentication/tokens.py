"""Verifying JSON Web Tokens, and remembering the verdict until they expire."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import orjson
from jwt.utils import base64url_decode

from gateway.authentication.identity import Identity
from gateway.authentication.keys import KeySet
from gateway.authentication.remembered import VerifiedTokens
from gateway.authentication.strict_json import strict_object
from gateway.errors import Unauthenticated

MAX_TOKEN = 8192


class TokenVerifier:
    """Turns a token into an Identity, or raises Unauthenticated with the reason.

    The authority `jwt`: it judges every JSON Web Token that none before it took.

    Verified tokens are remembered by this worker, at most `cache_size` of them, for at most five
    minutes and never past their `exp`. 0 remembers none. `clock` gives seconds since the epoch.
    """

    name = "jwt"

    def __init__(
        self,
        keys: KeySet,
        *,
        issuer: str = "",
        audience: str = "",
        leeway: float = 30,
        cache_size: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer or None
        self._audience = audience or None
        self._leeway = leeway
        self._verified = VerifiedTokens(cache_size, clock)

    def recognises(self, token: str, claims: Mapping[str, Any] | None) -> bool:
        """See TokenAuthority.recognises."""
        return claims is not None

    def verify(self, token: str) -> Identity:
        """The identity a token proves. Raises Unauthenticated: expired and invalid told apart."""
        known = self._verified.get(token)
        if known is not None:
            return known
        identity = _identity(self._decode(token))
        self._verified.keep(token, identity, self._verified.turn)
        return identity

    peek = verify  # it asks nobody

    def _decode(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN:
            raise invalid("The token is too long.")
        try:
            header = jwt.get_unverified_header(token)
            check_parts(token)
            for key in self._keys.candidates(header):
                try:
                    return self._checked(token, key.material, key.algorithm)
                except jwt.InvalidSignatureError:
                    continue
        except jwt.ExpiredSignatureError:
            raise invalid("The token has expired.", slug="token_expired") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise invalid() from None
        raise invalid()

    def _checked(self, token: str, material: Any, algorithm: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            material,
            algorithms=[algorithm],
            issuer=self._issuer,
            audience=self._audience,
            leeway=self._leeway,
            options={
                "require": ["exp"],
                "verify_aud": self._audience is not None,
                "verify_iss": self._issuer is not None,
                "verify_sub": False,
            },
        )
        return claims


def invalid(
    detail: str = "The token is not valid.", slug: str = "token_invalid"
) -> Unauthenticated:
    """The refusal of a token that was presented (RFC 6750 section 3.1)."""
    return Unauthenticated(detail, slug=slug, error="invalid_token")


def unverified_claims(token: str) -> Mapping[str, Any] | None:
    """What a JSON Web Token says of itself, proved by nothing; None if it is none."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MAX_TOKEN:
        return None
    try:
        header, claims = (orjson.loads(base64url_decode(part)) for part in parts[:2])
    except ValueError:
        return None
    return claims if isinstance(header, dict) and isinstance(claims, dict) else None


def check_parts(token: str) -> dict[str, Any]:
    """The header of a token whose header and claims have one meaning only. ValueError if not."""
    header, claims, _ = token.split(".")
    strict_object(base64url_decode(claims))
    return strict_object(base64url_decode(header))


def _identity(claims: Mapping[str, Any]) -> Identity:
    subject = subject_of(claims.get("sub", claims.get("user_id")))
    if isinstance(claims["exp"], bool) or not isinstance(claims["exp"], int | float):
        raise invalid("The token's exp is not a number.")
    check_unbound(claims)
    granted = scopes(claims)
    permissions = (*words(claims, "permissions"), *granted)
    plan = claims.get("plan")
    try:
        return Identity(
            subject,
            roles=words(claims, "roles"),
            permissions=tuple(dict.fromkeys(permissions)),
            scopes=granted,
            plan=plan if isinstance(plan, str) else "",
            claims=claims,
            scheme="jwt",
        )
    except UnicodeEncodeError:  # half a surrogate pair
        raise invalid("The token's claims are not valid text.") from None


def subject_of(value: object) -> str:
    """Whom a claim names: text, or a number. Raises Unauthenticated for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise invalid("The token names no subject.")
    return str(value)


def check_unbound(claims: Mapping[str, Any]) -> None:
    """Raise Unauthenticated for a token that holds only together with a key of its bearer's, who
    would have to prove that he has it (RFC 7800, RFC 9449 section 7.1)."""
    if "cnf" in claims:
        raise invalid("The token is bound to a key, so it does not hold as a bearer token.")


def words(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A claim that is a list of words, or one word; none where it is missing."""
    value = claims.get(name) or []
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise invalid(f"The token's {name} are not a list of words.")
    return tuple(value)


def scopes(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """`scope` is words parted by spaces (RFC 8693 section 4.2); some issuers send a list."""
    value = claims.get("scope", claims.get("scp")) or []
    if isinstance(value, str):
        return tuple(value.split())
    return words({"scope": value}, "scope")
