"""What an authorisation server's answer makes of a token."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.authentication.decisions import NoDecision
from gateway.authentication.identity import Identity
from gateway.authentication.introspection_answer import AnswerRules, Denied

NOW = 1_000_000.0
INACTIVE = Denied()


def read(rules: AnswerRules | None = None, **said: Any) -> Identity | Denied:
    """The verdict on an answer; it says that the token is active and whose it is, unless told."""
    whole = {"active": True, "sub": "alice", **said}
    body = json.dumps({name: value for name, value in whole.items() if value is not ...})
    return (rules or AnswerRules(leeway=30)).read(body.encode(), NOW)


def identity(**said: Any) -> Identity:
    """Who an answer makes of the bearer."""
    found = read(**said)
    assert isinstance(found, Identity)
    return found


@pytest.mark.parametrize("active", [False, None, "true", "True", 1, 1.0, [True], {"a": 1}, ""])
def test_only_true_is_active(active: object) -> None:
    assert read(active=active) == INACTIVE


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"active",
        b"{",
        b"[]",
        b"true",
        b"null",
        b'"active"',
        b"{}",
        b'{"error": "x"}',
        b'{"ACTIVE": true, "sub": "alice"}',
        b'{"active": true, "sub": "alice"',
        b'{"active": true, "sub": "\xff"}',
        b'{"active": true, "sub": "\\ud800"}',
        b'{"active": true, "sub": "alice", "exp": NaN}',
        b"[" * 5000,
    ],
)
def test_what_is_no_answer_is_no_decision(body: bytes) -> None:
    with pytest.raises(NoDecision):
        AnswerRules().read(body, NOW)


@pytest.mark.parametrize(
    "said",
    [
        {"sub": ["alice"]},
        {"sub": True},
        {"sub": 1.5},
        {"sub": None, "username": {}},
        {"client_id": []},
        {"exp": "1000060"},
        {"exp": True},
        {"exp": [1]},
        {"nbf": "0"},
        {"scope": {"read": True}},
        {"scope": ["read", 7]},
        {"scope": 7},
        {"roles": {"a": "b"}},
        {"roles": [""]},
        {"permissions": 7},
        {"token_type": 1.5},
        {"token_use": []},
    ],
)
def test_members_of_another_type_are_no_decision(said: dict[str, Any]) -> None:
    with pytest.raises(NoDecision) as caught:
        read(**said)
    assert not caught.value.down


@pytest.mark.parametrize("said", [{"aud": 1.5}, {"aud": {}}, {"iss": []}])
def test_so_are_those_that_are_looked_at(said: dict[str, Any]) -> None:
    assert isinstance(read(**said), Identity)
    with pytest.raises(NoDecision):
        read(AnswerRules(issuer="x", audience="y"), **{"iss": "x", **said})


def test_a_person() -> None:
    found = identity(
        client_id="app",
        username="Alice A.",
        scope="order:read  order:write",
        roles=["admin", "b,c"],
        permissions=["order:read", "refund"],
        plan="gold",
    )
    assert (found.subject, found.kind, found.plan) == ("alice", "user", "gold")
    assert found.scopes == ("order:read", "order:write")
    assert found.permissions == ("order:read", "refund", "order:write")
    assert found.roles == ("admin", "b,c")
    assert found.scheme == "introspection"
    assert found.claims["username"] == "Alice A."


@pytest.mark.parametrize(
    ("said", "subject", "kind"),
    [
        ({"sub": ..., "client_id": "app"}, "app", "client"),
        ({"sub": "app", "client_id": "app"}, "app", "client"),
        ({"sub": "", "client_id": "app"}, "app", "client"),
        ({"sub": None, "username": "al", "client_id": "app"}, "al", "user"),
        ({"sub": 42, "client_id": "app"}, "42", "user"),
        ({"sub": "alice"}, "alice", "user"),
    ],
)
def test_who_it_is(said: dict[str, Any], subject: str, kind: str) -> None:
    found = identity(**said)
    assert (found.subject, found.kind) == (subject, kind)


def test_nobody() -> None:
    assert read(sub=...) == Denied("The token names no subject.")


def test_what_backends_are_told() -> None:
    told = dict(identity(sub=" a,b\u00e9\r\n", scope=["x y", "p,q", "order:read"]).headers)
    assert told == {
        "X-User-ID": "%20a%2Cb%C3%A9%0D%0A",
        "X-User-Roles": "",
        "X-User-Permissions": "x y,p%2Cq,order:read",
        "X-Token-Subject": "%20a%2Cb%C3%A9%0D%0A",
        "X-Token-Scopes": "x%20y p%2Cq order:read",
    }


@pytest.mark.parametrize(("exp", "good"), [(NOW - 31, False), (NOW - 30, False), (NOW - 29, True)])
def test_exp_with_leeway(exp: float, good: bool) -> None:
    expired = Denied("The token has expired.", "token_expired")
    assert isinstance(read(exp=exp), Identity) if good else read(exp=exp) == expired


@pytest.mark.parametrize(("nbf", "good"), [(NOW + 31, False), (NOW + 30, True), (NOW, True)])
def test_nbf_with_leeway(nbf: float, good: bool) -> None:
    assert isinstance(read(nbf=nbf), Identity) if good else read(nbf=nbf) == INACTIVE


@pytest.mark.parametrize("token_type", [..., None, "", "Bearer", "bearer", "BEARER"])
def test_bearer_tokens(token_type: object) -> None:
    assert isinstance(read(token_type=token_type), Identity)


@pytest.mark.parametrize(
    "said",
    [
        {"token_type": "DPoP"},
        {"token_type": "mac"},
        {"token_type": "refresh_token"},
        {"token_type": "Bearer", "token_use": "refresh_token"},
        {"token_use": "id"},
        {"cnf": {"x5t#S256": "abc"}},
        {"cnf": {"jkt": "abc"}, "token_type": "Bearer"},
        {"cnf": "abc"},
    ],
)
def test_tokens_that_their_bearer_alone_may_not_use(said: dict[str, Any]) -> None:
    found = read(**said)
    assert isinstance(found, Denied)
    assert found.slug == "token_invalid"


@pytest.mark.parametrize(
    ("aud", "good"),
    [("api", True), (["x", "api"], True), ("api2", False), (["x"], False), ([], False), (..., 0)],
)
def test_the_audience(aud: object, good: bool) -> None:
    found = read(AnswerRules(audience="api"), aud=aud)
    assert isinstance(found, Identity) if good else isinstance(found, Denied)


@pytest.mark.parametrize(("iss", "good"), [("https://as", True), ("https://as/", False), (..., 0)])
def test_the_issuer(iss: object, good: bool) -> None:
    found = read(AnswerRules(issuer="https://as"), iss=iss)
    assert isinstance(found, Identity) if good else found == INACTIVE
