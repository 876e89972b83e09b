"""What backends are told of who asks: fields, a token, both or nothing, and never by a client."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from flask import Flask

from gateway import ConfigurationError, Fallback, Identity, Service, public, require
from gateway.testing_stub import StubTransport
from tests.authentication.support import key_pair
from tests.support.wsgi import bearer, call, make_app, stubbed

PRIVATE, PUBLIC = key_pair("ES256")
FIELD = "X-Internal-Token"
USUAL = {"X-User-ID": "ada", "X-User-Roles": "r", "X-User-Permissions": "a:b"}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERNAL_KEY", PRIVATE)


def keyed(*services: Service, **changes: Any) -> Flask:
    """A gateway with a key."""
    return make_app(*services, **{"INTERNAL_TOKEN_KEY": "k1=ES256:env:INTERNAL_KEY", **changes})


def told(stub: StubTransport) -> dict[str, str]:
    """What the only request told of who asks, and the credentials that it had."""
    (sent,) = stub.requests
    names = {*USUAL, FIELD, "Authorization"}
    return {name: sent.headers[name] for name in names if name in sent.headers}


def claims(token: str, audience: str = "things") -> dict[str, Any]:
    """What a token says."""
    return jwt.decode(token, PUBLIC, ["ES256"], audience=audience, issuer="gatehouse")


def ask(identity: str, **changes: Any) -> dict[str, str]:
    """What the backend of a service was told of ada, who forged what she could."""
    service, stub = stubbed(identity=identity, hide_credentials="shown" not in changes)
    changes.pop("shown", None)
    app = keyed(require()(service), **changes)
    forged = [(FIELD, "root"), ("x-user-id", "root"), (FIELD.lower(), "root")]
    headers = [bearer("a:b", roles=["r"]), *forged]
    assert call(app, "/things/7", headers=headers).status == 200
    return told(stub)


def test_fields_as_usual() -> None:
    assert ask("headers") == USUAL
    assert ask("headers", INTERNAL_TOKEN_KEY="") == {**USUAL, FIELD: "root"}  # a field as any other


def test_a_token_instead() -> None:
    found = ask("token")
    assert list(found) == [FIELD]
    said = claims(found[FIELD])
    assert (said["sub"], said["roles"], said["permissions"]) == ("ada", ["r"], ["a:b"])
    assert said["exp"] - said["nbf"] == 65


def test_both() -> None:
    found = ask("both")
    assert claims(found.pop(FIELD))["sub"] == "ada"
    assert found == USUAL


def test_nothing() -> None:
    assert ask("none") == {}


def test_names_and_times_are_settings() -> None:
    changes = {"INTERNAL_TOKEN_HEADER": "X-Who", "INTERNAL_TOKEN_ISSUER": "edge"}
    service, stub = stubbed(identity="token")
    app = keyed(require()(service), **changes, INTERNAL_TOKEN_SECONDS=10)
    assert call(app, "/things/7", headers=[bearer(), (FIELD, "mine")]).status == 200
    sent = stub.requests[0].headers
    said = jwt.decode(sent["X-Who"], PUBLIC, ["ES256"], audience="things", issuer="edge")
    assert said["exp"] - said["iat"] == 15
    assert sent[FIELD] == "mine"


@pytest.mark.parametrize("identity", ["headers", "token", "both", "none"])
def test_an_anonymous_request_carries_none(identity: str) -> None:
    service, stub = stubbed(identity=identity)
    app = keyed(public(service))
    headers = [(FIELD, "root"), ("X-User-ID", "root"), ("Authorization", "Bearer junk")]
    assert call(app, "/things/7", headers=headers).status == 200
    assert told(stub) == {"Authorization": "Bearer junk"}


def test_connection_does_not_take_it_away() -> None:
    service, stub = stubbed(identity="token", hide_credentials=True)
    app = keyed(require()(service))
    headers = [bearer(), ("Connection", FIELD), (FIELD, "root")]
    assert call(app, "/things/7", headers=headers).status == 200
    assert claims(told(stub)[FIELD])["sub"] == "ada"


def test_in_authorization_it_takes_the_place_of_the_clients() -> None:
    found = ask("both", shown=True, INTERNAL_TOKEN_HEADER="Authorization")
    assert found.pop(FIELD) == "root"  # then it is a field as any other
    scheme, _, token = found.pop("Authorization").partition(" ")
    assert (scheme, claims(token)["sub"]) == ("Bearer", "ada")
    assert found == USUAL


@pytest.mark.parametrize(("identity", "passes"), [("token", False), ("headers", True)])
def test_authorization_of_an_anonymous_request(identity: str, passes: bool) -> None:
    service, stub = stubbed(identity=identity)
    app = keyed(public(service), INTERNAL_TOKEN_HEADER="authorization")
    assert call(app, "/things/7", headers=[("Authorization", "Bearer junk")]).status == 200
    assert ("Authorization" in told(stub)) is passes


def test_a_field_of_the_scheme_gives_way_to_the_token() -> None:
    class Vouched:
        name, carried, needs, challenge = "vouched", "request", "nothing", ""
        hides, writes = frozenset[str](), frozenset({"authorization"})

        def find(self, environ: dict[str, Any]) -> str:
            return "x"

        def verify(self, credential: str, environ: dict[str, Any]) -> Identity:
            return Identity("ada", told=(("Authorization", "Basic x"), ("X-Tenant", "acme")))

    service, stub = stubbed(identity="both", authentication=[Vouched()])
    app = keyed(require()(service), INTERNAL_TOKEN_HEADER="Authorization")
    assert call(app, "/things/7").status == 200
    sent = stub.requests[0].headers
    assert claims(sent["Authorization"].removeprefix("Bearer "))["sub"] == "ada"
    assert (sent["X-Tenant"], sent["X-User-ID"]) == ("acme", "ada")


def test_each_service_has_a_token_of_its_own() -> None:
    one, first = stubbed(identity="token")
    two, second = stubbed("others", "/others", identity="token")
    app = keyed(require()(one), require()(two))
    for path in ("/things/7", "/others/7"):
        assert call(app, path, headers=[bearer()]).status == 200
    assert claims(first.requests[0].headers[FIELD])["aud"] == "things"
    assert claims(second.requests[0].headers[FIELD], "others")["aud"] == "others"


def test_a_last_answer_is_found_again_by_another_token() -> None:
    answers = iter([200, 503, 503])

    def backend(*_: object) -> tuple[int, dict[str, str], bytes]:
        return next(answers), {"Content-Length": "2"}, b"ok"

    policies = [Fallback(stale=True, statuses={503})]
    service, stub = stubbed(
        identity="token", backend=backend, hide_credentials=True, policies=policies
    )
    app = keyed(require()(service))
    mine, more = bearer(), bearer("more:than")
    assert call(app, "/things/7", headers=[mine]).status == 200
    app.extensions["gateway"].tokens._clock = lambda: time.time() + 45
    assert call(app, "/things/7", headers=[mine]).status == 200
    first, second = (sent.headers[FIELD] for sent in stub.requests)
    assert first != second
    assert call(app, "/things/7", headers=[more]).status == 503  # of somebody who may see more


@pytest.mark.parametrize(
    ("changes", "identity", "fault"),
    [
        ({"INTERNAL_TOKEN_KEY": ""}, "token", "identity 'token' needs INTERNAL_TOKEN_KEY"),
        ({"INTERNAL_TOKEN_KEY": ""}, "both", "identity 'both' needs INTERNAL_TOKEN_KEY"),
        ({}, "jwt", "identity must be one of headers, token, both, none"),
        ({}, None, "identity must be one of headers, token, both, none"),
        ({"INTERNAL_TOKEN_KEY": " ,"}, "headers", "INTERNAL_TOKEN_KEY lists no key"),
        ({"INTERNAL_TOKEN_KEY": "ES256:env:NO"}, "token", "INTERNAL_TOKEN_KEY entry 1 names a"),
        ({"INTERNAL_TOKEN_HEADER": "Host"}, "token", "INTERNAL_TOKEN_HEADER cannot be Host"),
        ({"INTERNAL_TOKEN_HEADER": "X-User-ID"}, "token", "INTERNAL_TOKEN_HEADER cannot be X-U"),
        ({"INTERNAL_TOKEN_HEADER": "cookie"}, "token", "INTERNAL_TOKEN_HEADER cannot be cookie"),
    ],
)
def test_faults_at_start(changes: dict[str, Any], identity: Any, fault: str) -> None:
    service, _ = stubbed(identity=identity)
    with pytest.raises(ConfigurationError) as refused:
        keyed(require()(service), **changes)
    (found,) = refused.value.faults
    assert fault in found
    assert "PRIVATE" not in found


def test_the_key_set() -> None:
    service, stub = stubbed()
    app = keyed(require()(service), RATE_LIMIT_DEFAULT="1/minute")
    for _ in range(3):  # neither limited, nor does it need a token
        answer = call(app, "/.well-known/jwks.json")
        assert answer.status == 200
    assert answer.header("Content-Type") == ["application/json"]
    assert answer.header("Cache-Control") == ["public, max-age=300"]
    (key,) = answer.json["keys"]
    assert sorted(key) == ["alg", "crv", "kid", "kty", "use", "x", "y"]
    assert call(app, "/.well-known/jwks.json", "HEAD").body == b""
    assert call(app, "/.well-known/jwks.json", "POST").status == 405
    assert stub.requests == []


@pytest.mark.parametrize("key", ["k1=ES256:env:INTERNAL_KEY", ""])
def test_a_service_at_the_root_has_the_path_only_without_a_key(key: str) -> None:
    service, stub = stubbed(prefix="/")
    app = keyed(public(service), INTERNAL_TOKEN_KEY=key)
    answer = call(app, "/.well-known/jwks.json")
    assert answer.status == 200
    assert (answer.body == b"ok") is (key == "")
    assert call(app, "/.well-known/openid-configuration").body == b"ok"
    assert len(stub.requests) == (1 if key else 2)


def test_without_a_key_there_is_no_such_path() -> None:
    service, _ = stubbed()
    app = keyed(require()(service), INTERNAL_TOKEN_KEY="")
    assert call(app, "/.well-known/jwks.json").status == 404


def test_a_forged_token_is_an_event() -> None:
    service, _ = stubbed(identity="headers")
    app = keyed(public(service), SECURITY_LOG=True)
    told: list[bytes] = []
    app.extensions["gateway"].security._write = told.append
    assert call(app, "/things/7", headers=[(FIELD, "root")]).status == 200
    (line,) = told
    assert b'"fields":["x-internal-token"]' in line
