"""`flask gateway token`: one line, signed with the shared secret, and good at the gateway."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from tests.authentication.support import key_pair
from tests.cli.support import IN_ORDER, SECRET, Folder

NAMED = ["notification:read", "order:read", "order:refund", "order:write", "payment:write"]
NAMED += ["product:write", "user:read", "user:write", "webhook:send"]
KINDS = ["cache:*", "filters:*", "notification:*", "order:*", "payment:*", "product:*", "user:*"]
KINDS += ["webhook:*"]


def made(folder: Folder, *words: str, **environ: str) -> str:
    """The token that the command prints, and nothing beside it."""
    done = folder.run("token", *words, **{"JWT_SECRET": SECRET, **environ})
    assert (done.code, done.err) == (0, "")
    assert done.out.count("\n") == 1
    assert done.out.endswith("\n")
    return done.out.strip()


def read(token: str, secret: str = SECRET, **options: Any) -> dict[str, Any]:
    """The claims of a token."""
    return jwt.decode(token, secret, algorithms=["HS256"], **options)


@pytest.mark.parametrize(
    ("role", "permissions"),
    [
        ("reader", ["notification:read", "order:read", "user:read"]),
        ("writer", NAMED),
        ("admin", KINDS),
    ],
)
def test_a_token_for_each_role(shared: Folder, role: str, permissions: list[str]) -> None:
    claims = read(made(shared, "--role", role))
    assert claims["permissions"] == permissions
    assert (claims["sub"], claims["roles"]) == (role, [role])
    assert claims["exp"] - claims["iat"] == 8 * 3600
    assert abs(claims["iat"] - time.time()) < 60


def test_a_reader_unless_told_otherwise(shared: Folder) -> None:
    # The addresses of services do not matter, known or not.
    for environ in ({}, IN_ORDER):
        assert read(made(shared, **environ))["roles"] == ["reader"]


def test_subject_and_time(shared: Folder) -> None:
    claims = read(made(shared, "--subject", "u7", "--expires", "60", "--role", "writer"))
    assert (claims["sub"], claims["roles"]) == ("u7", ["writer"])
    assert claims["exp"] - claims["iat"] == 60


def test_issuer_and_audience_are_those_the_gateway_asks_for(shared: Folder) -> None:
    token = made(shared, JWT_ISSUER="https://id.test", JWT_AUDIENCE="gateway")
    claims = read(token, audience="gateway", issuer="https://id.test")
    assert (claims["iss"], claims["aud"]) == ("https://id.test", "gateway")
    assert "iss" not in read(made(shared))


def test_a_secret_with_a_kid(shared: Folder) -> None:
    token = made(shared, JWT_SECRET="", JWT_KEYS="k7=HS256:env:MINE", MINE=f" {SECRET}x\n")
    assert jwt.get_unverified_header(token)["kid"] == "k7"
    assert read(token, SECRET + "x")["sub"] == "reader"


def test_permissions_of_every_shape(own: Folder) -> None:
    own.add(
        "more", 'require("report", any_of("a:b:c", role("boss"), "d:read"), "order:read")(more)'
    )
    assert "report" in read(made(own, "--role", "admin"))["permissions"]
    assert {"a:*", "d:*"} <= set(read(made(own, "--role", "admin"))["permissions"])
    assert {"report", "a:b:c", "d:read"} <= set(read(made(own, "--role", "writer"))["permissions"])
    assert "d:read" in read(made(own))["permissions"]


def test_without_any_key(shared: Folder) -> None:
    (fault,) = shared.run("token").faults
    assert fault == "development tokens need a shared secret: JWT_SECRET"


def test_with_public_keys_alone(shared: Folder) -> None:
    environ = {"JWT_KEYS": "k=ES256:env:MINE", "MINE": key_pair("ES256")[1]}
    (fault,) = shared.run("token", **environ).faults
    assert fault == "development tokens need a shared secret: JWT_SECRET"


def test_with_wrong_settings(shared: Folder) -> None:
    assert shared.run("token", JWT_SECRET=SECRET, PORT="x").faults[0].startswith("PORT: ")
    assert shared.run("token", JWT_SECRET="short").faults[0].startswith("JWT_SECRET is shorter")
    faults = shared.run("token", JWT_SECRET=SECRET, ORDERS_URL="nonsense").faults
    assert faults[0].startswith("ORDERS_URL: ")


@pytest.mark.parametrize(
    "words", [("--role", "root"), ("--expires", "0"), ("--expires", "soon"), ("reader",)]
)
def test_words_that_mean_nothing(shared: Folder, words: tuple[str, ...]) -> None:
    done = shared.run("token", *words, JWT_SECRET=SECRET)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: ")
