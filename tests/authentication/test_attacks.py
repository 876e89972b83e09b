"""Tokens made to be believed: other algorithms, other keys, headers that name their own key.

All of them are shown to both authorities, the keys of the settings and those of an issuer.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from jwt.utils import base64url_decode

from gateway.authentication.bearer import TokenAuthority
from gateway.authentication.keys import KeySet
from gateway.authentication.tokens import MAX_TOKEN, TokenVerifier
from gateway.errors import Unauthenticated
from tests.authentication.oidc import support as oidc
from tests.authentication.oidc.support import claims, signed
from tests.authentication.support import (
    SECRET,
    base64url,
    forge,
    forge_body,
    key_pair,
    keys_of,
    sign,
    to_json,
    verifier,
)

RSA_PRIVATE, RSA_PUBLIC = key_pair("RS256", 0)
EC_PRIVATE, EC_PUBLIC = key_pair("ES256", 0)


def all_kinds() -> KeySet:
    """A shared secret, an RSA key and an elliptic one."""
    return keys_of("r=RS256:env:R,e=ES256:env:E", SECRET, R=RSA_PUBLIC, E=EC_PUBLIC)


#: What an issuer publishes: the same public keys by the same names, with and without algorithms.
ISSUERS = [
    oidc.authority(
        document=oidc.Document(
            oidc.jwk(kid="r", alg=algorithm and "RS256"),
            oidc.jwk("ES256", kid="e", alg=algorithm and "ES256"),
        )
    )
    for algorithm in (True, None)
]


def judges(keys: KeySet | None = None) -> list[TokenAuthority]:
    """Both authorities. keys: of the settings, default all kinds."""
    return [TokenVerifier(keys or all_kinds()), *ISSUERS]


def assert_invalid(token: str, keys: KeySet | None = None) -> None:
    """The token is refused, and for what it is. keys: of the settings, default all kinds; an
    issuer's are asked anyway."""
    for judge in judges(keys):
        with pytest.raises(Unauthenticated) as caught:
            judge.verify(token)
        assert caught.value.slug == "token_invalid"


def assert_believed(token: str) -> None:
    """The token is good, whoever judges it."""
    for judge in judges():
        assert judge.verify(token).subject == "u1"


def header(**fields: Any) -> dict[str, Any]:
    """The header of a token."""
    return {"alg": "HS256", "typ": "JWT", **fields}


def test_the_tools_of_these_tests_make_tokens_that_hold() -> None:
    known = TokenVerifier(all_kinds())
    assert known.verify(forge(header(), claims())).subject == "u1"
    assert_believed(sign(claims(), RSA_PRIVATE, "RS256", kid="r"))
    assert_believed(sign(claims(), EC_PRIVATE, "ES256", kid="e"))
    assert_believed(signed({"kid": "r"}, claims()))


@pytest.mark.parametrize("spelled", ["none", "None", "NONE", "nOnE", "none ", "", " ", "\0none"])
@pytest.mark.parametrize("kid", [None, "r", "e"])
def test_no_signature_is_no_token(spelled: str, kid: str | None) -> None:
    fields = header(alg=spelled) | ({"kid": kid} if kid else {})
    signed = f"{base64url(to_json(fields))}.{base64url(to_json(claims()))}"
    for token in (f"{signed}.", f"{signed}.{base64url(b'x')}", signed, forge(fields, claims())):
        assert_invalid(token)


@pytest.mark.parametrize("alg", [None, 0, True, ["HS256"], {"HS256": 1}, "hs256", "HS256 ", "HS1"])
def test_an_algorithm_that_is_none_of_ours(alg: object) -> None:
    assert_invalid(forge(header(alg=alg), claims()))
    assert_invalid(forge({"typ": "JWT"}, claims()))


