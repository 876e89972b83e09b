"""Fields that settings name: each has one meaning, or the gateway does not start."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import ConfigurationError
from tests.authentication.support import key_pair
from tests.support.wsgi import make_app, open_service


def faults(**settings: Any) -> tuple[str, ...]:
    """What is wrong with these settings."""
    with pytest.raises(ConfigurationError) as caught:
        make_app(open_service()[0], **settings)
    return caught.value.faults


CERTIFICATES = {"TRUSTED_PROXIES": ("unix",)}
TOKENS = {"INTERNAL_TOKEN_KEY": "EdDSA:env:INTERNAL"}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERNAL", key_pair("EdDSA")[0])


@pytest.mark.parametrize(
    ("setting", "settings"),
    [
        ("TOKEN_HEADER", {}),
        ("API_KEY_HEADER", {"API_KEYS": True}),
        ("CLIENT_CERTIFICATES", CERTIFICATES),
    ],
)
@pytest.mark.parametrize(
    "name", ["Authorization", "cookie", "X-User-ID", "Host", "X-Forwarded-For", "Content-Type"]
)
def test_a_field_that_has_a_meaning(setting: str, settings: dict[str, Any], name: str) -> None:
    value = (name,) if setting == "CLIENT_CERTIFICATES" else name
    assert faults(**{setting: value, **settings}) == (
        f"{setting}: {name} has a meaning of its own",
    )


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (
            {"API_KEYS": True, "API_KEY_HEADER": "X-Access-Tokens"},
            "API_KEY_HEADER: X-Access-Tokens is TOKEN_HEADER already",
        ),
        (
            {"API_KEYS": True, "CLIENT_CERTIFICATES": ("x-api-key",), **CERTIFICATES},
            "CLIENT_CERTIFICATES: x-api-key is API_KEY_HEADER already",
        ),
        (
            {"INTERNAL_TOKEN_HEADER": "x-access-tokens", **TOKENS},
            "INTERNAL_TOKEN_HEADER: x-access-tokens is TOKEN_HEADER already",
        ),
        (
            {"CLIENT_CERTIFICATES": ("X-Internal-Token",), **CERTIFICATES, **TOKENS},
            "INTERNAL_TOKEN_HEADER: X-Internal-Token is CLIENT_CERTIFICATES already",
        ),
    ],
)
def test_one_field_for_two_things(settings: dict[str, Any], fault: str) -> None:
    assert faults(**settings) == (fault,)


def test_what_is_off_or_may_be() -> None:
    make_app(open_service()[0], API_KEY_HEADER="x-access-tokens")
    make_app(open_service()[0], INTERNAL_TOKEN_HEADER="x-access-tokens")
    make_app(open_service()[0], INTERNAL_TOKEN_HEADER="Authorization", **TOKENS)
    twice = ("Client-Cert", "client-cert")
    make_app(open_service()[0], TOKEN_HEADER="", CLIENT_CERTIFICATES=twice, **CERTIFICATES)
