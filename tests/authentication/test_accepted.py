"""Which schemes a service accepts, and what it may not say of that."""

from __future__ import annotations

import base64
import gc
import weakref
from typing import Any

import pytest

from gateway import ConfigurationError, ForwardAuth, Service, create_app, require
from gateway.testing_stub import StubTransport
from settings import Settings
from tests.authentication.support import SECRET, claims, sign
from tests.support.wsgi import Answer, call

TOKEN = ("Authorization", f"Bearer {sign(claims())}")
AGAIN = ("X-Access-Tokens", sign(claims()))
BASIC = ("Authorization", f"Basic {base64.b64encode(b'any:thing').decode()}")
KEY = ("X-API-Key", "gh_nonsense")


def service(name: str, authentication: Any) -> Service:
    """A service that accepts these schemes, and requires an identity."""
    backend = StubTransport(lambda *_: (200, {}, b""))
    made = Service(
        name,
        __name__,
        url_prefix=f"/{name}",
        upstream="http://backend.test",
        session=backend.session(),
        authentication=authentication,
    )
    return require()(made)


def ask(accepted: Any, *fields: tuple[str, str]) -> Answer:
    """What a service that accepts these answers, in a gateway with tokens, keys and basic."""
    settings = Settings(
        JWT_SECRET=SECRET,
        STATE_URL="memory://",
        ALLOW_MEMORY_STATE=True,
        ACCESS_LOG=False,
        SECURITY_LOG=False,
        API_KEYS=True,
        API_KEY_BASIC=True,
    )
    app = create_app(settings, services=[service("things", accepted)])
    try:
        return call(app, "/things/7", headers=list(fields))
    finally:
        app.extensions["gateway"].pulse.end()


def faults(accepted: Any) -> list[str]:
    """What is wrong with it, without the place."""
    settings = Settings(JWT_SECRET=SECRET, STATE_URL="memory://", ALLOW_MEMORY_STATE=True)
    with pytest.raises(ConfigurationError) as caught:
        create_app(settings, services=[service("things", accepted)])
    assert all(__file__ in fault for fault in caught.value.faults)
    return [fault.rpartition(" (")[0].partition(": ")[2] for fault in caught.value.faults]


@pytest.mark.parametrize("accepted", [None, ["jwt"], ["bearer"], ("api_key", "jwt")])
def test_a_scheme_that_is_accepted(accepted: Any) -> None:
    assert ask(accepted, TOKEN).status == 200


@pytest.mark.parametrize("accepted", [["api_key"], ["basic"], ["api_key", "basic"]])
def test_a_scheme_that_is_not_is_not_seen(accepted: Any) -> None:
    answer = ask(accepted, TOKEN)
    assert (answer.status, answer.code) == (401, "missing_credential")


def test_it_is_told_what_is_accepted() -> None:
    told = ask(["api_key"]).header("WWW-Authenticate")
    assert told == ['ApiKey realm="gateway"']
    answer = ask(None)
    assert answer.json["detail"] == "This needs a token or an API key."
    assert [one.split()[0] for one in answer.header("WWW-Authenticate")] == [
        "Bearer",
        "ApiKey",
        "Basic",
    ]


def test_two_credentials_are_two_that_are_accepted() -> None:
    assert ask(None, TOKEN, KEY).code == "two_credentials"
    assert ask(["jwt"], TOKEN, KEY).status == 200
    assert ask(["api_key", "basic"], BASIC, KEY).code == "two_credentials"
    assert ask(["jwt", "basic"], BASIC, KEY).code == "api_key_invalid"


@pytest.mark.parametrize(
    ("accepted", "said"),
    [
        ([], ["names no scheme"]),
        ("jwt", ["='jwt' must be a list, such as ['jwt']"]),
        (["jwt", "cookie"], ["'cookie' is not a scheme; there are api_key, basic, bearer"]),
        (["oidc", "api_key"], ["'oidc' is not set up: OIDC_ISSUERS", "'api_key' is not set up"]),
        ([ForwardAuth], ["is neither a name nor a scheme"]),
        ([3], ["3 is neither a name nor a scheme"]),
        (
            [ForwardAuth("http://127.0.0.1/a"), ForwardAuth("http://127.0.0.1/b")],
            ["two services to ask"],
        ),
    ],
)
def test_faults(accepted: Any, said: list[str]) -> None:
    found = faults(accepted)
    assert len(found) == len(said)
    assert all(part in fault for part, fault in zip(said, found, strict=True))


@pytest.mark.parametrize("fields", [[], [TOKEN, AGAIN], [("Authorization", "Bearer junk")]])
def test_a_refusal_leaves_nothing_for_the_collector(fields: list[tuple[str, str]]) -> None:
    """Each request would otherwise stay in memory, with all it holds, until that comes by."""
    ask(None, *fields)  # so that everything is imported

    class Marked(str):
        """Can be seen to be gone."""

        __slots__ = ("__weakref__",)

    gc.collect()
    gc.disable()
    try:
        marked = Marked("10.0.0.1")
        gone = weakref.ref(marked)
        settings = Settings(
            JWT_SECRET=SECRET, STATE_URL="memory://", ALLOW_MEMORY_STATE=True, ACCESS_LOG=False
        )
        app = create_app(settings, services=[service("things", None)])
        assert call(app, "/things/7", headers=fields, marked=marked).status in (400, 401)
        del marked
        assert gone() is None
    finally:
        gc.enable()
