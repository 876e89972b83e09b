"""Keys: the same for the same request of the same caller, and for no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import Cache, Identity, UpstreamRequest
from gateway.caching.keys import Keys, _joined, codings, normalised, path_of, url_of
from gateway.edge.origin import Edge
from gateway.exchange import Headers
from gateway.requester import Requester
from tests.support.outline import outline, requester


def key(
    request: UpstreamRequest | None = None, service: str = "things", **options: Any
) -> tuple[bytes, str]:
    """A request's key and url under these options."""
    found = Keys(service, Cache(**options)).first(request or outline())
    assert found is not None
    return found


def of(target: str = "/things/7", headers: Headers | None = None, **asker: Any) -> bytes:
    """The key of what somebody asks for."""
    who = requester(target, headers, **asker)
    return key(outline(target=target, headers=headers, asker=who))[0]


def test_a_key_is_short_and_stays() -> None:
    assert len(key()[0]) == 16
    assert key() == key()


@pytest.mark.parametrize(
    "other",
    [
        of("/things/8"),
        of("/things/7?"),
        of("/things/7?a=1"),
        of(scheme="https"),
        of(host="other.example"),
        of(host="gateway.example:8080"),
        of(headers=[("Cookie", "sid=1")]),
        of(headers=[("Authorization", "Basic x")]),
        of(headers=[("X-API-Key", "x")]),
        of(identity=Identity("ada")),
        key(service="others")[0],
        key(version="2")[0],
        key(vary=["Accept-Language"])[0],
        key(shared=True)[0],
        key(cookies=["sid"])[0],
        key(query=["page"])[0],
        key(sort_query=True)[0],
        key(replace(outline(), target="/things/8"))[0],
        key(replace(outline(), target="/things/7?a=1"))[0],
        key(replace(outline(), differs=("identity.subject=ada",)))[0],
    ],
    ids=[
        *("path", "empty-query", "query", "scheme", "host", "port", "cookie", "authorization"),
        *("api-key", "identity", "service", "version", "vary", "shared", "cookies", "selection"),
        *("sorting", "rewritten", "query-rewritten", "made-to-differ"),
    ],
)
def test_what_differs_has_another_key(other: bytes) -> None:
    assert other != of()


@pytest.mark.parametrize(
    "same",
    [
        of(host="GATEWAY.example"),
        of(host="gateway.example:80"),
        of("/thing%73/7"),
        of(headers=[("Accept-Language", "de"), ("User-Agent", "x")]),
        key(outline("HEAD"))[0],
    ],
    ids=["case-of-host", "usual-port", "encoded", "fields-that-do-not-count", "head"],
)
def test_what_means_the_same_has_the_same(same: bytes) -> None:
    assert same == of()


def test_a_stripped_prefix_counts_once() -> None:
    """The url is the client's, whatever the backend gets."""
    asked = outline(target="/7?a=1", asker=requester("/api/things/7?a=1"))
    assert key(asked)[1] == "/api/things/7?a=1"


def test_parameters_count_as_policies_in_front_left_them() -> None:
    asked = outline(target="/7?a=1", asker=requester("/api/things/7?a=1&utm_source=x"))
    assert key(asked)[1] == "/api/things/7?a=1"


def test_who_asks_does_not_matter_for_what_is_shared() -> None:
    ada, bob = (outline(headers=[("Authorization", who)]) for who in ("ada", "bob"))
    assert key(ada)[0] != key(bob)[0]
    assert key(ada, shared=True) == key(bob, shared=True)


def test_cookies_that_count() -> None:
    def cookie(value: str, cookies: list[str] | None) -> bytes:
        return key(outline(headers=[("Cookie", value)]), cookies=cookies)[0]

    assert cookie("sid=1; theme=a", ["sid"]) == cookie("theme=b; sid=1", ["sid"])
    assert cookie("sid=1", ["sid"]) != cookie("sid=2", ["sid"])
    assert cookie("sid=1", []) == cookie("sid=2", []) == key(cookies=[])[0]
    assert cookie("a=1,sid=1", ["sid"]) != key(cookies=["sid"])[0]
    assert cookie('theme="a"', ["sid"]) == key(cookies=["sid"])[0]


def test_parameters_that_count() -> None:
    def url(asked: str, **options: Any) -> str:
        return key(outline(target=f"/things?{asked}"), **options)[1]

    assert url("b=2&a=%41%2f&utm=x") == "/things?b=2&a=A%2F&utm=x"
    assert url("b=2&utm=x&a=1", query=["a", "b"]) == "/things?b=2&a=1"
    assert url("%62=2&c+d=1", query=["b", "c d"]) == "/things?b=2&c+d=1"
    assert url("utm=x", query=["a"]) == url("", query=["a"]) == "/things"
    assert url("b=2&a=9&a=1", sort_query=True) == "/things?a=9&a=1&b=2"


def test_parameters_that_do_not_count_make_no_other_key() -> None:
    one, other = (outline(target=f"/things?{query}") for query in ("a=1&x=1", "x=2&a=1"))
    assert key(one)[0] != key(other)[0]
    assert key(one, query=["a"]) == key(other, query=["a"])


