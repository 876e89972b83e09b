"""The options: faults at start, all of them at once, and never a secret."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from gateway import ConfigurationError, ForwardAuth, require
from gateway.testing import ScriptedUpstream
from gateway.transport.calls import Caller
from tests.authentication.forward_auth.support import ALLOWED
from tests.support.wsgi import call, make_app, stubbed

URL = "http://auth.internal:9000/validate"


def faults(*accepted: Any) -> str:
    """What is wrong with a service that accepts these schemes."""
    service, _ = stubbed(authentication=accepted)
    with pytest.raises(ConfigurationError) as caught:
        make_app(require()(service))
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"url": "auth.internal/validate"}, "url must be http(s)://host"),
        ({"url": "ftp://auth.internal"}, "url must be http(s)://host"),
        ({"url": "http://"}, "url must be http(s)://host"),
        ({"url": "http://[::1/x"}, "url "),
        ({"url": ""}, "url must be http(s)://host"),
        ({"url": "http://me:hunter2@auth/x"}, "url must not have a user or a password"),
        ({"url": URL + "#x"}, "url must be ASCII, without a fragment"),
        ({"url": URL + " x"}, "url must be ASCII, without a fragment"),
        ({"url": URL + "\u00e9"}, "url must be ASCII, without a fragment"),
        ({"timeout": 0}, "timeout must be above 0"),
        ({"timeout": 61}, "timeout must be above 0"),
        ({"timeout": "1"}, "an option is of the wrong kind"),
        ({"connections": 0}, "connections must be from 1 to 1000"),
        ({"connections": 1.5}, "connections must be a whole number"),
        ({"connections": True}, "connections must be a whole number"),
        ({"cache": -1}, "cache must be from 0 to 300 seconds"),
        ({"cache": 301}, "cache must be from 0 to 300 seconds"),
        ({"fail_open": "no"}, "fail_open must be True or False"),
        ({"returns": "X-User-ID"}, "returns must be a list of field names"),
        ({"returns": None}, "returns must be a list of field names"),
        ({"sends": "Cookie"}, "sends must be a list of field names"),
        ({"cache_key": (1,)}, "cache_key must be a list of field names"),
        ({"returns": ["X_User_ID"]}, "'X_User_ID' is not the name of a field"),
        ({"subject": "X User"}, "'X User' is not the name of a field"),
        ({"returns": ["Connection"]}, "Connection cannot be returned"),
        ({"returns": ["Set-Cookie"]}, "Set-Cookie cannot be returned"),
        ({"returns": ["x-forwarded-for"]}, "x-forwarded-for cannot be returned"),
        ({"roles": "Host"}, "Host cannot be returned"),
        ({"sends": ["Content-Length"]}, "Content-Length cannot be sent"),
        ({"sends": ["If-None-Match"]}, "If-None-Match cannot be sent"),
        ({"cache_key": ["X-User-ID"]}, "X-User-ID cannot be sent"),
        ({"sends": ["Cookie"], "cache_key": ["X-Tenant"]}, "cache_key names X-Tenant, which is"),
    ],
)
def test_a_fault_is_named(options: dict[str, Any], fault: str) -> None:
    told = faults(ForwardAuth(**{"url": URL, **options}))
    assert "service 'things': " in told
    assert fault in told
    assert "hunter2" not in told


def test_all_faults_at_once() -> None:
    told = faults(ForwardAuth("x", timeout=0, cache=-1, returns=["Host"]), "nothing")
    for word in ("url must", "timeout must", "cache must", "Host cannot", "'nothing' is not"):
        assert word in told


def test_two_services_to_ask_are_one_too_many() -> None:
    assert "two services to ask" in faults(ForwardAuth(URL), ForwardAuth(URL, cache=1))


def test_the_class_is_no_scheme() -> None:
    assert "neither a name nor a scheme" in faults(ForwardAuth)


def test_it_is_a_value() -> None:
    made = ForwardAuth(URL, returns=["A", "B"], sends=["Cookie"])
    assert made == ForwardAuth(URL, returns=("A", "B"), sends=("Cookie",))
    assert hash(made) == hash(ForwardAuth(URL, returns=("A", "B"), sends=("Cookie",)))
    assert "auth.internal" not in repr(made)
    with pytest.raises(FrozenInstanceError):
        made.timeout = 2  # type: ignore[misc]


def test_no_key_is_needed_beside_it(upstream: ScriptedUpstream) -> None:
    upstream.respond(ALLOWED)
    service, _ = stubbed(authentication=[ForwardAuth(upstream.url)])
    assert call(make_app(require()(service), JWT_SECRET=""), "/things/x").status == 200


def test_equal_options_share_one_pool(upstream: ScriptedUpstream, callers: list[Caller]) -> None:
    upstream.respond(ALLOWED)
    services = [
        require()(stubbed(name, f"/{name}", authentication=[ForwardAuth(upstream.url)])[0])
        for name in ("a", "b")
    ]
    other, _ = stubbed("c", "/c", authentication=[ForwardAuth(upstream.url, timeout=2)])
    app = make_app(*services, require()(other))
    assert len(callers) == 2
    for path in ("/a/x", "/b/x", "/a/x", "/b/y"):
        assert call(app, path).status == 200
    assert upstream.connections == 1
