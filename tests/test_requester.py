"""Who asks: the same text for the same caller, and for no other."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.authentication import Identity
from gateway.edge.origin import Edge
from gateway.requester import Requester

FIELDS = ("HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_X_API_KEY")


def requester(identity: Identity | None = None, host: str = "a.example", **environ: Any) -> Any:
    """A requester whose request had these fields."""
    trusted = bool(environ.pop("trusted", ""))
    edge = Edge("", trusted, "192.0.2.1", environ.pop("scheme", "http"), host)
    told = {"gateway.edge": edge, "RAW_URI": "/a?b", "HTTP_HOST": host}
    return Requester({**told, **environ}, identity, FIELDS)


def ada(**changes: Any) -> Identity:
    """A user whose token was checked."""
    return Identity(**{"subject": "ada", "scheme": "jwt", **changes})


def test_nobody_is_nobody() -> None:
    assert requester().caller() == requester(HTTP_ACCEPT="a").caller() == ""


@pytest.mark.parametrize("name", FIELDS)
def test_a_credential_makes_a_caller(name: str) -> None:
    first, second = (
        requester(None, **{name: "one=1"}).caller(),
        requester(None, **{name: "one=2"}).caller(),
    )
    assert "" not in (first, second)
    assert first != second


def test_what_stands_in_one_field_is_not_what_stands_in_another() -> None:
    callers = {requester(None, **{name: "x"}).caller() for name in FIELDS}
    assert len(callers) == len(FIELDS)


@pytest.mark.parametrize(
    "other",
    [
        ada(subject="bob"),
        ada(kind="key"),
        ada(roles=("admin",)),
        ada(permissions=("a:b",)),
        ada(scopes=("a",)),
        ada(plan="gold"),
        ada(scheme="oidc"),
        ada(told=(("X-Tenant", "1"),)),
        ada(claims={"tenant": 2}),
    ],
    ids=lambda one: one.meaning,
)
def test_another_identity_is_another_caller(other: Identity) -> None:
    assert requester(ada(claims={"tenant": 1})).caller() != requester(other).caller()


def test_a_renewed_token_is_the_same_caller() -> None:
    old = requester(ada(claims={"exp": 1, "jti": "a", "x": 1}), HTTP_AUTHORIZATION="Bearer a")
    new = requester(ada(claims={"x": 1, "exp": 2, "jti": "b"}), HTTP_AUTHORIZATION="Bearer b")
    assert old.caller() == new.caller()


@pytest.mark.parametrize("scheme", ["certificate", "forward_auth", "of-its-own", ""])
def test_a_credential_that_only_others_can_read_counts_as_it_is(scheme: str) -> None:
    one = requester(ada(scheme=scheme), HTTP_AUTHORIZATION="a").caller()
    assert one != requester(ada(scheme=scheme), HTTP_AUTHORIZATION="b").caller()


@pytest.mark.parametrize("scheme", ["jwt", "api_key", "basic"])
def test_what_the_gateway_did_not_check_counts_as_it_is(scheme: str) -> None:
    # A backend may tell its users apart by it: those of an application that has one key.
    one = requester(ada(scheme=scheme), HTTP_AUTHORIZATION="Digest a").caller()
    assert one != requester(ada(scheme=scheme), HTTP_AUTHORIZATION="Digest b").caller()


def test_a_key_beside_a_token_counts_as_it_is() -> None:
    with_token = requester(ada(), HTTP_AUTHORIZATION="Bearer a", HTTP_X_API_KEY="k").caller()
    assert with_token != requester(ada(), HTTP_AUTHORIZATION="Bearer a").caller()


def test_a_token_beside_a_key_counts_as_it_is() -> None:
    key = ada(scheme="api_key", kind="key")
    one = requester(key, HTTP_X_API_KEY="k", HTTP_AUTHORIZATION="Bearer a").caller()
    assert one != requester(key, HTTP_X_API_KEY="k", HTTP_AUTHORIZATION="Bearer b").caller()


@pytest.mark.parametrize("name", ["HTTP_X_FORWARDED_USER", "HTTP_X_CLIENT_CERT"])
def test_who_a_trusted_proxy_says_it_is(name: str) -> None:
    one, other = (requester(None, trusted="1", **{name: who}).caller([]) for who in ("ada", "bob"))
    assert "" not in (one, other)
    assert one != other
    assert requester(None, **{name: "ada"}).caller() == ""  # no backend is told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_X_FORWARDED_PREFIX", "/shop"),
        ("HTTP_X_FORWARDED_PORT", "8443"),
        ("HTTP_X_ORIGINAL_HOST", "evil.example"),
        ("HTTP_FORWARDED", "for=192.0.2.7;host=evil.example"),
        ("HTTP_HOST", "inner.example"),  # which a backend gets by preserve_host
    ],
)
def test_urls_by_a_trusted_proxys_word(name: str, value: str) -> None:
    assert requester(None, trusted="1", **{name: value}).way not in ("", requester(trusted="1").way)
    assert requester(None, **{name: value}).way == ""


def test_where_clients_are_is_no_part_of_the_way() -> None:
    ways = {
        requester(trusted="1", HTTP_FORWARDED=f"for={who};host=a, By={who};for={who}").way
        for who in ("192.0.2.7", "198.51.100.7")
    }
    assert len(ways) == 1
    assert requester(trusted="1", HTTP_X_FORWARDED_FOR="192.0.2.7").way == ""


def test_cookies_count_beside_a_checked_credential() -> None:
    assert requester(ada()).caller() != requester(ada(), HTTP_COOKIE="a=1").caller()


@pytest.mark.parametrize(
    ("cookie", "same"),
    [
        ("seen=1; session=x", "session=x"),
        ("session=x;theme=dark", "session=x"),
        ("seen=1", ""),
        ("session=y", None),
        ("Session=y", None),  # one and the same to ASP.NET,
        ("seen=1; sess%69on=y", None),  # to PHP of old,
        ("session[a]=y", None),  # and to any PHP
        ("sessions=y", ""),
        ("a=b,session=x", None),  # to most, this is one cookie, a,
        ("session=x,y", None),  # and this one's value has a comma,
        ("session=x;y", "session=x"),
        ('session="x;y"', None),  # as quoted ones may have a semicolon
        ('seen="1"', ""),
    ],
)
def test_chosen_cookies(cookie: str, same: str | None) -> None:
    caller = requester(HTTP_COOKIE=cookie).caller(["session"])
    if same is None:
        assert caller != requester(HTTP_COOKIE="session=x").caller(["session"])
    else:
        assert caller == (requester(HTTP_COOKIE=same).caller(["session"]) if same else "")


@pytest.mark.parametrize(
    ("scheme", "host", "origin"),
    [
        ("http", "A.Example:80", "http://a.example"),
        ("https", "a.example:443", "https://a.example"),
        ("https", "a.example:80", "https://a.example:80"),
        ("http", "[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_origin(scheme: str, host: str, origin: str) -> None:
    assert requester(host=host, scheme=scheme).origin == origin


def test_target_is_the_clients() -> None:
    assert requester().target == ("/a", "b")
