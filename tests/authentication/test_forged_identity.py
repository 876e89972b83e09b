"""Nobody but the gateway tells a backend who asks."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.headers import IDENTITY
from tests.authentication.support import House, build, claims, sign

NAMES = ("X-User-ID", "X-User-Roles", "X-User-Permissions")
TOKEN = sign(claims(permissions=["order:read"]))


@pytest.fixture(scope="module")
def whole() -> House:
    """A gateway that all tests here ask."""
    return build()


@pytest.fixture
def house(whole: House) -> House:
    """The same gateway, whose backend has heard nothing."""
    whole.backend.requests.clear()
    return whole


def variants(name: str) -> list[str]:
    """One field name in the spellings that some server or backend takes for the same."""
    return [name, name.lower(), name.upper(), name.swapcase(), name.title(), name.replace("-", "_")]


def told(house: House) -> dict[str, str]:
    """Everything the backend was sent about the caller, by its name in lower case."""
    headers: Any = house.reached.headers
    return {
        name.lower(): value
        for name, value in headers.items()
        if name.lower().replace("_", "-").startswith("x-user-")
    }


@pytest.mark.parametrize("spelled", [s for name in NAMES for s in variants(name)])
def test_a_clients_word_is_removed(house: House, spelled: str) -> None:
    pairs = [(spelled, "root"), (spelled, "admin")]
    assert house.client.get("/open/7", headers=pairs).status_code == 200
    assert told(house) == {}


@pytest.mark.parametrize("spelled", [s for name in NAMES for s in variants(name)])
@pytest.mark.parametrize("path", ["/guarded/7", "/open/7"])
def test_and_replaced_by_the_gateways(house: House, path: str, spelled: str) -> None:
    pairs = [(spelled, "root"), ("Authorization", f"Bearer {TOKEN}"), (spelled, "admin")]
    assert house.client.get(path, headers=pairs).status_code == 200
    assert told(house) == {
        "x-user-id": "u1",
        "x-user-roles": "",
        "x-user-permissions": "order:read",
    }


@pytest.mark.parametrize("listed", ["X-User-ID", "x-user-id, X-USER-ROLES,x-user-permissions"])
def test_connection_does_not_take_the_gateways_word_away(house: House, listed: str) -> None:
    pairs = [("Connection", listed), ("Authorization", f"Bearer {TOKEN}"), ("X-User-ID", "root")]
    assert house.client.get("/guarded/7", headers=pairs).status_code == 200
    assert told(house)["x-user-id"] == "u1"
    assert len(told(house)) == 3


@pytest.mark.parametrize("token", ["wrong", sign(claims(exp=1)), TOKEN[:-1]])
def test_a_bad_token_does_not_let_forged_fields_pass(house: House, token: str) -> None:
    pairs = [("Authorization", f"Bearer {token}"), ("X-User-ID", "root")]
    assert house.client.get("/open/7", headers=pairs).status_code == 200
    assert told(house) == {}
    assert house.client.get("/guarded/7", headers=pairs).status_code == 401


def test_a_forged_field_is_no_credential(house: House) -> None:
    pairs = [(name, "root") for name in NAMES]
    assert house.client.get("/guarded/7", headers=pairs).status_code == 401
    assert house.backend.requests == []


def test_a_trusted_proxy_may_not_say_it_either() -> None:
    house = build(TRUSTED_PROXIES="127.0.0.1")
    assert house.client.get("/open/7", headers={"X-User-ID": "root"}).status_code == 200
    assert told(house) == {}


def test_what_only_looks_like_it_passes(house: House) -> None:
    pairs = [("X-User-Agent", "mine"), ("X-Userid", "mine"), ("User-ID", "mine")]
    assert house.client.get("/open/7", headers=pairs).status_code == 200
    headers = house.reached.headers
    assert [headers[name] for name, _ in pairs] == ["mine"] * 3


@pytest.mark.parametrize("name", sorted(IDENTITY))
@pytest.mark.parametrize("path", ["/guarded/7", "/open/7"])
def test_every_name_that_is_the_gateways_is_removed(house: House, path: str, name: str) -> None:
    pairs = [(name, "root"), ("Connection", name), ("Authorization", f"Bearer {TOKEN}")]
    assert house.client.get(path, headers=pairs).status_code == 200
    assert "root" not in str(house.reached.headers)
