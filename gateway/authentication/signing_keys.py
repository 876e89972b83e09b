"""The gateway's own private keys, and the set of their public halves (RFC 7517)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import jwt
import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from jwt.utils import base64url_encode

from gateway.authentication.keys import read_entries

_RSA_BITS = 2048
# What a thumbprint is made of, in this order (RFC 7638 section 3.2, RFC 8037 section 2).
_ESSENTIAL = ("crv", "e", "kty", "n", "x", "y")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and its name. public: its public half as a JSON Web Key."""

    kid: str
    algorithm: str
    private: Any = field(repr=False)
    public: Mapping[str, str]


def load_signing_keys(
    entries: str, environ: Mapping[str, str] | None = None
) -> tuple[tuple[SigningKey, ...], list[str]]:
    """Read INTERNAL_TOKEN_KEY. Returns the keys and every fault found, naming no secret."""
    environ = os.environ if environ is None else environ
    keys, faults = read_entries("INTERNAL_TOKEN_KEY", entries, environ, _key)
    return tuple(keys), faults


def public_key_set(keys: Sequence[SigningKey]) -> bytes:
    """The JSON Web Key Set by which backends verify."""
    return orjson.dumps({"keys": [key.public for key in keys]})


def _key(kid: str, algorithm: str, material: bytes) -> SigningKey:
    if algorithm.startswith("HS"):
        raise ValueError(f"cannot be {algorithm}: backends are to have the public half only")
    family = jwt.get_algorithm_by_name(algorithm)
    try:
        private = family.prepare_key(material.strip())
    except (jwt.InvalidKeyError, UnsupportedAlgorithm, ValueError, TypeError):
        raise ValueError(f"is no PEM private key for {algorithm}") from None
    if not hasattr(private, "private_bytes"):
        raise ValueError("is a public key: the gateway signs with the private one")
    if algorithm.startswith(("RS", "PS")) and private.key_size < _RSA_BITS:
        raise ValueError(f"is shorter than the {_RSA_BITS} bits that {algorithm} needs")
    jwk: dict[str, Any] = family.to_jwk(private.public_key(), as_dict=True)
    essential = {name: jwk[name] for name in _ESSENTIAL if name in jwk}
    kid = kid or _thumbprint(essential)
    public = {**essential, "kid": kid, "use": "sig", "alg": algorithm}
    return SigningKey(kid, algorithm, private, public)


def _thumbprint(essential: Mapping[str, str]) -> str:
    """The name of a key that was given none: of its content (RFC 7638)."""
    return base64url_encode(sha256(orjson.dumps(essential)).digest()).decode()
