"""What a token must say to be believed, and how its claims become an identity."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gateway.authentication.tokens import MAX_TOKEN
from gateway.errors import Unauthenticated
from tests.authentication.support import claims, forge_body, sign, to_json, verifier


def refusal(token: str, **options: Any) -> Unauthenticated:
    """Why a token is refused."""
    with pytest.raises(Unauthenticated) as caught:
        verifier(**options).verify(token)
    return caught.value


def slug(token: str, **options: Any) -> str:
    """The name of the reason for which a token is refused."""
    return refusal(token, **options).slug


def test_a_good_token_becomes_an_identity() -> None:
    body = claims(roles=["admin"], permissions=["order:read"], scope="a:b c:d", team="blue")
    identity = verifier().verify(sign(body))
    assert (identity.subject, identity.kind) == ("u1", "user")
    assert identity.roles == ("admin",)
    assert identity.permissions == ("order:read", "a:b", "c:d")
    assert identity.claims == body


def test_expired_and_invalid_are_told_apart() -> None:
    expired = refusal(sign(claims(exp=int(time.time()) - 60)))
    assert (expired.code, expired.slug) == (401, "token_expired")
    ((name, challenge),) = expired.extra_headers
    assert name == "WWW-Authenticate"
    assert challenge == (
        'Bearer realm="gateway", error="invalid_token", error_description="The token has expired."'
    )
    invalid = refusal(sign(claims()) + "x")
    assert (invalid.code, invalid.slug) == (401, "token_invalid")
    assert 'error="invalid_token", error_description="The token is not valid."' in str(
        invalid.extra_headers
    )


def test_a_forged_token_does_not_learn_that_it_has_expired() -> None:
    assert (
        slug(sign(claims(exp=1), "another secret of more than thirty-two bytes")) == "token_invalid"
    )


def test_exp_is_required() -> None:
    assert slug(sign(claims(exp=None))) == "token_invalid"
    assert slug(forge_body(b'{"sub":"u1","exp":null}')) == "token_invalid"


@pytest.mark.parametrize("age", [0, 5, 25])
def test_exp_is_forgiven_within_the_leeway_only(age: int) -> None:
    token = sign(claims(exp=int(time.time()) - age))
    assert verifier(leeway=30).verify(token).subject == "u1"
    assert slug(token, leeway=0) == "token_expired"


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_a_token_of_the_future_waits(name: str) -> None:
    soon = sign(claims(**{name: int(time.time()) + 20}))
    assert verifier(leeway=30).verify(soon).subject == "u1"
    assert slug(soon, leeway=0) == "token_invalid"
    assert slug(sign(claims(**{name: int(time.time()) + 90})), leeway=30) == "token_invalid"


@pytest.mark.parametrize(
    "exp",
    ['"99999999999"', "true", "NaN", "Infinity", "-Infinity", '"soon"', "[]", "{}", '""', "[9e9]"],
)
def test_exp_is_a_number(exp: str) -> None:
    token = forge_body(b'{"sub":"u1","exp":%s}' % exp.encode())
    assert slug(token) in {"token_invalid", "token_expired"}


@pytest.mark.parametrize("exp", ["1" + "0" * 400, "1e308", "9007199254740993.5"])
def test_an_exp_beyond_all_clocks_is_just_far_away(exp: str) -> None:
    known = verifier()
    token = forge_body(b'{"sub":"u1","exp":%s}' % exp.encode())
    assert known.verify(token) is known.verify(token)


@pytest.mark.parametrize("exp", ["1" + "0" * 5000, "1e999", "-1", "0", "-1e308"])
def test_an_exp_that_is_no_time(exp: str) -> None:
    assert slug(forge_body(b'{"sub":"u1","exp":%s}' % exp.encode())).startswith("token_")


@pytest.mark.parametrize("value", ['"x"', "NaN", "Infinity", "[]", "{}", "null"])
@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_times_of_strange_types(name: str, value: str) -> None:
    token = forge_body(b'{"sub":"u1","exp":9999999999,"%s":%s}' % (name.encode(), value.encode()))
    assert slug(token) == "token_invalid"


@pytest.mark.parametrize("value", ["other", "", None, ["gateway"], 7])
def test_a_wrong_issuer(value: object) -> None:
    token = forge_body(to_json(claims(iss=value)))
    assert slug(token, issuer="gateway") == "token_invalid"
    assert verifier().verify(token).subject == "u1"
    assert verifier(issuer="gateway").verify(sign(claims(iss="gateway"))).subject == "u1"


@pytest.mark.parametrize("value", ["other", "", None, ["other"], [], 7, {"gateway": 1}, [7]])
def test_a_wrong_audience(value: object) -> None:
    token = forge_body(to_json(claims(aud=value)))
    assert slug(token, audience="gateway") == "token_invalid"
    assert verifier().verify(token).subject == "u1"


@pytest.mark.parametrize("value", ["gateway", ["other", "gateway"]])
def test_the_right_audience(value: object) -> None:
    assert verifier(audience="gateway").verify(sign(claims(aud=value))).subject == "u1"


@pytest.mark.parametrize(
    ("subject", "text"), [("u1", "u1"), (7, "7"), (0, "0"), ("ä\r\n", "ä\r\n")]
)
def test_a_subject_is_a_word_or_a_whole_number(subject: object, text: str) -> None:
    assert verifier().verify(forge_body(to_json(claims(sub=subject)))).subject == text
    token = forge_body(to_json(claims(sub=None, user_id=subject)))
    assert verifier().verify(token).subject == text


@pytest.mark.parametrize("subject", ["null", '""', "true", "1.5", "[]", '["u1"]', '{"a":1}'])
def test_any_other_subject_is_none(subject: str) -> None:
    token = forge_body(b'{"exp":9999999999,"sub":%s,"user_id":"u2"}' % subject.encode())
    assert refusal(token).description == "The token names no subject."


def test_a_token_without_any_subject() -> None:
    assert slug(sign(claims(sub=None))) == "token_invalid"


@pytest.mark.parametrize("name", ["roles", "permissions", "scope", "scp"])
@pytest.mark.parametrize("value", ['{"a":1}', "7", "true", "[7]", '[["a"]]', '["a",null]', '[""]'])
def test_lists_of_words_are_nothing_else(name: str, value: str) -> None:
    token = forge_body(b'{"exp":9999999999,"sub":"u1","%s":%s}' % (name.encode(), value.encode()))
    assert slug(token) == "token_invalid"


@pytest.mark.parametrize("name", ["roles", "permissions"])
def test_one_word_may_stand_alone_and_none_may_be_missing(name: str) -> None:
    def read(value: object) -> object:
        return getattr(verifier().verify(sign(claims(**{name: value}))), name)

    assert read("order:read") == ("order:read",)
    assert read(None) == read([]) == read("") == ()


@pytest.mark.parametrize("name", ["scope", "scp"])
def test_scopes_are_permissions(name: str) -> None:
    def read(value: object) -> tuple[str, ...]:
        body = claims(permissions=["a:b"], **{name: value})
        return verifier().verify(sign(body)).permissions

    assert read(" a:b  c:d ") == read(["c:d"]) == ("a:b", "c:d")
    assert read("") == ("a:b",)


def test_half_a_character_is_refused() -> None:
    for claim in (b'"sub":"\\ud800"', b'"sub":"u1","roles":["\\udfff"]'):
        assert slug(forge_body(b'{"exp":9999999999,%s}' % claim)) == "token_invalid"


def test_a_token_has_a_greatest_length() -> None:
    longest = sign(claims(pad="x" * 5500))
    assert MAX_TOKEN - 1000 < len(longest) <= MAX_TOKEN
    assert verifier().verify(longest).subject == "u1"
    assert refusal(sign(claims(pad="x" * 8000))).description == "The token is too long."


@pytest.mark.parametrize("bound", [{"jkt": "abc"}, {"x5t#S256": "abc"}, {}, None, "abc"])
def test_a_token_bound_to_a_key_is_no_bearer_token(bound: Any) -> None:
    body = {**claims(), "cnf": bound}
    with pytest.raises(Unauthenticated, match="bound to a key"):
        verifier().verify(sign(body))
