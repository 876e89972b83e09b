"""Introspection in a whole gateway: its place among other ways, its settings, what backends see."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from gateway import ConfigurationError, require
from gateway.authentication.schemes import scheme_faults
from gateway.testing import Received, ScriptedUpstream, Send
from tests.authentication.support import House, build, claims, sign
from tests.support.wsgi import call, make_app, make_settings, stubbed

HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
TOKENS: dict[str, dict[str, Any]] = {
    "opaque": {"active": True, "sub": "alice", "scope": "order:read order:write", "roles": ["x"]},
    "machine": {"active": True, "client_id": "robot", "scope": "order:read"},
    "poor": {"active": True, "sub": "bob"},
}


def serve(upstream: ScriptedUpstream, tokens: dict[str, dict[str, Any]]) -> None:
    """Let it answer as a server that knows these tokens."""

    def answer(received: Received) -> list[Send]:
        (token,) = parse_qs(received.body.decode())["token"]
        body = json.dumps(tokens.get(token, {"active": False})).encode()
        return [Send(HEAD % len(body) + body)]

    upstream.answer(answer)


@pytest.fixture
def server(upstream: ScriptedUpstream) -> ScriptedUpstream:
    """A server that knows TOKENS."""
    serve(upstream, TOKENS)
    return upstream


def settings(server: ScriptedUpstream, **changes: Any) -> dict[str, Any]:
    """What asks this server."""
    return {
        "INTROSPECTION_URL": f"{server.url}/introspect",
        "INTROSPECTION_CLIENT_ID": "gateway",
        "INTROSPECTION_CLIENT_SECRET": "a secret of the gateway",
        **changes,
    }


def ask(house: House, token: str, **environ: str) -> Any:
    """Ask the guarded service with a token."""
    return house.send("/guarded", HTTP_AUTHORIZATION=f"Bearer {token}", **environ)


def test_what_the_backend_is_told(server: ScriptedUpstream) -> None:
    house = build(**settings(server))
    answer = ask(
        house,
        "opaque",
        HTTP_X_TOKEN_SUBJECT="root",
        HTTP_X_TOKEN_SCOPES="everything",
        HTTP_X_USER_ID="root",
    )
    assert answer.status_code == 200
    fields = house.reached.headers.items()
    told = {name: value for name, value in fields if name.startswith(("X-T", "X-U"))}
    assert told == {
        "X-User-ID": "alice",
        "X-User-Roles": "x",
        "X-User-Permissions": "order:read,order:write",
        "X-Token-Subject": "alice",
        "X-Token-Scopes": "order:read order:write",
    }


def test_what_clients_write_is_dropped_without_a_token(server: ScriptedUpstream) -> None:
    house = build(**settings(server))
    house.send("/open", HTTP_X_TOKEN_SUBJECT="root", HTTP_X_TOKEN_SCOPES="everything")
    assert not [name for name in house.reached.headers if name.startswith("X-Token")]


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        ("opaque", 200, None),
        ("machine", 200, None),
        ("unknown", 401, "token_invalid"),
        ("poor", 403, "insufficient_scope"),
    ],
)
def test_the_verdicts(server: ScriptedUpstream, token: str, status: int, code: str | None) -> None:
    answer = ask(build(**settings(server)), token)
    assert answer.status_code == status
    if code is not None:
        assert answer.json["code"] == code
    if status == 401:
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n{",
        b"",
    ],
)
def test_no_verdict_is_503(server: ScriptedUpstream, response: bytes) -> None:
    server.respond(response)
    answer = ask(build(**settings(server, INTROSPECTION_TIMEOUT=0.3)), "opaque")
    assert (answer.status_code, answer.json["code"]) == (503, "authority_unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "WWW-Authenticate" not in answer.headers
    assert str(server.port) not in answer.text


def test_public_routes_go_on_without_a_verdict(server: ScriptedUpstream) -> None:
    server.respond(b"HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
    house = build(**settings(server))
    assert house.send("/open", HTTP_AUTHORIZATION="Bearer opaque").status_code == 200
    assert "X-User-ID" not in dict(house.reached.headers)


def test_keys_of_our_own_judge_json_web_tokens(server: ScriptedUpstream) -> None:
    """The order: whoever has a key for it, then the server for everything else."""
    house = build(**settings(server))
    assert ask(house, sign(claims(scope="order:read"))).status_code == 200
    assert (
        ask(
            house, sign(claims(), key="another key, and a long one, longer than sixty-four bytes")
        ).status_code
        == 401
    )
    assert server.requests == []
    assert ask(house, "opaque").status_code == 200
    assert len(server.requests) == 1


def test_without_keys_it_is_asked_about_all(server: ScriptedUpstream) -> None:
    house = build(**settings(server, JWT_SECRET=""))
    assert ask(house, "opaque").status_code == 200
    assert ask(house, sign(claims(scope="order:read"))).status_code == 401
    assert len(server.requests) == 2


def test_a_service_may_accept_its_verdicts_alone(server: ScriptedUpstream) -> None:
    narrow, _ = stubbed("narrow", "/narrow", authentication=["introspection"])
    usual, _ = stubbed("usual", "/usual")
    signed = sign(claims(scope="order:read"))  # the keys of `make_app` are others
    serve(server, {signed: TOKENS["opaque"]})
    for service in (narrow, usual):
        require("order:read")(service)
    app = make_app(narrow, usual, **settings(server))
    for prefix, calls in (("/usual", 0), ("/narrow", 1)):
        found = call(app, prefix, headers=[("Authorization", f"Bearer {signed}")])
        assert found.status == (200 if calls else 401)
        assert len(server.requests) == calls


def test_a_token_that_is_too_long_is_not_asked_about(server: ScriptedUpstream) -> None:
    house = build(**settings(server))
    for token in ("t" * 8193, "a." + "b" * 9000 + ".c"):
        answer = ask(house, token)
        assert (answer.status_code, answer.json["code"]) == (401, "token_invalid")
    assert server.requests == []


def test_a_line_break_in_a_cookie_reaches_nobody(server: ScriptedUpstream) -> None:
    cookie = 'access_token="opaque\\015\\012X-Forged: 1"'
    assert build(**settings(server)).send("/guarded", HTTP_COOKIE=cookie).status_code == 401
    assert server.requests == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"INTROSPECTION_CLIENT_ID": ""}, "INTROSPECTION_URL needs INTROSPECTION_CLIENT_ID"),
        (
            {"INTROSPECTION_CLIENT_SECRET": ""},
            "INTROSPECTION_URL needs INTROSPECTION_CLIENT_SECRET",
        ),
        ({"INTROSPECTION_URL": ""}, "INTROSPECTION_CLIENT_ID needs INTROSPECTION_URL"),
        ({"INTROSPECTION_URL": "http://as.test/x"}, "INTROSPECTION_URL must be https"),
        ({"INTROSPECTION_URL": "as.test"}, "INTROSPECTION_URL must be http(s)://host"),
        ({"INTROSPECTION_URL": "https://u:geheim@as.test/x"}, "INTROSPECTION_URL must be http(s)"),
        ({"INTROSPECTION_URL": "https://as.test/x?tenant=1"}, "INTROSPECTION_URL must be http(s)"),
    ],
)
def test_faults_are_told_at_the_start(changes: dict[str, Any], fault: str) -> None:
    whole = {
        "INTROSPECTION_URL": "https://as.test/introspect",
        "INTROSPECTION_CLIENT_ID": "gateway",
        "INTROSPECTION_CLIENT_SECRET": "a secret of the gateway",
        **changes,
    }
    with pytest.raises(ConfigurationError) as caught:
        make_app(stubbed()[0], **whole)
    assert [one for one in caught.value.faults if one.startswith(fault)]
    assert "a secret" not in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"INTROSPECTION_URL": "https://as.test"},
        {"INTROSPECTION_URL": "http://localhost:8080/x"},
        {"INTROSPECTION_URL": "http://127.1.2.3/x/"},
        {"INTROSPECTION_URL": "http://[::1]:8080/x"},
        {"INTROSPECTION_URL": "http://as.internal/x", "INTROSPECTION_PLAIN_HTTP": True},
    ],
)
def test_addresses_that_are_accepted(changes: dict[str, Any]) -> None:
    both = {"INTROSPECTION_CLIENT_ID": "a", "INTROSPECTION_CLIENT_SECRET": "b"}
    assert scheme_faults(make_settings(**both, **changes)) == []


def test_the_secret_is_not_shown() -> None:
    assert "geheim" not in repr(make_settings(INTROSPECTION_CLIENT_SECRET="geheim"))
