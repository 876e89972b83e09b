"""What is wrong with keys is said at start, all of it, and without a word of a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.authentication.keys import Key, load_keys
from gateway.errors import ConfigurationError
from tests.authentication.support import SECRET, build, key_pair, keys_of, pem

#: A curve of 112 bits, which the cryptography package does not know.
STRANGE_CURVE = """-----BEGIN PUBLIC KEY-----
MDIwEAYHKoZIzj0CAQYFK4EEAAYDHgAE0NuNm+XxSHwCC5JA4WyaY7W6jxF0usI9
kkJqBA==
-----END PUBLIC KEY-----
"""


def fault(entries: str, **environ: str) -> str:
    """The only fault of these entries, less the place it names."""
    _, faults = load_keys("", entries, environ)
    (only,) = faults
    assert only.startswith("JWT_KEYS entry 1 ")
    return only.removeprefix("JWT_KEYS entry 1 ")


@pytest.mark.parametrize(
    "entry", ["none:env:A", "NONE:env:A", "RS257:env:A", "rs256:env:A", ":env:A", "a=:env:A", "A"]
)
def test_an_algorithm_that_is_not_known(entry: str) -> None:
    assert fault(entry, A=SECRET).startswith("needs one of the algorithms ES256,")


@pytest.mark.parametrize("entry", ["HS256", "HS256:A", "HS256:http:A", "k=HS256:ENV:A"])
def test_an_entry_that_names_no_place(entry: str) -> None:
    assert fault(entry, A=SECRET) == "must be [kid=]ALG:file:PATH or [kid=]ALG:env:NAME"


def test_a_kid_that_is_empty() -> None:
    assert fault("=HS256:env:A", A=SECRET) == "has an empty kid"


def test_a_variable_that_is_not_set_or_empty() -> None:
    assert fault("HS256:env:A") == fault("HS256:env:A", A="") == "names a variable that is not set"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert fault(f"RS256:file:{tmp_path / 'no.pem'}") == "No such file or directory"
    assert fault(f"RS256:file:{tmp_path}") == "Is a directory"


@pytest.mark.parametrize(
    ("algorithm", "text"),
    [
        ("RS256", "garbage"),
        ("RS256", key_pair("ES256")[1]),
        ("PS512", key_pair("EdDSA")[1]),
        ("ES256", "garbage"),
        ("ES256", key_pair("ES384")[1]),
        ("ES256", key_pair("RS256")[1]),
        ("ES256", STRANGE_CURVE),
        ("EdDSA", "garbage"),
        ("EdDSA", key_pair("ES256")[1]),
    ],
)
def test_a_key_of_another_kind(algorithm: str, text: str) -> None:
    assert fault(f"{algorithm}:env:A", A=text) == f"is no PEM public key for {algorithm}"


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(b"\xff\xfe-----BEGIN PUBLIC KEY-----\x00")
    for algorithm in ("RS256", "ES256", "EdDSA"):
        entry = f"{algorithm}:file:{file}"
        assert fault(entry) == f"is no PEM public key for {algorithm}"


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_a_private_key_has_no_place_in_a_gateway(algorithm: str) -> None:
    private, _ = key_pair(algorithm)
    said = "is a private key: the gateway needs the public one only"
    assert fault(f"{algorithm}:env:A", A=private) == said


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_public_key_is_no_shared_secret(algorithm: str) -> None:
    for text in key_pair(algorithm):
        assert fault("HS256:env:A", A=text) == "is no shared secret for HS256"


def test_a_short_rsa_key() -> None:
    _, public = pem(rsa.generate_private_key(65537, 1024))
    for algorithm in ("RS256", "PS512"):
        said = f"is shorter than the 2048 bits that {algorithm} needs"
        assert fault(f"{algorithm}:env:A", A=public) == said


def test_one_kid_for_two_keys() -> None:
    _, faults = load_keys("", "k=HS256:env:A,k=HS512:env:A,l=HS256:env:A", {"A": SECRET})
    assert faults == ["JWT_KEYS has the kid 'k' twice"]


def test_all_faults_are_found_at_once_and_no_secret_is_shown() -> None:
    weak, hidden = "weak-secret", "a-secret-at-the-wrong-place-of-a-setting"
    entries = f"{hidden},HS256:env:{hidden},k=HS256:env:WEAK,ok=HS256:env:GOOD"
    _, faults = load_keys(weak, entries, {"WEAK": weak, "GOOD": SECRET})
    assert [text.split(" is ")[0].split(" n")[0] for text in faults] == [
        "JWT_SECRET",
        "JWT_KEYS entry 1",
        "JWT_KEYS entry 2",
        "JWT_KEYS entry 3",
    ]
    assert not [text for text in faults if weak in text or hidden in text or SECRET in text]


def test_the_gateway_says_all_of_them_before_it_starts() -> None:
    with pytest.raises(ConfigurationError) as caught:
        build(JWT_SECRET="short", JWT_KEYS="none:env:A,k=RS256:file:/nowhere.pem")
    assert len(caught.value.faults) == 3


def test_a_key_does_not_print_its_material() -> None:
    (key,) = keys_of(secret=SECRET).keys
    assert key == Key("", "HS256", SECRET.encode())
    assert SECRET not in repr(key)
