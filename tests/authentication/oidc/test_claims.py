"""What a token must claim, and who it proves."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.authentication import Identity
from gateway.errors import Unauthenticated
from tests.authentication.oidc.support import (
    AUDIENCE,
    ENTRY,
    ISSUER,
    Clock,
    authority,
    claims,
    signed,
)

KID = {"kid": "RS256-0"}


def verified(entry: Any = ENTRY, header: Any = None, **body: Any) -> Identity:
    """Who a token with these claims proves."""
    return authority(entry, cache_size=0).verify(signed({**KID, **(header or {})}, claims(**body)))


def accepted(entry: Any = ENTRY, header: Any = None, **body: Any) -> bool:
    """Whether it proves the subject that it names."""
    return verified(entry, header, **body).subject == "u1"


def refused(entry: Any = ENTRY, header: Any = None, **body: Any) -> str:
    """Why it proves nobody."""
    with pytest.raises(Unauthenticated) as caught:
        verified(entry, header, **body)
    assert caught.value.slug in ("token_invalid", "token_expired")
    return str(caught.value.description)


def test_a_good_token() -> None:
    body = claims(roles=["admin"], permissions=["order:read"], scope="a b", plan="gold", x=1)
    identity = authority().verify(signed(KID, body))
    assert (identity.subject, identity.kind, identity.scheme) == ("u1", "user", "oidc")
    assert (identity.roles, identity.plan) == (("admin",), "gold")
    assert (identity.permissions, identity.scopes) == (("order:read", "a", "b"), ("a", "b"))
    assert identity.claims == body


# -- times ---------------------------------------------------------------------------------


def at(seconds: float, leeway: float = 30, **body: Any) -> str:
    """What becomes of a token at a time: `ok`, or why not."""
    judge = authority(clock=Clock(seconds), leeway=leeway)
    try:
        return judge.verify(signed(KID, claims(**body))).subject.replace("u1", "ok")
    except Unauthenticated as error:
        return error.slug


def test_exp_to_the_moment() -> None:
    for leeway in (0, 30):
        assert at(1000 + leeway - 0.5, leeway, exp=1000) == "ok"
        assert at(1000 + leeway, leeway, exp=1000) == "token_expired"
    assert at(1000.4, 0, exp=1000.5) == "ok"
    assert at(1000.5, 0, exp=1000.5) == "token_expired"


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_a_token_of_the_future_waits(name: str) -> None:
    assert at(1000 - 30, exp=5000, **{name: 1000}) == "ok"
    assert at(1000 - 30.5, exp=5000, **{name: 1000}) == "token_invalid"


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["9999999999", True, [], {}, "soon", ""])
def test_times_are_numbers(name: str, value: object) -> None:
    assert refused(**{name: value}) == f"The token's {name} is not a number."


@pytest.mark.parametrize("exp", [b"NaN", b"Infinity", b"1e999", b"-Infinity", b"null", b"-1"])
def test_times_that_are_none(exp: bytes) -> None:
    body = b'{"iss":"%s","aud":"api","sub":"u1","exp":%s}' % (ISSUER.encode(), exp)
    with pytest.raises(Unauthenticated):
        authority().verify(signed(KID, body))


def test_exp_is_required() -> None:
    assert refused(exp=None) == "The token's exp is not a number."


# -- issuer, audience, client --------------------------------------------------------------


@pytest.mark.parametrize(
    "issuer", [f"{ISSUER}/", ISSUER.upper(), "https://issuer.tes", "", 7, None, [ISSUER], {"a": 1}]
)
def test_the_issuer_is_the_same_to_the_letter(issuer: object) -> None:
    assert refused(iss=issuer) == "The token is not valid."


@pytest.mark.parametrize(
    "audience", ["other", "", None, [], ["other"], 7, {"api": 1}, ["api", 7], "API", ["ap"], "api "]
)
def test_a_wrong_audience(audience: object) -> None:
    assert refused(aud=audience) == "The token is for another audience."


def test_the_right_audience_and_any() -> None:
    assert accepted(aud=["other", AUDIENCE])
    assert accepted(f"{ISSUER};audience=x|api")
    for audience in ("other", None, 7):
        assert accepted(f"{ISSUER};audience=*", aud=audience)


@pytest.mark.parametrize("name", ["client_id", "azp", "cid", "appid"])
def test_the_client_that_a_token_was_issued_to(name: str) -> None:
    entry = f"{ISSUER};client_id=web|app"
    assert accepted(entry, aud=None, **{name: "app"})
    for value in ("other", "", 7, ["web"], None, True):
        assert (
            refused(entry, aud="web", **{name: value}) == "The token was issued to another client."
        )
    assert refused(entry, **{"azp": "web", "client_id": "web", name: "other"})
    assert (
        refused(f"{entry};audience=other", **{name: "app"}) == "The token is for another audience."
    )


# -- what kind of a token ------------------------------------------------------------------


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"])
def test_header_types_of_access_tokens(typ: str) -> None:
    assert accepted(header={"typ": typ})


@pytest.mark.parametrize(
    "typ", ["logout+jwt", "secevent+jwt", "dpop+jwt", "token-introspection+jwt", "", "JWS", 7, None]
)
def test_other_header_types(typ: object) -> None:
    assert refused(header={"typ": typ}) == "The token is of a type that is not accepted here."


ACCESS: list[dict[str, Any]] = [{"token_use": "access"}, {"typ": "Bearer"}]
NO_ACCESS: list[dict[str, Any]] = [
    {"token_use": "id"},
    {"typ": "ID"},
    {"typ": "Refresh"},
    {"token_use": "refresh"},
    {"token_use": ["access"]},
    {"token_use": True},
    {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
    {"token_use": "access", "events": {}},
]


def test_what_says_that_it_is_no_access_token_is_refused() -> None:
    assert accepted()
    assert accepted(typ="of its own")
    for body in ACCESS:
        assert accepted(**body)
    for body in NO_ACCESS:
        assert refused(**body) == "The token is of a use that is not accepted here."


def test_what_must_say_that_it_is_an_access_token() -> None:
    entry = f"{ENTRY};token_use=access"
    for body in ACCESS:
        assert accepted(entry, **body)
    assert accepted(entry, {"typ": "at+jwt"})
    for body in [{}, *NO_ACCESS]:
        assert refused(entry, **body)


def test_id_tokens_where_they_are_wanted() -> None:
    for body in ({"token_use": "id"}, {"typ": "ID"}):
        assert accepted(f"{ENTRY};token_use=id", **body)
        assert accepted(f"{ENTRY};token_use=access|id", **body)
        # Its audience is the client.
        assert accepted(f"{ISSUER};client_id=api;token_use=id", **body)
        assert refused(f"{ISSUER};client_id=web;token_use=id", **body)
    assert refused(f"{ISSUER};client_id=api;token_use=access|id", token_use="access")
    assert refused(f"{ENTRY};token_use=id", token_use="access")
    assert refused(f"{ENTRY};token_use=id")


@pytest.mark.parametrize("bound", [{"jkt": "x"}, {"x5t#S256": "x"}, {}, None])
def test_a_token_that_is_bound_to_a_key_is_no_bearer_token(bound: object) -> None:
    body: dict[str, Any] = {**claims(), "cnf": bound}
    with pytest.raises(Unauthenticated, match="bound to a key"):
        authority().verify(signed(KID, body))


# -- who it is -----------------------------------------------------------------------------


def test_cognito() -> None:
    pool = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbC"
    entry = f"{pool};client_id=7abc;token_use=access"
    body: dict[str, Any] = {
        "iss": pool,
        "aud": None,
        "client_id": "7abc",
        "token_use": "access",
        "sub": "aaaa-bbbb",
        "username": "ada",
        "cognito:groups": ["admins", "readers"],
        "scope": "aws.cognito.signin.user.admin orders/read",
    }
    identity = verified(entry, **body)
    assert (identity.subject, identity.kind) == ("aaaa-bbbb", "user")
    assert identity.roles == ("admins", "readers")
    assert identity.permissions == ("aws.cognito.signin.user.admin", "orders/read")
    assert verified(f"{entry};subject=username", **body).subject == "ada"
    machine = verified(entry, **{**body, "sub": "7abc", "username": None, "cognito:groups": None})
    assert (machine.subject, machine.kind, machine.roles) == ("7abc", "client", ())
    assert refused(entry, **{**body, "token_use": "id"})
    assert refused(entry, **{**body, "client_id": "other"})
    told = verified(
        f"{pool};client_id=7abc;token_use=id;subject=cognito:username",
        **{**body, "token_use": "id", "aud": "7abc", "client_id": None, "cognito:username": "ada"},
    )
    assert (told.subject, told.roles) == ("ada", ("admins", "readers"))


def test_keycloak() -> None:
    realm = "https://sso.example/realms/shop"
    body: dict[str, Any] = {
        "iss": realm,
        "aud": ["api", "account"],
        "typ": "Bearer",
        "azp": "web",
        "sub": "f:1:ada",
        "preferred_username": "ada",
        "realm_access": {"roles": ["user", "admin"]},
        "resource_access": {"my.api": {"roles": ["editor"]}, "account": {"roles": ["x"]}},
        "scope": "profile email",
    }
    entry = f"{realm};audience=api;client_id=web;token_use=access"
    assert verified(entry, **body).roles == ("user", "admin")
    assert verified(entry, **body).kind == "user"
    mapped = f"{entry};roles=resource_access.my.api.roles|realm_access.roles|missing.roles"
    assert verified(mapped, **body).roles == ("editor", "user", "admin")
    machine = {**body, "azp": "Web", "preferred_username": "service-account-web"}
    assert verified(f"{realm};audience=api", **machine).kind == "client"
    assert refused(entry, **{**body, "typ": "ID"})


def test_auth0_and_entra() -> None:
    url = "https://tenant.auth0.example/"
    entry = f"{url};audience=https://api.example;roles=https://shop.example/roles"
    body: dict[str, Any] = {
        "iss": url,
        "aud": ["https://api.example", f"{url}userinfo"],
        "azp": "abc",
        "sub": "auth0|17",
        "scope": "openid profile",
        "permissions": ["order:read"],
        "https://shop.example/roles": ["admin"],
    }
    identity = verified(entry, **body)
    assert (identity.subject, identity.roles) == ("auth0|17", ("admin",))
    assert identity.permissions == ("order:read", "openid", "profile")
    assert verified(entry, **{**body, "sub": "x@clients", "gty": "client-credentials"}).kind == (
        "client"
    )
    assert verified(appid="a", idtyp="app", sub="b").kind == "client"
    assert verified(cid="a", sub="a").kind == "client"


def test_what_gives_roles_and_permissions_may_be_chosen_or_nothing() -> None:
    body: dict[str, Any] = {
        "roles": "admin",
        "groups": ["a"],
        "permissions": ["p"],
        "rights": ["r"],
        "scp": ["s"],
    }
    chosen = verified(f"{ENTRY};roles=groups;permissions=rights|permissions;plan=roles", **body)
    assert (chosen.roles, chosen.permissions, chosen.plan) == (("a",), ("r", "p", "s"), "admin")
    none = verified(f"{ENTRY};roles=;permissions=;plan=", **{**body, "plan": "gold"})
    assert (none.roles, none.permissions, none.plan) == ((), ("s",), "")


def test_a_path_that_leads_nowhere() -> None:
    nowhere: list[dict[str, Any]] = [{"a": 7}, {"a": []}, {"a": {"c": ["x"]}}, {"a.": {"b": 1}}]
    for body in [*nowhere, {"a": {"b": None}}]:
        assert verified(f"{ENTRY};roles=a.b", **body).roles == ()
    assert verified(f"{ENTRY};roles=a.b", **{"a.b": ["x"], "a": {"b": ["y"]}}).roles == ("x",)
    assert (
        refused(f"{ENTRY};roles=a.b", a={"b": [7]}) == "The token's roles are not a list of words."
    )


@pytest.mark.parametrize("subject", [None, "", True, 1.5, [], ["u1"], {"a": 1}])
def test_a_subject_is_a_word_or_a_whole_number(subject: object) -> None:
    assert refused(sub=subject) == "The token names no subject."
    assert verified(sub=7).subject == "7"
    assert refused(f"{ENTRY};subject=username") == "The token names no subject."


def test_half_a_character_is_refused() -> None:
    body = b'{"iss":"%s","aud":"api","exp":9999999999,"sub":"\\ud800"}' % ISSUER.encode()
    with pytest.raises(Unauthenticated):
        authority().verify(signed(KID, body))