@pytest.mark.parametrize("secret", [RSA_PUBLIC, RSA_PUBLIC.strip(), "", EC_PUBLIC, "r", "None"])
@pytest.mark.parametrize("fields", [{}, {"kid": "r"}, {"kid": "e"}])
def test_a_public_key_is_not_taken_for_a_secret(secret: str, fields: dict[str, str]) -> None:
    token = forge(header(**fields), claims(), key=secret)
    assert_invalid(token)
    assert_invalid(token, keys_of("RS256:env:R", R=RSA_PUBLIC))
    assert_invalid(token, keys_of("r=RS256:env:R", R=RSA_PUBLIC))


def test_a_key_is_not_used_with_a_sibling_of_its_algorithm() -> None:
    for algorithm in ("RS384", "RS512", "PS256"):
        token = sign(claims(), RSA_PRIVATE, algorithm, kid="r")
        with pytest.raises(Unauthenticated):
            TokenVerifier(all_kinds()).verify(token)
        with pytest.raises(Unauthenticated):
            ISSUERS[0].verify(token)
        # A document that names none of them leaves it to the kind of the key.
        assert ISSUERS[1].verify(token).subject == "u1"
    for algorithm in ("HS384", "HS512"):
        assert_invalid(sign(claims(), SECRET, algorithm))


@pytest.mark.parametrize("place", ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"])
def test_a_token_does_not_bring_its_own_key(place: str) -> None:
    mine, my_public = key_pair("RS256", 1)
    value: object = {"kty": "oct", "k": base64url(b"k" * 40)}
    if place != "jwk":
        value = [my_public] if place == "x5c" else "https://evil.test/keys.json"
    for kid in ({}, {"kid": "r"}, {"kid": "https://evil.test/keys.json"}):
        assert_invalid(sign(claims(), mine, "RS256", **{place: value}, **kid))
        assert_invalid(forge(header(**{place: value}, **kid), claims(), key="k" * 40))
    honest = sign(claims(), RSA_PRIVATE, "RS256", kid="r", **{place: value})
    assert_believed(honest)


INJECTED = ("../../dev/null", "/dev/null", "/etc/passwd", "r' OR '1'='1", "r;--", "r\0", "x" * 5000)


@pytest.mark.parametrize("kid", [*INJECTED, "R", " r", None, 0, 1.5, True, [], ["r"], {"r": 1}])
def test_a_kid_is_a_name_and_nothing_more(kid: object) -> None:
    lone = keys_of("r=HS256:env:S", S=SECRET)
    for secret in ("", "\n", SECRET):
        token = forge(header(kid=kid), claims(), key=secret)
        assert_invalid(token)
        assert_invalid(token, lone)
    assert_invalid(signed({"kid": kid}, claims()))


@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], "b64", [7], None])
def test_what_a_token_calls_critical_is_not_passed_over(crit: object) -> None:
    assert_invalid(forge(header(crit=crit, exp=1), claims()))
    assert_invalid(signed({"kid": "r", "crit": crit, "exp": 1}, claims()))


def test_an_unencoded_payload_is_refused() -> None:
    assert_invalid(forge(header(b64=False, crit=["b64"]), claims()))
    assert_invalid(forge(header(b64=False), claims()))
    for crit in ({}, {"crit": ["b64"]}):
        assert_invalid(signed({"kid": "r", "b64": False, **crit}, claims()))


TWICE = (
    b'"sub":"u2"',
    b'"exp":9999999999',
    b'"exp":null',
    b'"iss":"https://issuer.test"',
    b'"aud":["api"]',
    b'"roles":[],"roles":["admin"]',
    b'"x":{"a":[{"b":1,"b":1}]}',
    b'"\\u0073ub":"u2"',
)


@pytest.mark.parametrize("more", TWICE)
def test_a_claim_that_is_said_twice_is_refused(more: bytes) -> None:
    whole = to_json(claims())[:-1]
    for kid, algorithm in (("r", "RS256"), ("e", "ES256")):
        assert_believed(signed({"kid": kid}, whole + b',"roles":[]}', algorithm))
        assert_invalid(signed({"kid": kid}, b"%s,%s}" % (whole, more), algorithm))
    with pytest.raises(Unauthenticated):
        verifier().verify(forge_body(b"%s,%s}" % (whole, more)))


