"""Against a real authorisation server, the npm package `oidc-provider`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from gateway import Service, create_app, current_identity, require
from tests.support.gunicorn import wait_for
from tests.support.node import needs_node
from tests.support.oidc_provider import (
    Config,
    OidcProvider,
    Resource,
    start_oidc_provider,
)
from tests.support.wsgi import Answer, call, make_settings

pytestmark = needs_node

Make = Callable[..., Flask]
API = "https://api.example"
OTHER = "https://other.example"


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    """A server that signs with RSA, and for another API with an elliptic curve."""
    config = Config(
        resources={API: Resource(), OTHER: Resource(alg="ES256")},
        algorithms=("RS256", "ES256"),
        claims={"ada": {"realm_access": {"roles": ["admin"]}, "permissions": ["order:read"]}},
    )
    with start_oidc_provider(config) as running:
        yield running


@pytest.fixture
def gateway(provider: OidcProvider) -> Iterator[Make]:
    """Make gateways that believe it; they end with the test."""
    made: list[Flask] = []

    def make(options: str = f";audience={API}") -> Flask:
        made.append(telling(provider, options))
        return made[-1]

    yield make
    for app in made:
        app.extensions["gateway"].pulse.end()


def telling(provider: OidcProvider, options: str) -> Flask:
    """A gateway that tells who asks."""
    things = Service("things", __name__, url_prefix="/things", upstream="")

    @things.get("/who")
    def who() -> dict[str, object]:
        identity = current_identity()
        assert identity is not None
        return {
            "subject": identity.subject,
            "kind": identity.kind,
            "roles": identity.roles,
            "permissions": identity.permissions,
        }

    require()(things)
    settings = make_settings(JWT_SECRET="", OIDC_ISSUERS=provider.issuer + options)
    return create_app(settings, services=[things])


def ask(app: Flask, token: str) -> Answer:
    """What a token is answered."""
    return call(app, "/things/who", headers=[("Authorization", f"Bearer {token}")])


def test_tokens_of_users_and_of_clients(provider: OidcProvider, gateway: Make) -> None:
    app = gateway()
    token = provider.issue(account="ada", scope="read write", resource=API)
    assert ask(app, token).json == {
        "subject": "ada",
        "kind": "user",
        "roles": ["admin"],
        "permissions": ["order:read", "read", "write"],
    }
    machine = ask(app, provider.token("caller", scope="read", resource=API)).json
    assert (machine["kind"], machine["permissions"]) == ("client", ["read"])
    assert provider.calls("/jwks") == 1


def test_what_the_server_signed_for_others_is_refused(
    provider: OidcProvider, gateway: Make
) -> None:
    token = provider.issue(account="ada", resource=OTHER)
    assert ask(gateway(), token).status == 401
    assert ask(gateway(f";audience={OTHER};token_use=access"), token).status == 200
    own = provider.issue("caller", account="ada", resource=API)
    assert ask(gateway(";client_id=caller"), own).status == 200
    assert ask(gateway(";client_id=poster"), own).status == 401
    assert ask(gateway(), provider.issue(account="ada")).status == 401  # opaque


def test_its_keys_change(provider: OidcProvider, gateway: Make) -> None:
    app = gateway()
    first = provider.issue(account="ada", resource=API)
    assert ask(app, first).status == 200
    provider.rotate(keep=True)
    second = provider.issue(account="ada", resource=API)
    assert ask(app, second).status == 200
    assert ask(app, first).status == 200
    assert provider.calls("/jwks") == 2


def test_keys_that_are_gone(provider: OidcProvider, gateway: Make) -> None:
    app = gateway()
    first = provider.issue(account="ada", resource=API)
    assert ask(app, first).status == 200
    provider.rotate()
    assert ask(app, provider.issue(account="ada", resource=API)).status == 200
    assert ask(app, first).status == 401


@pytest.mark.parametrize("how", ["stopped", "hangs"])
def test_a_server_that_does_not_answer(provider: OidcProvider, gateway: Make, how: str) -> None:
    app, late = gateway(), gateway()
    known = provider.issue(account="ada", resource=API)
    assert ask(app, known).status == 200
    another = provider.issue(account="ada", resource=API)
    provider.rotate(keep=True)
    new = provider.issue(account="ada", resource=API)
    if how == "stopped":
        provider.stop()
    else:
        provider.hang()
    assert ask(app, another).status == 200
    assert ask(app, new).status == 503
    assert ask(late, known).status == 503
    if how == "hangs":
        provider.go_on()
        assert wait_for(lambda: ask(late, new).status == 200, 20)
        assert wait_for(lambda: ask(app, new).status == 200, 40)
