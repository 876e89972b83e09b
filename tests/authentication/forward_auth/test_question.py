"""What the authorisation service is told about a request, and what it never is."""

from __future__ import annotations

import pytest

from gateway.authentication.forward_auth import NEVER_SENT
from gateway.testing import ScriptedUpstream
from tests.authentication.forward_auth.support import ALLOWED, build
from tests.authentication.support import key_pair
from tests.support.wsgi import call

#: Fields of which the gateway refuses a wrong value by itself, or takes a right one over.
ANSWERED = {"host", "content-length", "transfer-encoding", "x-request-id"}


def test_it_is_asked_with_a_get_about_the_request_as_it_was_sent(
    upstream: ScriptedUpstream,
) -> None:
    upstream.respond(ALLOWED)
    house = build(upstream)
    sent = [
        ("Authorization", "Bearer abc"),
        ("Cookie", "session=1"),
        ("X-Request-ID", "of-the-client.1"),
        ("Accept", "text/html"),
    ]
    answer = call(house.app, "/users/%7e?q=%2F&&", "DELETE", sent, b"the body")
    assert answer.status == 200
    asked = house.asked
    assert (asked.method, asked.target, asked.body) == (b"GET", b"/validate", b"")
    assert asked.header(b"Host") == [upstream.url.removeprefix("http://").encode()]
    expected = {
        b"Authorization": b"Bearer abc",
        b"Cookie": b"session=1",
        b"Accept": b"text/html",
        b"X-Request-ID": b"of-the-client.1",
        b"X-Original-URI": b"/users/%7e?q=%2F&&",
        b"X-Original-Method": b"DELETE",
        b"X-Forwarded-Method": b"DELETE",
        b"X-Forwarded-Uri": b"/users/%7e?q=%2F&&",
        b"X-Forwarded-Proto": b"http",
        b"X-Forwarded-Host": b"gateway.example",
        b"X-Forwarded-For": b"192.0.2.1",
    }
    assert {name: asked.header(name) for name in expected} == {
        name: [value] for name, value in expected.items()
    }
    assert len(asked.headers) == len(expected) + 1


@pytest.mark.parametrize("name", sorted(NEVER_SENT - ANSWERED))
def test_what_a_client_cannot_tell_it(upstream: ScriptedUpstream, name: str) -> None:
    upstream.respond(ALLOWED)
    house = build(upstream)
    assert house.ask("/users/7", "GET", (name, "forged-by-client")).status == 200
    assert b"forged-by-client" not in house.asked.head


def test_returned_names_and_those_in_connection_are_not_sent_either(
    upstream: ScriptedUpstream,
) -> None:
    upstream.respond(ALLOWED)
    house = build(upstream, returns=["X-User-ID", "Remote-User"], subject="Remote-User")
    fields = [("Remote-User", "forged"), ("Connection", "X-Hop"), ("X-Hop", "forged")]
    house.ask("/users/7", "GET", *fields)
    assert b"forged" not in house.asked.head


def test_a_trusted_proxys_chain_is_passed_on(upstream: ScriptedUpstream) -> None:
    upstream.respond(ALLOWED)
    house = build(upstream, settings={"TRUSTED_PROXIES": "192.0.2.0/24"})
    told = [("X-Forwarded-For", "198.51.100.9"), ("X-Forwarded-Proto", "https")]
    house.ask("/users/7", "GET", *told)
    assert house.asked.header(b"X-Forwarded-For") == [b"198.51.100.9, 192.0.2.1"]
    assert house.asked.header(b"X-Forwarded-Proto") == [b"https"]


def test_only_a_selection_is_sent(upstream: ScriptedUpstream) -> None:
    upstream.respond(ALLOWED)
    house = build(upstream, sends=["x-api-key", "Cookie"])
    fields = [("X-Api-Key", "k"), ("Authorization", "Bearer abc"), ("User-Agent", "curl")]
    house.ask("/users/7", "GET", *fields)
    assert house.asked.header(b"X-Api-Key") == [b"k"]
    for name in (b"Authorization", b"Cookie", b"User-Agent"):
        assert house.asked.header(name) == []


def test_the_url_may_have_a_query_and_a_last_slash(upstream: ScriptedUpstream) -> None:
    from gateway import ForwardAuth, require
    from tests.support.wsgi import make_app, stubbed

    upstream.respond(ALLOWED)
    for path in ("/oauth2/auth?allowed_groups=a,b", "/verify/", ""):
        forward = ForwardAuth(upstream.url + path)
        service, _ = stubbed(authentication=[forward])
        assert call(make_app(require()(service)), "/things/x").status == 200
    targets = [received.target for received in upstream.requests]
    assert targets == [b"/oauth2/auth?allowed_groups=a,b", b"/verify/", b"/"]


def test_public_methods_are_not_asked_about(upstream: ScriptedUpstream) -> None:
    house = build(upstream)
    assert house.ask("/open/7").status == 200
    assert house.ask("/nowhere").status == 404
    assert upstream.requests == []


def test_a_value_that_only_looks_odd_is_sent_as_it_is(upstream: ScriptedUpstream) -> None:
    upstream.respond(ALLOWED)
    house = build(upstream, fail_open=True)
    assert house.ask("/users/7", "GET", ("X-Odd", "\xa0\x85odd\xff")).status == 200
    assert house.told.headers["X-User-ID"] == "u7"  # it was asked, and decided
    assert b"X-Odd: \xa0\x85odd\xff" in house.asked.head


def test_what_is_listed_is_not_sent_either_where_the_backend_does_not_get_it(
    upstream: ScriptedUpstream,
) -> None:
    upstream.respond(ALLOWED)
    house = build(upstream, sends=["X-Tenant", "X-Other"])
    fields = [("X-Tenant", "acme"), ("X-Other", "x"), ("Connection", "keep-alive, x-tenant")]
    assert house.ask("/users/7", "GET", *fields).status == 200
    assert house.asked.header(b"X-Tenant") == []
    assert house.asked.header(b"X-Other") == [b"x"]
    assert "X-Tenant" not in house.told.headers


@pytest.mark.parametrize("sends", [None, ["X-Proved-By-Tls", "X-Signed"]])
def test_what_only_proxies_and_the_gateway_write_is_not_taken_from_a_client(
    upstream: ScriptedUpstream, sends: list[str] | None
) -> None:
    upstream.respond(ALLOWED)
    settings = {
        "CLIENT_CERTIFICATES": ("X-Proved-By-Tls",),
        "TRUSTED_PROXIES": ("10.0.0.0/8",),
        "INTERNAL_TOKEN_KEY": "EdDSA:env:INTERNAL",
        "INTERNAL_TOKEN_HEADER": "X-Signed",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERNAL", key_pair("EdDSA")[0])
        house = build(upstream, settings=settings, sends=sends)
    forged = [("X-Proved-By-Tls", "forged-by-client"), ("X-Signed", "forged-by-client")]
    assert house.ask("/users/7", "GET", *forged).status == 200
    assert b"forged-by-client" not in house.asked.head