@pytest.mark.parametrize("more", [b'"alg":"RS256"', b'"alg":"none"', b'"kid":"r"', b'"x":1,"x":1'])
def test_a_header_that_says_something_twice_is_refused(more: bytes) -> None:
    for begin in (b'{"alg":"RS256","kid":"r"', b'{"alg":"RS256","kid":"r","typ":"JWT"'):
        assert_believed(signed(begin + b"}", claims()))
        assert_invalid(signed(b"%s,%s}" % (begin, more), claims()))


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_that_json_has_not(number: bytes) -> None:
    for name in (b"exp", b"x"):
        assert_invalid(
            signed({"kid": "r"}, b'%s,"%s":%s}' % (to_json(claims())[:-1], name, number))
        )


@pytest.mark.parametrize("nest", [b"[" * 2500 + b"]" * 2500, b'{"a":' * 990 + b"1" + b"}" * 990])
def test_nesting_beyond_what_a_parser_bears(nest: bytes) -> None:
    for token in (forge_body(nest), forge_body(b'{"exp":9999999999,"sub":"u1","x":%s}' % nest)):
        assert len(token) < MAX_TOKEN
        assert_invalid(token)
    assert_invalid(forge(b'{"alg":"HS256","x":%s}' % nest, claims()))
    assert_invalid(signed(b'{"alg":"RS256","kid":"r","x":%s}' % nest, claims()))


NO_OBJECT = (b"", b"null", b"[]", b"7", b'"u1"', b"{", b"{}{}", b'{"sub":"u1"', b"{'a':1}")
NO_TEXT = (b"\xff", b"\0", b'{"sub":"\xff","exp":9999999999}', b"\xff\xfe{\0}\0")


@pytest.mark.parametrize("body", [*NO_OBJECT, *NO_TEXT])
def test_claims_that_are_no_json_object(body: bytes) -> None:
    assert_invalid(forge_body(body))
    assert_invalid(forge(body, claims()))
    assert_invalid(signed({"kid": "r"}, body))
    assert_invalid(signed(body, claims()))


def test_bytes_where_text_should_be() -> None:
    for good in (forge(header(), claims()), signed({"kid": "r"}, claims())):
        assert_no_part_may_differ(good)


def assert_no_part_may_differ(good: str) -> None:
    """No part of a good token may be any other text."""
    head, body, signature = good.split(".")
    for part in ("!!!!", "=", "a", "\0", "ä", "\udc80", "", body + "==", body[:-1] + "\n"):
        assert_invalid(f"{head}.{part}.{signature}")
        assert_invalid(f"{part}.{body}.{signature}")
        assert_invalid(f"{head}.{body}.{part}")
    for token in ("", ".", "..", "...", good + ".", "." + good, good + "\0", f"{good}.{signature}"):
        assert_invalid(token)


def test_a_signature_holds_for_its_own_text_only() -> None:
    other = base64url(json.dumps(claims(sub="root")).encode())
    for good in (forge(header(), claims()), signed({"kid": "r"}, claims())):
        head, body, signature = good.split(".")
        assert_invalid(f"{head}.{other}.{signature}")
        more = {**json.loads(base64url_decode(head)), "x": 1}
        assert_invalid(f"{base64url(to_json(more))}.{body}.{signature}")


@pytest.mark.parametrize("size", [8193, 100_000, 1_000_000])
def test_huge_tokens_are_not_looked_at(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.authentication.tokens.jwt.get_unverified_header", None)
    monkeypatch.setattr("gateway.authentication.tokens.base64url_decode", None)
    for token in ("a" * size, "." * size):
        assert_invalid(token)
