"""The keys that tokens are verified with: from the environment or PEM files, each with its `kid`.

Every key is pinned to one algorithm, so a token can choose neither: not `none`, not HS256 with a
public key as its secret (RFC 8725 section 3.1).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import jwt
from cryptography.exceptions import UnsupportedAlgorithm

ALGORITHMS = frozenset(
    [f"{family}{bits}" for family in ("HS", "RS", "PS", "ES") for bits in (256, 384, 512)]
    + ["EdDSA"]
)
# RFC 7518 sections 3.2 and 3.3.
_HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class Key:
    """A verification key. `kid` is empty for one that tokens need not name.

    material: a public key, or the bytes of a shared secret.
    """

    kid: str
    algorithm: str
    material: Any = field(repr=False)


class Named(Protocol):
    """A key that tokens may name."""

    @property
    def kid(self) -> str: ...


K = TypeVar("K", bound=Named)


class KeySet:
    """Finds the key of a token. Several keys at once let one be rotated out."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self._by_kid = {key.kid: key for key in keys if key.kid}
        self._unnamed = tuple(key for key in keys if not key.kid)
        self.keys = keys

    def candidates(self, header: Mapping[str, Any]) -> Iterator[Key]:
        """The keys that may have signed a token with this header: the named one, or those
        without a name; a lone key serves tokens that name none. Other algorithms are left out."""
        kid = header.get("kid")
        if kid is None:
            found = self._unnamed or (self.keys if len(self.keys) == 1 else ())
        else:
            named = self._by_kid.get(kid) if isinstance(kid, str) else None
            found = (named,) if named else ()
        return (key for key in found if key.algorithm == header.get("alg"))

    def signing_secret(self) -> Key | None:
        """A shared secret that development tokens can be signed with, if there is one."""
        return next((key for key in self.keys if key.algorithm in _HMAC_BYTES), None)


def load_keys(
    secret: str,
    entries: str,
    environ: Mapping[str, str] | None = None,
    *,
    needed: bool = True,
) -> tuple[KeySet, list[str]]:
    """Read JWT_SECRET and JWT_KEYS. Returns the keys and every fault found, naming no secret.

    needed: False if there may be none, since there are other ways to authenticate.
    """
    environ = os.environ if environ is None else environ
    keys: list[Key] = []
    faults: list[str] = []
    if secret:
        try:
            keys.append(_key("", "HS256", secret.encode()))
        except ValueError as error:
            faults.append(f"JWT_SECRET {error}")
    more, wrong = read_entries("JWT_KEYS", entries, environ, _key)
    keys += more
    faults += wrong
    if needed and not keys and not faults:
        faults.append(
            "JWT_SECRET or JWT_KEYS must be set, or another way to authenticate"
            " (docs/authentication.md): there is no default key"
        )
    return KeySet(tuple(keys)), faults


def read_entries(
    setting: str, entries: str, environ: Mapping[str, str], make: Callable[[str, str, bytes], K]
) -> tuple[list[K], list[str]]:
    """The keys that a setting lists, made by `make` of kid, algorithm and what is in the file or
    variable, and every fault found, naming no secret."""
    keys: list[K] = []
    faults: list[str] = []
    for number, part in enumerate(filter(None, (p.strip() for p in entries.split(","))), 1):
        try:
            keys.append(make(*_read_entry(part, environ)))
        except (ValueError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            faults.append(f"{setting} entry {number} {reason}")
    kids = [key.kid for key in keys if key.kid]
    twice = sorted({kid for kid in kids if kids.count(kid) > 1})
    return keys, faults + [f"{setting} has the kid {kid!r} twice" for kid in twice]


def _read_entry(text: str, environ: Mapping[str, str]) -> tuple[str, str, bytes]:
    """The kid, the algorithm and the bytes of `[kid=]ALG:file:/path` or `[kid=]ALG:env:NAME`.

    Raises ValueError, or OSError for a file that cannot be read.
    """
    head, _, source = text.partition(":")
    kid, mark, algorithm = head.rpartition("=")
    if mark and not kid:
        raise ValueError("has an empty kid")
    scheme, _, place = source.partition(":")
    if algorithm not in ALGORITHMS:
        raise ValueError(f"needs one of the algorithms {', '.join(sorted(ALGORITHMS))}")
    if scheme == "file":
        material = Path(place).read_bytes()
    elif scheme == "env":
        if not environ.get(place):
            raise ValueError("names a variable that is not set")
        material = environ[place].encode()
    else:
        raise ValueError("must be [kid=]ALG:file:PATH or [kid=]ALG:env:NAME")
    return kid, algorithm, material


def _key(kid: str, algorithm: str, material: bytes) -> Key:
    material = material.strip()  # files and shells end with a line break
    needed = _HMAC_BYTES.get(algorithm)
    if needed is not None and len(material) < needed:
        raise ValueError(f"is shorter than the {needed} bytes that {algorithm} needs")
    try:
        prepared = jwt.get_algorithm_by_name(algorithm).prepare_key(material)
    except (jwt.InvalidKeyError, UnsupportedAlgorithm, ValueError, TypeError):
        kind = "PEM public key" if needed is None else "shared secret"
        raise ValueError(f"is no {kind} for {algorithm}") from None
    if hasattr(prepared, "private_bytes"):
        raise ValueError("is a private key: the gateway needs the public one only")
    if algorithm.startswith(("RS", "PS")) and prepared.key_size < _RSA_BITS:
        raise ValueError(f"is shorter than the {_RSA_BITS} bits that {algorithm} needs")
    return Key(kid, algorithm, prepared)
