"""Tokens for backends: what they say, and for how long one is used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jwt
import pytest

from gateway import Identity
from gateway.authentication.internal_tokens import InternalTokens
from gateway.authentication.signing_keys import load_signing_keys
from gateway.exchange import SignedValue
from tests.authentication.support import key_pair

PRIVATE, PUBLIC = key_pair("EdDSA")
ADA = Identity(
    "ada",
    kind="client",
    roles=("admin", "x"),
    permissions=("order:read", "a b"),
    scopes=("orders.read", "more"),
    plan="gold",
    claims={"secret": "of the issuer"},
)


class Clock:
    """A clock that is set."""

    now = 1_800_000_000.7

    def __call__(self) -> float:
        return self.now


def issuer(clock: Clock, header: str = "X-Internal-Token", most: int = 100) -> InternalTokens:
    """Tokens that live for a minute."""
    keys, _ = load_signing_keys("k1=EdDSA:env:MINE", {"MINE": PRIVATE})
    return InternalTokens(keys, header=header, issuer="edge", seconds=60, clock=clock, most=most)


def claims(value: str, audience: str = "orders") -> dict[str, Any]:
    """What a token says; its times are the test's and not today's."""
    return jwt.decode(
        value,
        PUBLIC,
        algorithms=["EdDSA"],
        audience=audience,
        issuer="edge",
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )


def test_what_a_token_says() -> None:
    ((name, value),) = issuer(Clock()).teller("orders")(ADA)
    assert name == "X-Internal-Token"
    assert jwt.get_unverified_header(value) == {"alg": "EdDSA", "typ": "JWT", "kid": "k1"}
    assert claims(value) == {
        "iss": "edge",
        "aud": "orders",
        "sub": "ada",
        "iat": 1_799_999_995,
        "nbf": 1_799_999_995,
        "exp": 1_800_000_060,
        "kind": "client",
        "roles": ["admin", "x"],
        "permissions": ["order:read", "a b"],
        "scope": "orders.read more",
        "plan": "gold",
    }


def test_in_authorization_it_is_a_bearer_token() -> None:
    ((name, value),) = issuer(Clock(), "Authorization").teller("orders")(ADA)
    assert (name, value[:7]) == ("Authorization", "Bearer ")
    assert claims(value[7:])["sub"] == "ada"


def test_one_is_used_for_half_of_its_time() -> None:
    clock = Clock()
    tell = issuer(clock).teller("orders")
    first = tell(ADA)
    clock.now += 29.9
    assert tell(replace(ADA, claims={"another": "request"})) is first
    clock.now += 0.2
    second = tell(ADA)
    assert second != first
    assert claims(second[0][1])["exp"] == int(clock.now) + 60
    assert tell(ADA) is second


def test_a_clock_that_is_set_back_does_not_leave_one_from_the_future() -> None:
    clock = Clock()
    tell = issuer(clock).teller("orders")
    first = tell(ADA)
    clock.now -= 3600
    assert claims(tell(ADA)[0][1])["iat"] < claims(first[0][1])["iat"]


OTHERS = [
    replace(ADA, subject="bob"),
    replace(ADA, kind="user"),
    replace(ADA, roles=("admin",)),
    replace(ADA, permissions=("order:read", "a", "b")),
    replace(ADA, scopes=("orders.read",)),
    replace(ADA, plan=""),
]


@pytest.mark.parametrize("other", OTHERS)
def test_nobody_gets_the_token_of_another(other: Identity) -> None:
    tokens = issuer(Clock())
    tell = tokens.teller("orders")
    ((_, mine),), ((_, others),) = tell(ADA), tell(other)
    assert mine != others
    assert isinstance(mine, SignedValue)
    assert isinstance(others, SignedValue)
    assert mine.meaning != others.meaning
    assert claims(tokens.teller("users")(ADA)[0][1], "users")["aud"] == "users"


def test_what_it_means_outlasts_it() -> None:
    clock = Clock()
    tell = issuer(clock).teller("orders")
    ((_, first),) = tell(ADA)
    clock.now += 40
    ((_, second),) = tell(ADA)
    assert isinstance(first, SignedValue)
    assert isinstance(second, SignedValue)
    assert (first == second, first.meaning == second.meaning) == (False, True)


def test_what_is_remembered_is_bounded() -> None:
    tokens = issuer(Clock(), most=3)
    tell = tokens.teller("orders")
    for number in range(10):
        tell(replace(ADA, subject=str(number)))
    assert len(tokens._known) == 3


def test_the_first_key_signs_and_all_are_published() -> None:
    environ = {"MINE": PRIVATE, "NEXT": key_pair("ES256")[0]}
    keys, _ = load_signing_keys("new=ES256:env:NEXT,k1=EdDSA:env:MINE", environ)
    tokens = InternalTokens(keys, header="X-T", issuer="edge", seconds=60)
    ((_, value),) = tokens.teller("orders")(ADA)
    assert jwt.get_unverified_header(value)["kid"] == "new"
    assert b'"new"' in tokens.key_set
    assert b'"k1"' in tokens.key_set


def test_there_is_no_token_of_nobody() -> None:
    tell = issuer(Clock()).teller("orders")
    assert tell(Identity("", kind="anonymous")) == ()
    ((_, value),) = tell(Identity("", kind="anonymous", permissions=("order:read",)))
    assert "sub" not in claims(value)
    assert claims(value)["permissions"] == ["order:read"]
