"""Which keys of a key document are used, and for what."""

from __future__ import annotations

import json
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from gateway.authentication.oidc.key_document import (
    ALGORITHMS,
    LARGEST_SET,
    Jwk,
    KeyRing,
    public_key,
    read_document,
)
from tests.authentication.oidc.support import jwk

RSA = {f"{family}{bits}" for family in ("RS", "PS") for bits in (256, 384, 512)}


def read(*keys: object) -> tuple[Jwk, ...]:
    """The usable keys of a document."""
    return read_document(json.dumps({"keys": keys}).encode())[0]


def ring(*keys: object) -> KeyRing:
    """The same, ready to be used."""
    return KeyRing(read(*keys))


@pytest.mark.parametrize("algorithm", ["RS256", "PS384", "ES256", "ES384", "ES512", "EdDSA"])
def test_public_keys_for_signatures_are_used_for_their_own_algorithm(algorithm: str) -> None:
    (key,) = ring(jwk(algorithm)).keys
    assert (key.kid, set(key.algorithms)) == (f"{algorithm}-0", {algorithm})


@pytest.mark.parametrize(
    ("algorithm", "fit"),
    [("RS256", RSA), ("ES256", {"ES256"}), ("ES512", {"ES512"}), ("EdDSA", {"EdDSA"})],
)
def test_without_an_algorithm_its_kind_decides(algorithm: str, fit: set[str]) -> None:
    (key,) = ring(jwk(algorithm, alg=None)).keys
    assert key.algorithms == fit


def test_what_is_shared_are_public_members_alone() -> None:
    told = jwk(x5c=["MII"], x5t="abc", x5u="https://evil.test", custom={"a": 1}, ext=True)
    assert read(told) == ({name: told[name] for name in ("kty", "n", "e", "kid", "alg")},)
    told = jwk("ES256", key_ops=["verify"], use=None)
    assert read(told) == ({name: told[name] for name in ("kty", "crv", "x", "y", "kid", "alg")},)


def weak(bits: int) -> dict[str, Any]:
    """An RSA key of an unusual length."""
    public = rsa.generate_private_key(65537, bits).public_key()
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True), "key_ops": ["verify"]}


def private(algorithm: str) -> dict[str, Any]:
    """A private key as an issuer may publish it by mistake."""
    made: dict[str, Any]
    if algorithm == "ES256":
        key = ec.generate_private_key(ec.SECP256R1())
        made = dict(jwt.algorithms.ECAlgorithm.to_jwk(key, as_dict=True))
    else:
        rsa_key = rsa.generate_private_key(65537, 2048)
        made = dict(jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key, as_dict=True))
    return {**made, "key_ops": ["verify"]}


UNUSED: dict[str, Any] = {
    "shared secret": {"kty": "oct", "k": "c2VjcmV0" * 8, "alg": "HS256", "kid": "s"},
    "a secret in disguise": jwk(k="c2VjcmV0" * 8),
    "private": private("RS256"),
    "private, elliptic": private("ES256"),
    "for encryption": jwk(use="enc"),
    "for something": jwk(use=7),
    "for signing": jwk(key_ops=["sign"]),
    "for no list": jwk(key_ops="verify"),
    "short": weak(1024),
    "not of its algorithm": jwk(alg="ES256"),
    "not of its curve": jwk("ES256", alg="ES384"),
    "for encryption by algorithm": jwk(alg="RSA-OAEP"),
    "for secrets by algorithm": jwk(alg="HS256"),
    "for nothing": jwk(alg="none"),
    "of a curve that is not used": jwk("ES256", crv="secp256k1", alg=None),
    "of an unknown curve": jwk("ES256", crv="P-999"),
    "of an unknown kind": jwk(kty="XYZ"),
    "of no kind": jwk(kty=None),
    "half": jwk(n=None),
    "not on its curve": jwk("ES256", y=jwk("ES256", 1)["y"]),
    "empty": jwk(n="", e=""),
    "no base64": jwk(n="§§§"),
    "exponent one": jwk(e="AQ"),
    "exponent huge": jwk(e="AQAAAAAB"),
    "huge": jwk(n="A" * 2049),
    "numbers": jwk(n=7),
    "a name that is none": jwk(kid=7),
    "a very long name": jwk(kid="x" * 257),
    "nothing": {},
    "null": None,
    "a list": [jwk()],
    "text": "RSA",
}


