"""The gateway's own keys: read, judged, and published by their public halves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from gateway.authentication.signing_keys import SigningKey, load_signing_keys, public_key_set
from tests.authentication.support import key_pair, pem

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "RS512", "ES384", "ES512")


def loaded(entries: str, **environ: str) -> tuple[SigningKey, ...]:
    """Keys without a fault."""
    keys, faults = load_signing_keys(entries, environ)
    assert faults == []
    return keys


def faults_of(entries: str, **environ: str) -> list[str]:
    """What is wrong with these entries."""
    return load_signing_keys(entries, environ)[1]


def published(keys: tuple[SigningKey, ...]) -> list[dict[str, Any]]:
    """The keys of the set that backends read."""
    document = json.loads(public_key_set(keys))
    assert list(document) == ["keys"]
    found: list[dict[str, Any]] = document["keys"]
    return found


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_published_verifies_what_is_signed(algorithm: str) -> None:
    (key,) = loaded(f"k1={algorithm}:env:MINE", MINE=key_pair(algorithm)[0])
    token = jwt.encode({"a": 1}, key.private, key.algorithm, headers={"kid": key.kid})
    (jwk,) = published((key,))
    assert (jwk["kid"], jwk["alg"], jwk["use"]) == ("k1", algorithm, "sig")
    assert jwt.decode(token, jwt.PyJWK(jwk), algorithms=[algorithm]) == {"a": 1}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_nothing_private_is_published_or_shown(algorithm: str) -> None:
    keys = loaded(f"{algorithm}:env:MINE", MINE=key_pair(algorithm)[0])
    (jwk,) = published(keys)
    public = {"kty", "kid", "alg", "use", "n", "e", "crv", "x", "y"}
    assert set(jwk) <= public
    assert "private" not in repr(keys[0])


def test_a_key_without_a_name_is_called_by_its_thumbprint() -> None:
    # The key and the thumbprint of RFC 8037, appendix A.
    seed = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
    private = ed25519.Ed25519PrivateKey.from_private_bytes(jwt.utils.base64url_decode(seed))
    (key,) = loaded("EdDSA:env:MINE", MINE=pem(private)[0])
    assert key.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_several_and_files(tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    path.write_text(key_pair("ES256")[0] + "\n")
    entries = f" new=ES256:file:{path} , EdDSA:env:OLD,"
    keys = loaded(entries, OLD=key_pair("EdDSA")[0])
    assert [key.algorithm for key in keys] == ["ES256", "EdDSA"]
    assert [jwk["kid"] for jwk in published(keys)] == ["new", keys[1].kid]


def _encrypted() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    hidden = BestAvailableEncryption(b"secret")
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden).decode()


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        ("HS256:env:SECRET", "cannot be HS256: backends are to have the public half only"),
        ("RS256:env:PUBLIC", "is a public key: the gateway signs with the private one"),
        ("RS256:env:SECRET", "is no PEM private key for RS256"),
        ("RS256:env:CURVE", "is no PEM private key for RS256"),
        ("ES384:env:CURVE", "is no PEM private key for ES384"),
        ("ES256:env:LOCKED", "is no PEM private key for ES256"),
        ("RS256:env:SMALL", "is shorter than the 2048 bits that RS256 needs"),
        ("RS256:env:ABSENT", "names a variable that is not set"),
        ("RS256:file:/no/such/file", "No such file or directory"),
        ("RS256:/path.pem", "must be [kid=]ALG:file:PATH or [kid=]ALG:env:NAME"),
        ("=RS256:env:SECRET", "has an empty kid"),
    ],
)
def test_faults(entries: str, fault: str) -> None:
    small = pem(rsa.generate_private_key(65537, 1024))[0] if "SMALL" in entries else ""
    environ = {
        "SECRET": "a secret that is nobody's business",
        "PUBLIC": key_pair("RS256")[1],
        "CURVE": key_pair("ES256")[0],
        "LOCKED": _encrypted(),
        "SMALL": small,
    }
    assert faults_of(entries, **environ) == [f"INTERNAL_TOKEN_KEY entry 1 {fault}"]


def test_faults_are_told_together_and_a_name_is_there_once() -> None:
    mine = {"MINE": key_pair("ES256")[0]}
    faults = faults_of("a=ES256:env:MINE,b=ES256:env:NONE,a=ES256:env:MINE,rubbish", **mine)
    assert [fault[:26] for fault in faults] == [
        "INTERNAL_TOKEN_KEY entry 2",
        "INTERNAL_TOKEN_KEY entry 4",
        "INTERNAL_TOKEN_KEY has the",
    ]
    assert len(faults_of("ES256:env:MINE,ES256:env:MINE", **mine)) == 1
