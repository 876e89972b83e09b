"""Whatever an issuer signs, and whatever names itself its token: a 401 or an identity."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.authentication import Identity
from gateway.errors import Unauthenticated
from tests.authentication.oidc.support import ENTRY, authority, claims, signed, token
from tests.authentication.oidc.test_key_document import JSON

JUDGES = [
    authority(f"{ENTRY}{options}", cache_size=0)
    for options in (
        "",
        ";client_id=a|b;token_use=access|id;roles=a.b.c|cognito:groups;subject=username",
    )
]
WORDS = st.sampled_from(["a", "b", "u1", "access", "id", "at+jwt", "Bearer", "https://issuer.test"])
NAMES = st.sampled_from(
    ["sub", "exp", "nbf", "iat", "iss", "aud", "azp", "client_id", "cid", "appid", "token_use",
     "typ", "cnf", "events", "scope", "scp", "roles", "permissions", "plan", "cognito:groups",
     "username", "realm_access", "a", "a.b", "gty", "idtyp", "preferred_username"]
)  # fmt: skip
HEADER = st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "jku", "x5u", "x5c", "cty"])
VALUES = JSON | WORDS | st.lists(WORDS, max_size=3) | st.dictionaries(NAMES, JSON | WORDS)


def judged(presented: str) -> None:
    """It is an identity that can be told, or a 401."""
    for judge in JUDGES:
        try:
            identity = judge.verify(presented)
        except Unauthenticated:
            continue
        assert isinstance(identity, Identity)
        assert all(value.isascii() and value.isprintable() for _, value in identity.headers)


@given(st.dictionaries(NAMES, VALUES))
@example({"sub": "\udc80"})
@example({"exp": 10**400})
@example({"token_use": []})
def test_random_claims_rightly_signed(changes: dict[str, Any]) -> None:
    judged(signed({"kid": "ES256-0"}, json.dumps({**claims(), **changes}).encode(), "ES256"))


@given(st.dictionaries(HEADER, VALUES))
def test_random_headers_rightly_signed(header: dict[str, Any]) -> None:
    judged(signed({"kid": "ES256-0", **header}, claims(), "ES256"))


@given(st.integers(0, 500), st.integers(0, 255))
def test_a_token_with_one_wrong_byte(at: int, byte: int) -> None:
    good = token("ES256", exp=9999999999)
    at %= len(good)
    if good[at] == chr(byte):
        return
    try:
        JUDGES[0].verify(good[:at] + chr(byte) + good[at + 1 :])
    except Unauthenticated:
        return
    raise AssertionError("a token that nobody signed was believed")
