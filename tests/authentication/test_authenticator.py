"""Where a token may stand, which one counts, and what is no credential at all."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.authentication import Authenticator
from gateway.authentication.bearer import Bearer
from gateway.errors import Refusal, Unauthenticated
from tests.authentication.support import claims, sign, verifier

TOKEN = sign(claims())
OTHER = sign(claims(sub="u2"))


def authenticator(header: str = "x-access-tokens", cookie: str = "access_token") -> Authenticator:
    """One that looks everywhere, unless told not to."""
    return Authenticator([Bearer([verifier()], header, cookie)])


def subject(environ: dict[str, Any], **places: str) -> str:
    """Who a request with these variables comes from."""
    return authenticator(**places).authenticate({"REQUEST_METHOD": "GET", **environ}).subject


def slug(environ: dict[str, Any], **places: str) -> str:
    """Why a request with these variables is refused."""
    with pytest.raises(Unauthenticated) as caught:
        subject(environ, **places)
    return caught.value.slug


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
@pytest.mark.parametrize("space", [" ", "   "])
def test_the_scheme_has_no_case(scheme: str, space: str) -> None:
    assert subject({"HTTP_AUTHORIZATION": f"{scheme}{space}{TOKEN} "}) == "u1"


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"},
        {"HTTP_X_ACCESS_TOKENS": TOKEN},
        {"HTTP_X_ACCESS_TOKENS": f" {TOKEN} "},
        {"HTTP_COOKIE": f"access_token={TOKEN}"},
        {"HTTP_COOKIE": f'a=b; access_token="{TOKEN}"; c'},
        {"HTTP_COOKIE": f"a=\x80\xff; \xe9; access_token={TOKEN}; =; b=\x00"},
    ],
)
def test_the_places_of_a_token(environ: dict[str, Any]) -> None:
    assert subject(environ) == "u1"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HTTP_AUTHORIZATION": ""},
        {"HTTP_AUTHORIZATION": "Basic dTpw"},
        {"HTTP_AUTHORIZATION": f"Basic dTpw, Bearer {TOKEN}"},
        {"HTTP_AUTHORIZATION": TOKEN},
        {"HTTP_AUTHORIZATION": f"Bearer\t{TOKEN}"},
        {"HTTP_AUTHORIZATION": f"Bearer={TOKEN}"},
        {"HTTP_AUTHORIZATION": f"Token {TOKEN}"},
        {"HTTP_X_ACCESS_TOKENS": ""},
        {"HTTP_COOKIE": ""},
        {"HTTP_COOKIE": "access_token="},
        {"HTTP_COOKIE": f"xaccess_token={TOKEN}; Access_Token={TOKEN}; access_token"},
        {"HTTP_COOKIE": f"a=access_token={TOKEN}"},
        {"HTTP_COOKIE": "\x80access_token"},
        {"QUERY_STRING": f"access_token={TOKEN}"},
        {"HTTP_PROXY_AUTHORIZATION": f"Bearer {TOKEN}"},
    ],
)
def test_what_is_no_credential(environ: dict[str, Any]) -> None:
    assert slug(environ) == "missing_token"


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Bearer ",
        "bearer    ",
        f"Bearer {TOKEN} {TOKEN}",
        f"Bearer {TOKEN},Bearer {TOKEN}",
        f"Bearer {TOKEN}, Basic dTpw",
        f"Bearer Bearer {TOKEN}",
        f"Bearer {TOKEN},",
        "Bearer null",
        "Bearer undefined",
        f'Bearer "{TOKEN}"',
        f"Bearer {TOKEN[:-2]}",
        f"Bearer {TOKEN}.{TOKEN}",
        "Bearer ..",
        "Bearer \xff\xfe",
    ],
)
def test_a_malformed_header_is_an_invalid_token(value: str) -> None:
    assert slug({"HTTP_AUTHORIZATION": value}) == "token_invalid"
    assert slug({"HTTP_X_ACCESS_TOKENS": value}) == "token_invalid"


def test_two_tokens_are_refused() -> None:
    places = {
        "HTTP_AUTHORIZATION": f"Bearer {TOKEN}",
        "HTTP_X_ACCESS_TOKENS": TOKEN,
        "HTTP_COOKIE": f"access_token={OTHER}",
    }
    for left_out in (None, *places):
        environ = {name: value for name, value in places.items() if name != left_out}
        with pytest.raises(Refusal) as caught:
            subject(environ)
        assert (caught.value.code, caught.value.slug) == (400, "two_credentials")
    assert subject({**places, "HTTP_AUTHORIZATION": "Basic dTpw", "HTTP_COOKIE": ""}) == "u1"
    twice = f"access_token={TOKEN}; access_token={OTHER}"
    assert subject({"HTTP_COOKIE": twice}) == "u1"


def test_other_names_and_none() -> None:
    assert subject({"HTTP_X_TOKEN": TOKEN}, header="X-Token") == "u1"
    assert subject({"HTTP_COOKIE": f"session={TOKEN}"}, cookie="session") == "u1"
    both = {"HTTP_X_ACCESS_TOKENS": TOKEN, "HTTP_COOKIE": f"access_token={TOKEN}; ={TOKEN}"}
    assert slug({**both, "HTTP_": TOKEN}, header="", cookie="") == "missing_token"
    assert slug(both, header="x-token", cookie="session") == "missing_token"


UNSAFE = ("POST", "PUT", "PATCH", "DELETE", "get", "PROPFIND")


def with_cookie(method: str, site: str | None) -> str:
    """Who a browser's request comes from, as the browser names the site that made it."""
    environ = {"REQUEST_METHOD": method, "HTTP_COOKIE": f"access_token={TOKEN}"}
    if site is not None:
        environ["HTTP_SEC_FETCH_SITE"] = site
    return subject(environ)


@pytest.mark.parametrize("method", UNSAFE)
def test_another_sites_page_cannot_write_with_a_cookie(method: str) -> None:
    with pytest.raises(Refusal) as caught:
        with_cookie(method, "cross-site")
    assert (caught.value.code, caught.value.slug) == (403, "cross_site")
    for site in ("same-origin", "same-site", "none", None):
        assert with_cookie(method, site) == "u1"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_is_safe_from_anywhere(method: str) -> None:
    assert with_cookie(method, "cross-site") == "u1"


def test_a_header_is_no_cookie_and_counts_from_anywhere() -> None:
    environ = {"REQUEST_METHOD": "POST", "HTTP_SEC_FETCH_SITE": "cross-site"}
    assert subject({**environ, "HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}) == "u1"
    assert subject({**environ, "HTTP_X_ACCESS_TOKENS": TOKEN}) == "u1"
