"""What a backend is told about the caller, whatever the caller is called."""

from __future__ import annotations

import dataclasses
from urllib.parse import quote, unquote

import pytest
from flask import Blueprint, Response
from hypothesis import given
from hypothesis import strategies as st

from gateway import Service, create_app, current_identity, public
from gateway.authentication import Identity
from gateway.testing_stub import StubTransport
from settings import Settings
from tests.authentication.support import SECRET, build, claims, forge_body, sign, to_json

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def told(identity: Identity) -> dict[str, str]:
    """The fields that an identity becomes."""
    return dict(identity.headers)


def test_an_identity_as_three_fields_that_are_always_there() -> None:
    full = Identity("u1", roles=("admin", "ops"), permissions=("order:read", "order:*"))
    assert full.headers == (
        ("X-User-ID", "u1"),
        ("X-User-Roles", "admin,ops"),
        ("X-User-Permissions", "order:read,order:*"),
    )
    assert [value for _, value in Identity("u2").headers] == ["u2", "", ""]


@pytest.mark.parametrize(
    ("subject", "field"),
    [
        ("auth0|5f7c8ec7c33c6c004bbafe82", "auth0|5f7c8ec7c33c6c004bbafe82"),
        ("ann.o'neil+x@example.com", "ann.o'neil+x@example.com"),
        ("https://id.example/u?a=1&b=2#c", "https://id.example/u?a=1&b=2#c"),
        ("Ann Lee", "Ann Lee"),
        (" Ann  Lee  ", "%20Ann  Lee%20%20"),
        ("  ", "%20%20"),
        ("a\r\nX-User-Roles: admin", "a%0D%0AX-User-Roles: admin"),
        ("a\nb\rc\0d\te\x7f", "a%0Ab%0Dc%00d%09e%7F"),
        ("a,b", "a%2Cb"),
        ("100%", "100%25"),
        ("%0D%0A", "%250D%250A"),
        ("Zoë", "Zo%C3%AB"),
        ("\u2028\u0085\u00a0", "%E2%80%A8%C2%85%C2%A0"),
        ("\N{GRINNING FACE}", "%F0%9F%98%80"),
    ],
)
def test_what_could_break_a_field_is_percent_encoded(subject: str, field: str) -> None:
    identity = Identity(subject, roles=(subject, "x"), permissions=("x", subject))
    assert told(identity) == {
        "X-User-ID": field,
        "X-User-Roles": f"{field},x",
        "X-User-Permissions": f"x,{field}",
    }


@given(WORDS, st.lists(WORDS))
def test_every_word_arrives_whole_and_alone(subject: str, words: list[str]) -> None:
    fields = told(Identity(subject, roles=tuple(words), permissions=tuple(words)))
    for value in fields.values():
        assert value.isascii()
        assert value.isprintable()
        assert value == value.strip()
    assert unquote(fields["X-User-ID"]) == subject
    assert "," not in fields["X-User-ID"]
    listed = fields["X-User-Roles"].split(",") if words else []
    assert [unquote(word) for word in listed] == words


def test_an_identity_cannot_be_changed() -> None:
    identity = Identity("u1")
    with pytest.raises(dataclasses.FrozenInstanceError):
        identity.subject = "root"  # type: ignore[misc]


@pytest.mark.parametrize("path", ["/guarded/7", "/open/7"])
def test_strange_claims_reach_the_backend_as_text(path: str) -> None:
    house = build()
    evil = "u\r\nX-User-ID: root\r\n\r\nGET /admin"
    body = claims(sub=evil, roles=["a,admin", "ü"], permissions=["order:read", "x\ny"])
    answer = house.send(path, HTTP_AUTHORIZATION=f"Bearer {forge_body(to_json(body))}")
    assert answer.status_code == 200
    headers = house.reached.headers
    assert unquote(headers["X-User-ID"]) == evil
    assert headers["X-User-Roles"] == "a%2Cadmin,%C3%BC"
    assert headers["X-User-Permissions"] == "order:read,x%0Ay"
    assert not [value for value in headers.values() if "\n" in value or "\r" in value]


def test_two_callers_are_never_told_as_one() -> None:
    house = build()
    for name in ("ann", " ann", "ann ", "ann%20", "Ann"):
        token = sign(claims(sub=name, permissions=["order:read"]))
        assert house.send("/guarded/7", HTTP_AUTHORIZATION=f"Bearer {token}").status_code == 200
    seen = [asked.headers["X-User-ID"] for asked in house.backend.requests]
    assert len(set(seen)) == len(seen)


def test_a_view_sees_who_asks() -> None:
    seen: list[Identity | None] = []
    inner = Blueprint("inner", __name__)
    backend = StubTransport(lambda *_: (204, {}, b""))

    @inner.get("/who")
    @public
    def who() -> Response:
        seen.append(current_identity())
        return Response(status=204)

    service = Service(
        "outer", __name__, url_prefix="/outer", upstream="http://b.test", session=backend.session()
    )
    service.register_blueprint(inner)
    public(service)
    settings = Settings(JWT_SECRET=SECRET, STATE_URL="memory://", ALLOW_MEMORY_STATE=True)
    client = create_app(settings, services=[service]).test_client()
    token = sign(claims(sub=quote("ä"), roles=["x"]))
    client.get("/outer/who")
    client.get("/outer/who", headers={"Authorization": f"Bearer {token}"})
    client.get("/outer/who")
    assert [one and (one.subject, one.roles) for one in seen] == [None, ("%C3%A4", ("x",)), None]
