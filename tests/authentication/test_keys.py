"""Keys: every algorithm, every place a key may stand, and every fault found at start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jwt
import pytest

from gateway.authentication.keys import ALGORITHMS, load_keys
from gateway.authentication.tokens import TokenVerifier
from gateway.errors import ConfigurationError, Unauthenticated
from tests.authentication.support import SECRET, build, claims, key_pair, keys_of, sign

ASYMMETRIC = sorted(name for name in ALGORITHMS if not name.startswith("HS"))


def test_the_algorithms_are_these_and_none_is_not_among_them() -> None:
    families = {"HS": 3, "RS": 3, "PS": 3, "ES": 3, "Ed": 1}
    assert {family: sum(a[:2] == family for a in ALGORITHMS) for family in families} == families
    assert len(ALGORITHMS) == 13


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_public_key_from_a_file_verifies(algorithm: str, tmp_path: Path) -> None:
    private, public = key_pair(algorithm)
    file = tmp_path / "key.pem"
    file.write_text(public)
    keys = keys_of(f"k={algorithm}:file:{file}")
    token = sign(claims(), private, algorithm, kid="k")
    assert TokenVerifier(keys).verify(token).subject == "u1"
    other, _ = key_pair(algorithm, 1)
    with pytest.raises(Unauthenticated):
        TokenVerifier(keys).verify(sign(claims(), other, algorithm, kid="k"))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_shared_secret_from_the_environment_verifies(algorithm: str) -> None:
    keys = keys_of(f"k={algorithm}:env:SHARED", SHARED=SECRET)
    token = sign(claims(), SECRET, algorithm, kid="k")
    assert TokenVerifier(keys).verify(token).subject == "u1"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "  ", ""])
def test_what_a_shell_leaves_behind_a_secret_is_no_part_of_it(ending: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + ending, newline="")
    for keys in (keys_of(f"HS256:file:{file}"), keys_of(secret=SECRET + ending)):
        assert TokenVerifier(keys).verify(sign(claims())).subject == "u1"


@pytest.mark.parametrize(("algorithm", "needed"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_has_at_least_the_length_of_its_hash(algorithm: str, needed: int) -> None:
    def faults(text: str) -> list[str]:
        return load_keys("", f"{algorithm}:env:SHARED", {"SHARED": text})[1]

    assert faults("s" * needed) == []
    short = [f"JWT_KEYS entry 1 is shorter than the {needed} bytes that {algorithm} needs"]
    assert faults("s" * (needed - 1)) == short
    assert faults("s" * (needed - 1) + " " * 40) == short


def test_a_gateway_without_a_key_does_not_start() -> None:
    for secret, entries in (("", ""), ("", " , ,")):
        with pytest.raises(ConfigurationError, match="JWT_SECRET or JWT_KEYS must be set"):
            build(JWT_SECRET=secret, JWT_KEYS=entries)


@pytest.mark.parametrize("secret", ["short", " " * 40])
def test_a_gateway_with_a_weak_secret_does_not_start(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="JWT_SECRET is shorter than the 32 bytes"):
        build(JWT_SECRET=secret)


def test_two_keys_are_told_apart_by_kid_and_the_algorithm_of_each_is_pinned() -> None:
    entries = "a=RS256:env:A,b=RS256:env:B,c=ES256:env:C"
    pairs = {"A": key_pair("RS256"), "B": key_pair("RS256", 1), "C": key_pair("ES256")}
    known = TokenVerifier(keys_of(entries, **{name: pair[1] for name, pair in pairs.items()}))
    for kid, (private, _) in zip("abc", pairs.values(), strict=True):
        algorithm = "ES256" if kid == "c" else "RS256"
        assert known.verify(sign(claims(), private, algorithm, kid=kid)).subject == "u1"
    mine = pairs["A"][0]
    for algorithm, kid in (("RS256", "b"), ("RS384", "a"), ("PS256", "a"), ("RS256", "d")):
        with pytest.raises(Unauthenticated):
            known.verify(sign(claims(), mine, algorithm, kid=kid))


def test_rotation_accepts_old_and_new_and_then_only_the_new() -> None:
    old, new = key_pair("EdDSA"), key_pair("EdDSA", 1)
    tokens = [sign(claims(), pair[0], "EdDSA", kid=kid) for kid, pair in (("1", old), ("2", new))]
    both = TokenVerifier(keys_of("1=EdDSA:env:A,2=EdDSA:env:B", A=old[1], B=new[1]))
    assert [both.verify(token).subject for token in tokens] == ["u1", "u1"]
    after = TokenVerifier(keys_of("2=EdDSA:env:B", B=new[1]))
    assert after.verify(tokens[1]).subject == "u1"
    with pytest.raises(Unauthenticated):
        after.verify(tokens[0])


def test_a_lone_key_serves_tokens_that_name_none() -> None:
    private, public = key_pair("ES256")
    lone = TokenVerifier(keys_of("k=ES256:env:A", A=public))
    assert lone.verify(sign(claims(), private, "ES256")).subject == "u1"
    with pytest.raises(Unauthenticated):
        lone.verify(sign(claims(), private, "ES256", kid="other"))


def test_a_token_without_kid_is_tried_against_the_keys_without_one() -> None:
    private, public = key_pair("ES256")
    both = TokenVerifier(keys_of("k=ES256:env:A", SECRET, A=public))
    assert both.verify(sign(claims())).subject == "u1"
    assert both.verify(sign(claims(), private, "ES256", kid="k")).subject == "u1"
    for token in (
        sign(claims(), private, "ES256"),
        sign(claims(), kid="k"),
        sign(claims(), kid=""),
    ):
        with pytest.raises(Unauthenticated):
            both.verify(token)


def test_two_keys_without_kid_are_tried_one_after_the_other() -> None:
    other = SECRET[::-1]
    both = TokenVerifier(keys_of("HS256:env:OTHER", SECRET, OTHER=other))
    for secret in (SECRET, other):
        assert both.verify(sign(claims(), secret)).subject == "u1"
    with pytest.raises(Unauthenticated):
        both.verify(sign(claims(), SECRET.upper()))


@pytest.mark.parametrize("order", ["HS256:env:S,ES256:env:E", "ES256:env:E,HS256:env:S"])
def test_of_keys_without_kid_only_those_of_the_tokens_algorithm_are_tried(order: str) -> None:
    private, public = key_pair("ES256")
    both = TokenVerifier(keys_of(order, S=SECRET, E=public))
    assert both.verify(sign(claims())).subject == "u1"
    assert both.verify(sign(claims(), private, "ES256")).subject == "u1"


def test_pyjwt_is_told_the_keys_own_algorithm_only(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    decode = jwt.decode

    def spy(*args: Any, **options: Any) -> Any:
        told.append(options["algorithms"])
        return decode(*args, **options)

    monkeypatch.setattr(jwt, "decode", spy)
    TokenVerifier(keys_of(secret=SECRET)).verify(sign(claims()))
    assert told == [["HS256"]]
