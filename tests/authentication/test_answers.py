"""What a client is told through the whole gateway: 401 in three kinds, 403, or the backend."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.authentication.support import House, build, claims, forge_body, sign

ALLOWED = sign(claims(permissions=["order:read"]))


@pytest.fixture(scope="module")
def whole() -> House:
    """A gateway that all tests here ask."""
    return build()


@pytest.fixture
def house(whole: House) -> House:
    """The same gateway, whose backend has heard nothing."""
    whole.backend.requests.clear()
    return whole


def bearer(token: str) -> dict[str, str]:
    """The WSGI variable of a token."""
    return {"HTTP_AUTHORIZATION": f"Bearer {token}"}


def refused(house: House, status: int, code: str, challenge: str, **environ: str) -> Any:
    """Check a refusal in full; gives the body."""
    answer = house.send("/guarded/7", **environ)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.headers.getlist("WWW-Authenticate") == [f'Bearer realm="gateway"{challenge}']
    assert (answer.json["status"], answer.json["code"]) == (status, code)
    assert answer.json["request_id"] == answer.headers["X-Request-ID"]
    assert house.backend.requests == []
    return answer.json


def test_a_missing_token(house: House) -> None:
    refused(house, 401, "missing_token", "")


def test_an_invalid_token(house: House) -> None:
    said = ', error="invalid_token", error_description="The token is not valid."'
    refused(house, 401, "token_invalid", said, **bearer(ALLOWED[:-3]))


def test_a_malformed_header(house: House) -> None:
    said = ', error="invalid_token", error_description="The credential is malformed."'
    refused(house, 401, "token_invalid", said, HTTP_AUTHORIZATION="Bearer")


def test_an_expired_token(house: House) -> None:
    token = sign(claims(exp=int(time.time()) - 3600))
    said = ', error="invalid_token", error_description="The token has expired."'
    refused(house, 401, "token_expired", said, **bearer(token))


def test_a_missing_permission_is_named(house: House) -> None:
    said = ', error="insufficient_scope", scope="order:read"'
    token = sign(claims(permissions=["order:write", "order", "order:reader", "Order:read"]))
    refused(house, 403, "insufficient_scope", said, **bearer(token))


@pytest.mark.parametrize("permission", ["order:read", "order:*"])
def test_a_permission_by_name_or_wildcard(house: House, permission: str) -> None:
    answer = house.send("/guarded/7", **bearer(sign(claims(permissions=[permission]))))
    assert (answer.status_code, answer.data) == (200, b"hello")
    assert len(house.backend.requests) == 1


def test_what_went_wrong_is_told_without_secrets(house: House) -> None:
    for token in (ALLOWED + "x", forge_body(b'{"sub":7,"exp":1}'), "x" * 9000):
        body = house.send("/guarded/7", **bearer(token)).text
        assert token not in body
        assert "Traceback" not in body


@pytest.mark.parametrize(
    "environ", [{}, bearer("wrong"), bearer(sign(claims(exp=1))), {"HTTP_COOKIE": "access_token=x"}]
)
def test_a_public_route_serves_whoever_asks(house: House, environ: dict[str, str]) -> None:
    assert house.send("/open/7", **environ).status_code == 200
    assert "x-user-id" not in house.reached.headers


def test_a_public_route_tells_the_backend_who_asks(house: House) -> None:
    assert house.send("/open/7", **bearer(ALLOWED)).status_code == 200
    assert house.reached.headers["x-user-id"] == "u1"


@pytest.mark.parametrize("path", ["/guarded", "/guarded/", "/guarded/x/y"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def test_every_method_and_path_is_guarded(house: House, method: str, path: str) -> None:
    assert house.send(path, method=method).status_code == 401
    assert house.backend.requests == []


def test_a_cookie_and_a_page_of_another_site(house: House) -> None:
    cookie = {"HTTP_COOKIE": f"access_token={ALLOWED}", "HTTP_SEC_FETCH_SITE": "cross-site"}
    answer = house.send("/guarded/7", method="POST", **cookie)
    assert (answer.status_code, answer.json["code"]) == (403, "cross_site")
    assert house.send("/guarded/7", **cookie).status_code == 200
    assert house.send("/open/7", method="POST", **cookie).status_code == 200
    assert "x-user-id" not in house.backend.requests[-1].headers


def test_the_names_of_the_settings_are_the_ones_that_count() -> None:
    house = build(TOKEN_HEADER="X-Token", TOKEN_COOKIE="session", JWT_AUDIENCE="me")
    mine = sign(claims(permissions=["order:read"], aud="me"))
    for environ in ({"HTTP_X_TOKEN": mine}, {"HTTP_COOKIE": f"session={mine}"}):
        assert house.send("/guarded/7", **environ).status_code == 200
    for environ in ({"HTTP_X_ACCESS_TOKENS": mine}, {"HTTP_COOKIE": f"access_token={mine}"}):
        assert house.send("/guarded/7", **environ).json["code"] == "missing_token"
    assert house.send("/guarded/7", HTTP_X_TOKEN=ALLOWED).json["code"] == "token_invalid"