@pytest.mark.parametrize("evil", ["%2%30", "%%320", "%%32%30", "%2%300", "a%2%46"])
def test_what_encodes_nothing_is_not_made_to(evil: str) -> None:
    for target in ("/things/{}", "/things?q={}"):
        for meant in ("%20", "%200", "a%2F"):
            assert of(target.format(evil)) != of(target.format(meant))


@pytest.mark.parametrize(
    "name", ["ID", "[id]", "id]", "%20id", "+id", "id%00x", "id[]", "id[a]", "x;id", "%5Bid%5D"]
)
def test_what_some_backend_takes_for_a_parameter_counts(name: str) -> None:
    evil, none = (outline(target=f"/things?{query}") for query in (f"{name}=evil", "x=1"))
    assert key(evil, query=["id"])[0] != key(none, query=["id"])[0]


def test_what_a_trusted_proxy_says_of_the_url_counts() -> None:
    def way(trusted: bool, shared: bool, **fields: str) -> bytes:
        edge = Edge("192.0.2.1", trusted, "192.0.2.1", "http", "gateway.example")
        told = {"RAW_URI": "/things", "gateway.edge": edge, "HTTP_HOST": "gateway.example"}
        return key(outline(asker=Requester(told | fields, None, ())), shared=shared)[0]

    for shared in (True, False):
        usual = way(True, shared)
        assert usual != way(True, shared, HTTP_HOST="inner.example")
        assert usual != way(True, shared, HTTP_X_FORWARDED_PREFIX="//evil.example")
        assert usual == way(False, shared, HTTP_X_FORWARDED_PREFIX="//evil.example")
        assert (usual == way(True, shared, HTTP_X_FORWARDED_USER="ada")) == shared


def test_fields_by_which_answers_differ() -> None:
    def vary(*headers: tuple[str, str]) -> bytes:
        return key(outline(headers=list(headers)), vary=["Accept-Language"])[0]

    assert vary(("accept-language", "de")) == vary(("Accept-Language", " de "))
    assert vary(("accept-language", "de-at")) == vary(("Accept-Language", "DE-AT"))
    assert vary(("Accept-Language", "de, fr")) == vary(
        ("Accept-Language", "de"), ("Accept-Language", "fr")
    )
    assert len({vary(), vary(("Accept-Language", "de")), vary(("Accept-Language", "fr"))}) == 3


def test_variants() -> None:
    def variant(names: tuple[str, ...], *headers: tuple[str, str]) -> bytes | None:
        return Keys("things", Cache()).variant(b"k" * 16, names, outline(headers=list(headers)))

    german = variant(("accept-language",), ("Accept-Language", "de"))
    assert german is not None
    assert len(german) == 16
    assert german == variant(("accept-language",), ("Accept-Language", "de"), ("Accept", "a/b"))
    assert german != variant(("accept-language",), ("Accept-Language", "fr"))
    assert german != variant(("accept-language", "accept"), ("Accept-Language", "de"))
    assert variant(("x-a",), ("X-A", '"a, b"')) != variant(("x-a",), ("X-A", '"a,b"'))


class Half:
    """A request of which not all is known yet."""

    method, target = "GET", "/things/7"
    differs: tuple[str, ...] = ()
    exchange = outline().exchange
    requester = requester()

    def field(self, _name: str) -> str | None:
        """Not known."""
        return None


def test_what_is_not_known_has_no_key() -> None:
    assert Keys("things", Cache()).first(Half()) is not None
    assert Keys("things", Cache(vary=["accept"])).first(Half()) is None
    assert Keys("things", Cache()).variant(b"k", ("accept",), Half()) is None
    assert Keys("things", Cache()).first(replace(outline(), requester=None)) is None


@pytest.mark.parametrize(
    ("value", "means"),
    [
        ("gzip, deflate, br", "br,deflate,gzip"),
        ("br;q=0.1 ,X-GZIP; q=1", "br,gzip"),
        ("gzip;q=0, br", "br"),
        ("gzip;q=0.000, *", "*,gzip;q=0"),
        ("identity;q=0, gzip", "gzip,identity;q=0"),
        ("dcb, gzip", "dcb,gzip"),
        ("", ""),
    ],
)
def test_codings(value: str, means: str) -> None:
    assert codings(value) == means


def test_urls_as_they_are_typed() -> None:
    assert url_of("https://gateway.example/a%7eb?x=%2f#c") == "/a~b?x=%2F"
    assert url_of("a/b") == "/a/b"
    assert path_of("/a?b=http://c") == "/a"
    assert path_of("http://gateway.example") == "/"
    assert normalised("/%e4%41/") == "/%E4A/"
    assert normalised("/%e4%41/%zz%2") == "/%e4%41/%zz%2"


PARTS = st.lists(st.text(alphabet="0123:a%", max_size=4), max_size=4)


@given(PARTS, PARTS)
def test_parts_are_told_apart(one: list[str], other: list[str]) -> None:
    assert (_joined(one) == _joined(other)) == (one == other)
