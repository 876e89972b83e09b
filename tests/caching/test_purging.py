"""What operators type, as purges."""

from __future__ import annotations

import pytest
from flask import Response

from gateway import Retry, with_policies
from gateway.caching.entry import Passed
from gateway.caching.memory import MemoryResponses
from gateway.caching.purging import Options, cache_options, purge_all, read_purge
from gateway.caching.store import Purge
from gateway.caching.tiers import TieredResponses
from gateway.policies.cache import Cache
from tests.support.wsgi import make_app, open_service

ALL: Options = ("", Cache())
SORTED: Options = ("/shop", Cache(sort_query=True))
CHOSEN: Options = ("/shop/books", Cache(query=["page"]))


@pytest.mark.parametrize(
    ("kind", "text", "what"),
    [
        ("url", "/shop/7?a=1&b=2", "/shop/7?a=1&b=2"),
        ("url", "https://Shop.example:8443/shop/7?a=1#top", "/shop/7?a=1"),
        ("url", "HTTP://shop.example", "/"),
        ("url", "  /shop/7 \n", "/shop/7"),
        ("url", "/shop/%7euser/%e2?q=%2f", "/shop/~user/%E2?q=%2F"),
        ("url", "/café/a b?q=ü", "/caf%C3%A9/a%20b?q=%C3%BC"),
        ("url", "/shop?", "/shop?"),  # a query that is there and empty is another
        ("path", "/shop/%7Euser", "/shop/~user"),
        ("path", "http://shop.example/shop", "/shop"),
        ("prefix", "/shop/", "/shop/"),
        ("prefix", "/shop?page=", "/shop?page="),
        ("prefix", "http://shop.example/sh", "/sh"),
        ("tag", " product-7 ", "product-7"),
        ("tag", "t" * 200, "t" * 200),
    ],
)
def test_words_are_read_as_what_is_kept(kind: str, text: str, what: str) -> None:
    told, *more = read_purge(kind, text, [ALL])
    assert told == Purge(kind, what)  # type: ignore[arg-type]  # one of those that there are
    # A URL means what is kept of its path under any query, too.
    under_any = [Purge("url", what.partition("?")[0] + "?#")]
    assert more == (under_any if kind == "url" else [])


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        ("url", "", "url must not be empty"),
        ("tag", " ", "tag must not be empty"),
        ("url", "shop/7", "url must be a URL, or a path"),
        ("prefix", "*", "prefix must be a URL, or a path"),
        ("path", "ftp://shop.example/x", "path must be a URL, or a path"),
        ("path", "/shop?page=1", "path must have no query"),
        ("tag", "a b", "tag must be one word"),
        ("tag", "ü" * 101, "tag is longer than 200 bytes"),
        ("host", "/shop", "'host' is none of url"),
    ],
)
def test_words_that_name_nothing(kind: str, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_purge(kind, text)


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("/shop/7?b=2&a=1", ["/shop/7?b=2&a=1", "/shop/7?a=1&b=2"]),
        ("/shop/books/7?b=2&page=1", ["?b=2&page=1", "?page=1"]),
        ("/shop/books?b=2", ["/shop/books?b=2", "/shop/books"]),
        ("/shops?b=2&a=1", ["/shops?b=2&a=1"]),  # another service's
        ("/shop/7", ["/shop/7"]),
    ],
)
def test_a_url_is_spelt_as_the_policies_keep_it(text: str, urls: list[str]) -> None:
    options: list[Options] = [ALL, SORTED, CHOSEN]
    *found, under_any = [one.what for one in read_purge("url", text, options)]
    assert [url.removeprefix("/shop/books/7") for url in found] == urls
    assert under_any == text.partition("?")[0] + "?#"


def test_policies_of_services_and_views_are_known() -> None:
    things, _ = open_service(policies=[Cache(sort_query=True), Retry()])
    plain, _ = open_service(name="plain", prefix="/plain")

    @plain.get("/report")
    @with_policies(Cache(query=["year"]))
    def report() -> Response:
        return plain.forward()

    assert cache_options(make_app(things, plain)) == [
        ("/things", Cache(sort_query=True)),
        ("/plain", Cache(query=["year"])),
    ]


def test_several_purges_are_one() -> None:
    responses = TieredResponses(MemoryResponses(1 << 20), 1 << 20)
    for number, url in enumerate(["/a?x=1", "/a?x=2", "/b"]):
        ticket = responses.ticket(url)
        key = bytes([number]) * 16
        assert responses.put(key, Passed(9e9), url=url, tags=["t"], ticket=ticket)
    assert purge_all(responses, [Purge("url", "/a?x=1"), Purge("path", "/b")]) == 2
    assert purge_all(responses, [Purge("tag", "t")]) == 1
