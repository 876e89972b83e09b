"""Whatever is sent as a credential, it is a 401 or an identity, and never an accident."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.authentication import Authenticator, Identity
from gateway.authentication.bearer import Bearer
from gateway.errors import Unauthenticated
from tests.authentication.support import (
    build,
    claims,
    forge,
    forge_body,
    key_pair,
    keys_of,
    sign,
    to_json,
    verifier,
)

VERIFIER = verifier()
AUTHENTICATOR = Authenticator([Bearer([VERIFIER], "x-access-tokens", "access_token")])
HOUSE = build()

#: What a WSGI server hands over: bytes as Latin-1.
FIELDS = st.text(st.characters(max_codepoint=255), max_size=200)
SEGMENTS = st.one_of(
    FIELDS, st.binary(max_size=60).map(lambda data: base64.urlsafe_b64encode(data).decode())
)
TOKENS = st.one_of(FIELDS, st.lists(SEGMENTS, min_size=1, max_size=5).map(".".join))
SCHEMES = st.sampled_from(["Bearer ", "bearer ", "Bearer", "BEARER  ", "Basic ", "", "\t", ","])
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = (
    "sub",
    "user_id",
    "exp",
    "nbf",
    "iat",
    "iss",
    "aud",
    "jti",
    "roles",
    "permissions",
    "scope",
)
CLAIMS = st.dictionaries(st.sampled_from(NAMES), JSON)
HEADERS = st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "cty"]), JSON)


@given(st.text() | TOKENS)
@example("\udc80.\udc80.\udc80")
@example("é.é.é")
def test_random_tokens_are_refused(token: str) -> None:
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(token)


@given(
    st.sampled_from(["HTTP_AUTHORIZATION", "HTTP_X_ACCESS_TOKENS", "HTTP_COOKIE"]), SCHEMES, TOKENS
)
def test_random_fields_are_refused(place: str, scheme: str, text: str) -> None:
    for value in (scheme + text, f"access_token={scheme}{text}", f'access_token="{text}'):
        with pytest.raises(Unauthenticated):
            AUTHENTICATOR.authenticate({"REQUEST_METHOD": "GET", place: value})


@given(CLAIMS, st.booleans())
@example({"sub": "u1", "exp": 10**400}, False)
@example({"exp": "99999999999"}, True)
@example({"exp": float("nan")}, True)
@example({"sub": "\udc80"}, True)
def test_random_claims_rightly_signed(body: dict[str, object], completed: bool) -> None:
    if completed:
        body = {**claims(), **body}
    try:
        identity = VERIFIER.verify(forge_body(to_json(body)))
    except Unauthenticated:
        return
    assert isinstance(identity, Identity)
    assert all(value.isascii() and value.isprintable() for _, value in identity.headers)


@given(HEADERS, st.sampled_from(["RS256", "ES256", "EdDSA"]))
def test_random_headers_with_every_kind_of_key(header: dict[str, object], algorithm: str) -> None:
    keys = keys_of(f"k={algorithm}:env:A", A=key_pair(algorithm)[1])
    for fields in (header, {**header, "alg": algorithm}, {**header, "alg": algorithm, "kid": "k"}):
        with pytest.raises(Unauthenticated):
            type(VERIFIER)(keys).verify(forge(fields, claims()))


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_token_with_one_wrong_byte(at: int, byte: int) -> None:
    good = sign(claims(exp=9999999999))
    at %= len(good)
    if good[at] == chr(byte):
        return
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(good[:at] + chr(byte) + good[at + 1 :])


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(SCHEMES, TOKENS, st.sampled_from(["GET", "POST"]))
@example("Bearer ", "\0", "GET")
@example("Bearer ", "\r\nX-User-ID: root", "POST")
def test_through_the_whole_gateway_it_is_a_401(scheme: str, text: str, method: str) -> None:
    places = {
        "HTTP_AUTHORIZATION": scheme + text,
        "HTTP_X_ACCESS_TOKENS": text or "x",
        "HTTP_COOKIE": f"access_token={text}",
    }
    for name, value in places.items():
        answer = HOUSE.send("/guarded/7", method=method, **{name: value})
        assert answer.status_code == 401, answer.text
        assert json.loads(answer.data)["code"] in {"missing_token", "token_invalid"}
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="gateway"')
        assert HOUSE.backend.requests == []
        with HOUSE.send("/open/7", method=method, **{name: value}) as answer:
            assert answer.status_code == 200
        assert "X-User-ID" not in HOUSE.backend.requests.pop().headers
