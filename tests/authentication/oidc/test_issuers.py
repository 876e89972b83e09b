"""OIDC_ISSUERS: what it may say, and what is a fault at start."""

from __future__ import annotations

import pytest

from gateway import create_app
from gateway.authentication.oidc.issuer import (
    PERMISSIONS,
    ROLES,
    Issuer,
    parse_issuer,
    parse_issuers,
    split_url,
)
from gateway.errors import ConfigurationError
from tests.support.wsgi import call, make_app, make_settings, open_service

GOOD = "https://id.example;audience=api"


def fault(text: str) -> str:
    """The only fault of this setting."""
    _, (only,) = parse_issuers(text)
    return only


def test_an_issuer_and_what_is_usual() -> None:
    assert parse_issuer(GOOD) == Issuer("https://id.example", audiences=frozenset({"api"}))
    usual = parse_issuer(GOOD)
    assert (usual.subject, usual.roles, usual.permissions, usual.plan) == (
        "sub",
        ROLES,
        PERMISSIONS,
        "plan",
    )
    assert (usual.name, usual.token_use, usual.plain_http) == ("", frozenset(), False)


def test_every_option() -> None:
    text = (
        "https://id.example/tenants/7/ ; name=acme ; audience=a|b ; client_id=web|app"
        ";token_use=access|id; jwks_uri=https://keys.example/x?p=1;subject=username"
        ";roles=https://example.com/roles|resource_access.my.client.roles;permissions=;plan="
    )
    assert parse_issuer(text) == Issuer(
        "https://id.example/tenants/7/",
        name="acme",
        audiences=frozenset({"a", "b"}),
        client_ids=frozenset({"web", "app"}),
        token_use=frozenset({"access", "id"}),
        jwks_uri="https://keys.example/x?p=1",
        subject="username",
        roles=("https://example.com/roles", "resource_access.my.client.roles"),
        permissions=(),
        plan="",
    )


def test_several_and_any_audience() -> None:
    issuers, faults = parse_issuers(f" {GOOD} ,, https://b.example;audience=*;name=b,")
    assert faults == []
    assert [(one.url, one.audiences) for one in issuers] == [
        ("https://id.example", frozenset({"api"})),
        ("https://b.example", frozenset()),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://id.example", "needs ;audience= or ;client_id="),
        ("id.example;audience=api", "must be http(s)://"),
        ("ftp://id.example;audience=api", "must be http(s)://"),
        ("https://user:pw@id.example;audience=api", "must be http(s)://"),
        ("https://id.example?x=1;audience=api", "without query and fragment"),
        ("https://id.example#x;audience=api", "without query and fragment"),
        ("https://id.example/a b;audience=api", "has a path that is none"),
        ("http://id.example;audience=api", "must be https"),
        ("http://10.0.0.1;audience=api", "must be https"),
        ("http://127.0.0.1.example;audience=api", "must be https"),
        ("http://localhost.example;audience=api", "must be https"),
        (f"{GOOD};audience=b", "has audience= twice"),
        (f"{GOOD};colour=red", "has an option that there is not: 'colour'"),
        (f"{GOOD};name", "has an option that there is not: 'name'"),
        (f"{GOOD};s3cr*t", "has an option that there is not: one"),
        ("https://id.example;audience=", "has a audience= that is empty"),
        ("https://id.example;audience=|", "has a audience= that is empty"),
        ("https://id.example;audience=*|a", "has an audience= of * and others"),
        (f"{GOOD};client_id=", "has a client_id= that is empty"),
        (f"{GOOD};token_use=refresh", "has a token_use= that is not access, id or access|id"),
        (f"{GOOD};name=a:b", "has a name= that is not 1 to 64 letters"),
        (f"{GOOD};name=", "has a name= that is not 1 to 64 letters"),
        (f"{GOOD};subject=", "has a subject= that is empty"),
        (f"{GOOD};plain_http=yes", "has a plain_http= that is not true or false"),
        (f"{GOOD};jwks_uri=http://id.example/keys", "has a jwks_uri= that must be https"),
        (f"{GOOD};jwks_uri=keys", "has a jwks_uri= that must be http(s)://"),
    ],
)
def test_what_cannot_be_meant_is_a_fault(text: str, said: str) -> None:
    told = fault(text)
    assert told.startswith("OIDC_ISSUERS entry 1 ")
    assert said in told
    assert "s3cr" not in told


def test_faults_of_all_of_them() -> None:
    assert fault(f"{GOOD},{GOOD};name=b") == "OIDC_ISSUERS has 'https://id.example' twice"
    assert "several issuers without ;name=" in fault(f"{GOOD},https://b.example;audience=api")
    assert fault(" , ") == "OIDC_ISSUERS names no issuer"
    issuers, faults = parse_issuers(f"https://a.example,{GOOD};x=1,https://b.example;audience=a")
    assert (len(issuers), len(faults)) == (1, 2)


def test_one_name_for_two_issuers_says_that_they_know_the_same_people() -> None:
    assert parse_issuers(f"{GOOD};name=us,https://b.example;audience=api;name=us")[1] == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080",
        "http://127.8.9.1/x",
        "http://[::1]:80",
        "http://localhost:3000/realms/x",
        "http://id.example;plain_http=true",
    ],
)
def test_plain_http_for_this_machine_or_when_told(url: str) -> None:
    assert parse_issuers(f"{url};audience=api")[1] == []


def test_where_a_url_leads() -> None:
    origin, target = split_url("https://id.example:8443/a/b/?p=q&r=%2F")
    assert (origin.host, origin.port, target) == ("id.example", 8443, "/a/b/?p=q&r=%2F")
    assert split_url("https://id.example")[1] == "/"
    assert split_url("https://id.example?x=1")[1] == "/?x=1"
    for wrong in ("https://id.example/a#b", "https://id.example/ä", "https://id.example/\r\nX: y"):
        with pytest.raises(ValueError):
            split_url(wrong)


def test_all_faults_are_told_with_those_of_other_settings() -> None:
    with pytest.raises(ConfigurationError) as caught:
        create_app(make_settings(OIDC_ISSUERS="https://a.example,http://b", BIND="unix:/x"))
    told = "\n".join(caught.value.faults)
    for part in ("OIDC_ISSUERS entry 1", "OIDC_ISSUERS entry 2", "BIND is a unix socket"):
        assert part in told


def test_an_issuer_stands_in_for_keys_and_a_service_may_name_it() -> None:
    service, _ = open_service(authentication=["oidc"])
    app = make_app(service, JWT_SECRET="", OIDC_ISSUERS="http://127.0.0.1:1;audience=api")
    assert call(app, "/things/1").status == 200
    app.extensions["gateway"].pulse.end()
    with pytest.raises(ConfigurationError):
        make_app(open_service(authentication=["oidc"])[0])
