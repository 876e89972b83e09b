"""The key document of an issuer (JWK Set, RFC 7517): which of its keys are used, and for what.

Only public keys for signatures are. Each is pinned to the algorithms of its own kind, so that a
token can choose none of another one (RFC 8725 section 3.1).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import jwt
import orjson
from cryptography.exceptions import UnsupportedAlgorithm

#: Public members of a key alone, which all are text; what is shared and remembered.
Jwk = dict[str, str]

#: Bytes of all keys of an issuer, as they are shared. Those beyond are passed over.
LARGEST_SET = 32 * 1024
#: Characters of a key's name.
LONGEST_KID = 256

_RSA_BITS = range(2048, 8192 + 1)
_LARGEST_EXPONENT = 2**32  # a larger one makes each signature dear to check
_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_RSA = frozenset(f"{family}{bits}" for family in ("RS", "PS") for bits in (256, 384, 512))
_BY_CURVE = {
    ("EC", "P-256"): "ES256",
    ("EC", "P-384"): "ES384",
    ("EC", "P-521"): "ES512",
    ("OKP", "Ed25519"): "EdDSA",
    ("OKP", "Ed448"): "EdDSA",
}
#: What tokens may be signed with at all.
ALGORITHMS = _RSA | frozenset(_BY_CURVE.values())


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with. kid: empty for one without a name. algorithms: those
    that it is for; all of RSA where the document names none."""

    kid: str
    algorithms: frozenset[str]
    material: Any = field(repr=False)


class KeyRing:
    """The keys of one issuer; malformed ones are left out."""

    def __init__(self, jwks: Iterable[Jwk]) -> None:
        keys = []
        for jwk in jwks:
            try:
                keys.append(public_key(jwk))
            except ValueError:
                continue
        self.keys = tuple(keys)

    def knows(self, kid: str | None) -> bool:
        """Whether there is a key of this name; None: any that a token without one could mean."""
        return any(key.kid == kid for key in self.keys) if kid else bool(self.keys)

    def candidates(self, kid: str | None, algorithm: str) -> tuple[PublicKey, ...]:
        """The keys that may have signed a token: those of its name, of which there may be several
        for different algorithms; without one, those that have none, or else the only one."""
        fit = [key for key in self.keys if algorithm in key.algorithms]
        if kid is not None:
            return tuple(key for key in fit if key.kid == kid)
        unnamed = tuple(key for key in fit if not key.kid)
        return unnamed or (tuple(fit) if len(fit) == 1 else ())


def read_document(body: bytes) -> tuple[tuple[Jwk, ...], int]:
    """The usable keys of a key document, and how many others there are. ValueError if it is none.

    A key in which a member is there twice is malformed, whatever its members are.
    """
    try:
        document = json.loads(body, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    jwks = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(jwks, list):
        raise ValueError("has no list of keys")  # noqa: TRY004  the text is wrong
    found: list[Jwk] = []
    size = 0
    for jwk in jwks:
        try:
            told = _reduced(jwk)
            public_key(told)
        except ValueError:
            continue
        size += len(orjson.dumps(told)) + 1
        if size <= LARGEST_SET and told not in found:
            found.append(told)
    return tuple(found), len(jwks) - len(found)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any] | None:
    members = dict(pairs)
    return members if len(members) == len(pairs) else None


def _reduced(jwk: Any) -> Jwk:
    """The public members of a key for signatures. ValueError for any other one."""
    if not isinstance(jwk, dict) or jwk.get("kty") not in ("RSA", "EC", "OKP"):
        raise ValueError("is no public key")
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list):
        raise ValueError("is not for signatures")
    if "verify" not in operations or _PRIVATE & jwk.keys():
        raise ValueError("is not for verifying")
    wanted = ("kty", *_MEMBERS[jwk["kty"]], *(name for name in ("kid", "alg") if name in jwk))
    told = {name: jwk.get(name) for name in wanted}
    if not all(isinstance(value, str) and len(value) <= 2048 for value in told.values()):
        raise ValueError("has a member that is no text")
    if len(told.get("kid") or "") > LONGEST_KID:
        raise ValueError("has too long a name")
    return {name: str(value) for name, value in told.items()}


def public_key(jwk: Jwk) -> PublicKey:
    """A key, ready to be used. Raises ValueError."""
    kty = jwk["kty"]
    if kty == "RSA":
        fit, family = _RSA, "RS256"
    else:
        family = _BY_CURVE.get((kty, jwk["crv"]), "")
        fit = frozenset({family})
    algorithms = fit & {jwk["alg"]} if "alg" in jwk else fit
    if not family or not algorithms:
        raise ValueError("is for no algorithm that is used here")
    try:
        material: Any = jwt.PyJWK(jwk, algorithm=family).key
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, OverflowError):
        raise ValueError("is malformed") from None
    if kty == "RSA" and (
        material.key_size not in _RSA_BITS or material.public_numbers().e > _LARGEST_EXPONENT
    ):
        raise ValueError("has a size that is not used here")
    return PublicKey(jwk.get("kid", ""), algorithms, material)
