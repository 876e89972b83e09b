"""Through the whole gateway, with a real issuer beside it: what clients and backends get."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask

from gateway import public, require
from gateway.testing_stub import StubTransport
from tests.authentication.oidc.support import IssuerServer, claims, jwk, signed
from tests.support.gunicorn import wait_for
from tests.support.wsgi import Answer, bearer, call, make_app, stubbed


@dataclass(slots=True)
class House:
    """A gateway whose `/things` needs order:read and whose `/open` needs nothing."""

    issuer: IssuerServer
    options: str = ";audience=api"
    settings: dict[str, Any] = field(default_factory=dict)
    app: Flask = field(init=False)
    backend: StubTransport = field(init=False)

    def __post_init__(self) -> None:
        things, self.backend = stubbed(strip_prefix=False)
        opened, _ = stubbed("open", "/open")
        require("order:read")(things)
        issuers = f"{self.issuer.url}{self.options}"
        self.app = make_app(things, public(opened), OIDC_ISSUERS=issuers, **self.settings)

    def ask(self, token: str = "", path: str = "/things/1", **claims: Any) -> Answer:
        """Ask with a token, default a good one of these claims."""
        token = token or self.issuer.token(**{"scope": "order:read", **claims})
        return call(self.app, path, headers=[("Authorization", f"Bearer {token}")])

    def close(self) -> None:
        """End what goes on beside requests."""
        self.app.extensions["gateway"].pulse.end()


@pytest.fixture
def house(issuer: IssuerServer) -> Iterator[House]:
    """One without keys of its own."""
    house = House(issuer, settings={"JWT_SECRET": ""})
    yield house
    house.close()


def test_a_token_of_the_issuer(house: House) -> None:
    assert house.ask(roles=["admin"]).status == 200
    headers = house.backend.requests[0].headers
    assert (headers["x-user-id"], headers["x-user-roles"]) == ("u1", "admin")
    assert headers["x-user-permissions"] == "order:read"
    assert house.ask(scope="order:write").status == 403
    refused = house.ask(aud="other")
    assert (refused.status, refused.code) == (401, "token_invalid")
    assert (
        'error_description="The token is for another audience."'
        in refused.header("WWW-Authenticate")[0]
    )
    assert house.ask(exp=1).code == "token_expired"
    assert call(house.app, "/things/1").code == "missing_token"
    assert house.issuer.fetches == 1


def test_an_issuer_that_is_down_is_503_where_a_token_is_needed(house: House) -> None:
    house.issuer.outage = True
    refused = house.ask()
    assert (refused.status, refused.code) == (503, "authority_unavailable")
    assert refused.header("Retry-After") == ["1"]
    assert house.issuer.authority not in refused.body.decode()
    assert house.backend.requests == []
    assert house.ask(path="/open/1").status == 200
    house.issuer.outage = False
    assert wait_for(lambda: house.ask().status == 200)


def test_keys_come_without_a_request_that_needs_them(house: House) -> None:
    call(house.app, "/healthz")
    assert wait_for(lambda: house.issuer.fetches == 1)
    assert wait_for(lambda: house.app.extensions["gateway"].state.scan("oidc/") != {})
    assert house.ask().status == 200
    assert house.issuer.fetches == 1


def test_beside_keys_of_the_gateways_own(issuer: IssuerServer) -> None:
    house = House(issuer)
    assert house.ask().status == 200
    own = call(house.app, "/things/1", headers=[bearer("order:read")])
    assert own.status == 200
    # Its own keys do not speak for the issuer, nor the issuer's for nobody.
    assert (
        call(house.app, "/things/1", headers=[bearer("order:read", iss=issuer.url)]).status == 401
    )
    assert house.ask(iss="other").status == 401
    assert house.ask(iss=None).status == 401
    house.close()


def test_a_name_before_its_subjects(issuer: IssuerServer) -> None:
    house = House(issuer, ";audience=api;name=acme")
    assert house.ask(sub="a b").status == 200
    assert house.backend.requests[0].headers["x-user-id"] == "acme:a b"
    house.close()


def test_nothing_that_a_header_names_is_fetched(house: House) -> None:
    """Another issuer waits at every address that a token can bring along; nobody asks there."""
    with IssuerServer(jwk("RS256", 1)) as evil:
        place = f"{evil.url}/keys"
        headers: list[dict[str, Any]] = [
            {"jku": place},
            {"x5u": place},
            {"jwk": jwk("RS256", 1)},
            {"x5c": [place]},
            {"kid": place},
            {"jku": place, "kid": "RS256-1"},
            {"jwk": jwk("RS256", 1), "kid": "RS256-0"},
            {"jku": place, "kid": "RS256-0"},
            {"iss": evil.url, "kid": "RS256-1"},
        ]
        body = claims(iss=house.issuer.url, scope="order:read")
        for header in headers:
            assert house.ask(signed(header, body, "RS256", 1)).status == 401
        for body in (claims(iss=evil.url), claims(iss=house.issuer.url + "@" + evil.authority)):
            assert house.ask(signed({"kid": "RS256-1"}, body, "RS256", 1)).status == 401
        assert evil.calls == []
    honest = signed(
        {"kid": "RS256-0", "jku": place}, claims(iss=house.issuer.url, scope="order:read")
    )
    assert house.ask(honest).status == 200
