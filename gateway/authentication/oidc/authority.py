"""The authority `oidc`: judges the tokens of the issuers that OIDC_ISSUERS lists."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from gateway.authentication.identity import Identity
from gateway.authentication.oidc.claims import check_claims, check_type, identity_of
from gateway.authentication.oidc.discovery import KeySource
from gateway.authentication.oidc.entry import key_of
from gateway.authentication.oidc.issuer import Issuer, other_names, parse_issuers
from gateway.authentication.oidc.key_document import ALGORITHMS, LONGEST_KID, PublicKey
from gateway.authentication.oidc.keys import IssuerKeys
from gateway.authentication.remembered import VerifiedTokens
from gateway.authentication.strict_json import strict_object
from gateway.authentication.tokens import MAX_TOKEN, check_parts, invalid, unverified_claims
from gateway.pulse import Pulse
from gateway.state import SharedState
from settings import Settings

_SIGNATURES = jwt.PyJWS()


@dataclass(frozen=True, slots=True)
class Trusted:
    """An issuer with its keys. others: how subjects of other issuers begin."""

    issuer: Issuer
    keys: IssuerKeys
    others: tuple[str, ...] = ()


class OidcAuthority:
    """Turns a token of one of its issuers into an Identity, or raises Unauthenticated with the
    reason; AuthorityUnavailable where an issuer's keys cannot be had.

    Verified tokens are remembered by this worker, at most `cache_size` of them (0: none), for at
    most five minutes, never past their `exp`, and until a key leaves. leeway: seconds forgiven in
    times. clock: seconds since the epoch. `trust` makes an issuer's keys; it is handed what to
    call when one of them leaves.
    """

    name = "oidc"

    def __init__(
        self,
        issuers: Sequence[Issuer],
        trust: Callable[[Issuer, Callable[[], None]], IssuerKeys],
        *,
        leeway: float = 30,
        cache_size: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._leeway = leeway
        self._clock = clock
        self._verified = VerifiedTokens(cache_size, clock)
        self._trusted = {
            issuer.url: Trusted(
                issuer, trust(issuer, self._verified.forget), other_names(issuer, issuers)
            )
            for issuer in issuers
        }

    def recognises(self, token: str, claims: Mapping[str, Any] | None) -> bool:
        """See TokenAuthority.recognises."""
        return self._issuer_of(claims) is not None

    def verify(self, token: str) -> Identity:
        """See TokenAuthority.verify."""
        known = self._verified.get(token)
        if known is not None:
            return known
        turn = self._verified.turn
        identity = self._judged(token)
        self._verified.keep(token, identity, turn)
        return identity

    def peek(self, token: str) -> Identity:
        """See Scheme."""
        return self._judged(token, peek=True)

    def look(self) -> None:
        """See to the keys of all issuers; called at every beat."""
        for trusted in self._trusted.values():
            trusted.keys.look()

    def _issuer_of(self, claims: Mapping[str, Any] | None) -> Trusted | None:
        url = claims.get("iss") if claims is not None else None
        return self._trusted.get(url) if isinstance(url, str) else None

    def _judged(self, token: str, *, peek: bool = False) -> Identity:
        if len(token) > MAX_TOKEN:
            raise invalid("The token is too long.")
        trusted = self._issuer_of(unverified_claims(token))
        if trusted is None:
            raise invalid()
        try:
            header = check_parts(token)
        except (ValueError, RecursionError):
            raise invalid() from None
        typ = check_type(header)
        algorithm, kid = _named(header)
        keys = trusted.keys
        for key in (keys.peek if peek else keys.candidates)(kid, algorithm):
            claims = _signed(token, key, algorithm)
            if claims is not None:
                check_claims(claims, trusted.issuer, typ, self._clock(), self._leeway)
                return identity_of(claims, trusted.issuer, trusted.others)
        raise invalid()


def _named(header: Mapping[str, Any]) -> tuple[str, str | None]:
    """The algorithm and the key that a token names. Nothing else in its header is ever used: not
    `jwk`, `jku`, `x5u`, `x5c`."""
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise invalid()
    if "kid" in header and not (isinstance(kid, str) and 0 < len(kid) <= LONGEST_KID):
        raise invalid()
    return algorithm, kid


def _signed(token: str, key: PublicKey, algorithm: str) -> dict[str, Any] | None:
    """The claims of a token that this key signed; None if it did not."""
    try:
        whole = _SIGNATURES.decode_complete(token, key.material, algorithms=[algorithm])
        return strict_object(whole["payload"])
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        return None


def make_authority(settings: Settings, state: SharedState, pulse: Pulse) -> OidcAuthority:
    """The authority that the settings ask for; it sees to its keys at every beat."""
    issuers, _ = parse_issuers(settings.OIDC_ISSUERS)

    def trust(issuer: Issuer, gone: Callable[[], None]) -> IssuerKeys:
        source = KeySource(issuer, settings.UPSTREAM_CA_FILE)
        return IssuerKeys(issuer.url, key_of(issuer), source, state, gone=gone)

    authority = OidcAuthority(
        issuers, trust, leeway=settings.JWT_LEEWAY, cache_size=settings.JWT_CACHE_SIZE
    )
    pulse.at_beat(authority.look, urgent=False)
    return authority