@pytest.mark.parametrize("kind", UNUSED)
def test_all_others_are_passed_over_and_the_rest_is_used(kind: str) -> None:
    document = json.dumps({"keys": [UNUSED[kind], jwk("EdDSA")]}).encode()
    keys, others = read_document(document)
    assert [key["kid"] for key in keys] == ["EdDSA-0"]
    assert others == 1


def test_a_member_that_is_there_twice_spoils_its_key_only() -> None:
    spoilt = json.dumps(jwk())[:-1] + ',"kid":"RS256-0"}'
    keys, others = read_document(f'{{"keys":[{spoilt},{json.dumps(jwk("ES256"))}]}}'.encode())
    assert ([key["kid"] for key in keys], others) == (["ES256-0"], 1)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"{}", b'{"keys":{}}', b'{"keys":null}', b"\xff", b"<html>",
     b'{"keys":[],"keys":[]}', b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_key_document(body: bytes) -> None:
    with pytest.raises(ValueError):
        read_document(body)


def test_a_document_without_usable_keys_is_one_all_the_same() -> None:
    assert read_document(b'{"keys":[]}') == ((), 0)
    assert read_document(b'{"keys":[{},{}]}') == ((), 2)


def test_what_is_shared_is_bounded() -> None:
    many = [jwk(kid=f"key {number}") for number in range(200)]
    keys, others = read_document(json.dumps({"keys": many}).encode())
    assert 50 < len(keys) < 100
    assert len(keys) + others == 200
    assert len(orjson.dumps(keys)) <= LARGEST_SET
    assert [key["kid"] for key in keys] == [f"key {number}" for number in range(len(keys))]


def test_the_key_of_a_token() -> None:
    known = ring(jwk(), jwk("ES256"), jwk("RS256", 1, kid="other"))
    assert [key.kid for key in known.candidates("RS256-0", "RS256")] == ["RS256-0"]
    assert [key.kid for key in known.candidates("other", "RS256")] == ["other"]
    for kid, algorithm in (("RS256-0", "RS512"), ("RS256-0", "ES256"), ("rs256-0", "RS256")):
        assert known.candidates(kid, algorithm) == ()
    assert known.knows("RS256-0")
    assert not known.knows("RS256")


def test_a_token_that_names_no_key() -> None:
    assert [key.kid for key in ring(jwk(), jwk("ES256")).candidates(None, "ES256")] == ["ES256-0"]
    assert ring(jwk(), jwk("RS256", 1)).candidates(None, "RS256") == ()
    unnamed = ring(jwk(), jwk("RS256", 1, kid=None), jwk("RS256", 2, kid=""))
    assert [key.kid for key in unnamed.candidates(None, "RS256")] == ["", ""]


def test_keys_of_one_name() -> None:
    known = ring(jwk(kid="k"), jwk("ES256", kid="k"), jwk("RS256", 1, kid="k"), jwk(kid="k"))
    assert len(known.keys) == 3  # one of them was there twice
    assert len(known.candidates("k", "RS256")) == 2
    assert len(known.candidates("k", "ES256")) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
NAMES = ("kty", "use", "key_ops", "alg", "kid", "n", "e", "crv", "x", "y", "d", "k")


@given(
    st.sampled_from([jwk(), jwk("ES256"), jwk("EdDSA"), {}]),
    st.dictionaries(st.sampled_from(NAMES), JSON | st.sampled_from(["RSA", "EC", "OKP", "P-256"])),
)
def test_whatever_a_key_is_it_is_used_for_signatures_or_not_at_all(
    whole: dict[str, Any], changes: dict[str, Any]
) -> None:
    for told in read({**whole, **changes}):
        assert public_key(told).algorithms <= ALGORITHMS
        assert set(told) <= {"kty", "kid", "alg", "n", "e", "crv", "x", "y"}
