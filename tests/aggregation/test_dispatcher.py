"""The chains that legs are sent through, and what is kept of their answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway import Cache, Handler, Split, UpstreamRequest, UpstreamResponse, with_policies
from gateway.caching.opening import open_responses
from gateway.caching.purging import cache_options, purge_all, read_purge
from gateway.filters import route
from gateway.transforms import RequestHeaders, ResponseJSON
from tests.aggregation.house import JSON, House
from tests.support.wsgi import bearer, call

SECRET = b'{"id":1,"secret":"x"}'
KEPT = {**JSON, "Cache-Control": "max-age=60", "Content-Length": str(len(SECRET))}


def one_of(house: House, app: Any, leg: Any, *headers: tuple[str, str]) -> Any:
    house.parts = {"one": leg}
    return call(app, "/front/x/1", headers=headers).json["one"]


def test_a_leg_has_nothing_of_what_its_service_keeps_further_in() -> None:
    policies = [ResponseJSON(deny=["secret"]), Cache()]
    house = House(replies={"/a/1": (200, KEPT, SECRET)}, policies=policies)
    app = house.app()
    for leg in (house.a.fetch("/1"), house.a.fetch("/1", cache=Cache())):
        assert one_of(house, app, leg) == {"id": 1}
    assert len(house.stub.requests) == 1


def test_a_service_has_nothing_of_what_its_legs_keep() -> None:
    fields = {**KEPT, "Cache-Control": "no-store"}
    house = House(replies={"/a/1": (200, fields, SECRET)}, policies=[Cache()])
    app = house.app()
    for _ in range(2):
        one_of(house, app, house.a.fetch("/1", cache=Cache(ttl=60, override=["no-store"])))
    assert len(house.stub.requests) == 1
    call(app, "/a/1")
    one_of(house, app, house.a.fetch("/1"))
    one_of(house, app, house.a.fetch("/1", cache=Cache(ttl=60)))
    assert len(house.stub.requests) == 4


def test_options_of_a_cache_may_be_lists() -> None:
    house = House()
    app = house.app()
    leg = house.a.fetch("/1", cache=Cache(ttl=60, vary=["Accept-Language"], statuses=[200]))
    for language in ("de", "de", "en"):
        assert one_of(house, app, leg, ("Accept-Language", language)) == {"path": "/a/1"}
    assert len(house.stub.requests) == 2


def test_a_cache_is_a_cache() -> None:
    house = House()
    assert house.ask(one=house.a.fetch("/1", cache=Cache)).status == 500  # type: ignore[arg-type]  # what is refused
    assert "is no policy" in str(house.raised[0])


def test_kept_answers_differ_by_the_fields_of_a_leg() -> None:
    house = House(policies=[Cache(ttl=60, shared=True)])
    app = house.app()
    for tenant in ("a", "b", "a"):
        one_of(house, app, house.a.fetch("/1", headers={"X-Tenant": tenant}), bearer())
    one_of(house, app, house.a.fetch("/1"))
    told = [one.headers.get("X-Tenant") for one in house.stub.requests]
    assert told == ["a", "b", None]


def test_kept_answers_are_for_legs_too() -> None:
    fields = {**JSON, "Cache-Control": "max-age=60", "Content-Length": "6"}
    house = House(replies={"/a/1": (200, fields, b'"kept"')}, policies=[Cache(shared=True)])
    app = house.app()
    house.parts = {"one": house.a.fetch("/1")}
    assert [call(app, "/front/x/1").json["one"] for _ in range(2)] == ["kept", "kept"]
    assert len(house.stub.requests) == 1


def test_a_leg_may_have_a_cache_of_its_own() -> None:
    house = House()
    app = house.app()
    house.parts = {"one": house.a.fetch("/1", cache=Cache(ttl=60)), "two": house.b.fetch("/1")}
    for _ in range(2):
        assert call(app, "/front/x/1").json["one"] == {"path": "/a/1"}
    assert call(app, "/front/x/1", headers=[bearer()]).json["one"] == {"path": "/a/1"}
    asked = [one.url for one in house.stub.requests]
    # Nobody's answer is not somebody's: a leg's cache knows who asks.
    assert (asked.count("http://a.internal/a/1"), asked.count("http://b.internal/b/1")) == (2, 3)
    house.parts = {"one": house.a.fetch("/1", cache=Cache(ttl=-1))}
    assert call(app, "/front/x/1").status == 500


@pytest.mark.parametrize(
    "cache",
    [Cache(ttl=60), Cache(ttl=60, query=["page"]), Cache(ttl=60, query=[]), Cache(sort_query=True)],
    ids=["plain", "chosen", "none", "sorted"],
)
@pytest.mark.parametrize(
    ("url", "calls"),
    [("/a/1?b=2&page=1", 2), ("https://any.example/a/%31?b=2&page=1", 2), ("/b/1?b=2&page=1", 1)],
)
def test_a_purge_of_a_url_reaches_what_legs_keep(cache: Cache, url: str, calls: int) -> None:
    data = b'{"id":1}'
    fields = {**JSON, "Cache-Control": "max-age=60", "Content-Length": str(len(data))}
    house = House(replies={"/a/1?b=2&page=1": (200, fields, data)})
    app = house.app()
    leg = house.a.fetch("/1", query={"b": 2, "page": 1}, cache=cache)
    for _ in range(2):
        one_of(house, app, leg)
    assert len(house.stub.requests) == 1
    gateway = app.extensions["gateway"]
    responses = open_responses(gateway.settings, gateway.commons)
    # As another worker or a command would: the options of legs are in no list.
    purge_all(responses, read_purge("url", url, cache_options(app)))
    one_of(house, app, leg)
    assert len(house.stub.requests) == calls


def test_what_legs_keep_of_other_queries_of_a_path_goes_too_where_parameters_are_chosen() -> None:
    house = House()
    app = house.app()
    gateway = app.extensions["gateway"]
    chosen, plain = Cache(ttl=60, query=["page"]), Cache(ttl=60)
    legs = [house.a.fetch("/1", query={"page": 2}, cache=one) for one in (chosen, plain)]
    for leg in legs:
        one_of(house, app, leg)
    responses = open_responses(gateway.settings, gateway.commons)
    assert purge_all(responses, read_purge("url", "/a/1?page=1")) == 1
    for leg in legs:
        one_of(house, app, leg)
    assert len(house.stub.requests) == 3


def test_variables_of_a_legs_route_are_those_of_its_own_path() -> None:
    """Not of the view's: what is kept of the path would be of another one's variables."""
    house = House(policies=[RequestHeaders(set={"X-Number": "{route.number}"}), Cache(ttl=60)])
    house.a.get("/of/<int:number>")(lambda number: house.a.forward())
    app = house.app()
    for path in ("/of/7", "/8"):
        one_of(house, app, house.a.fetch(path))
        one_of(house, app, house.a.fetch(path, trusted=True))
    told = [one.headers.get("X-Number") for one in house.stub.requests]
    assert told == ["7", None]
    house.parts = {"one": house.a.fetch("/of/word", trusted=True)}
    assert call(app, "/front/x/1").json["one"] == {"path": "/a/of/word"}
    assert house.stub.requests[-1].headers.get("X-Number") is None


def test_what_a_leg_keeps_differs_by_what_its_service_makes_of_requests() -> None:
    """Its cache stands in front of transforms, which is a fault in a list of policies."""
    own = RequestHeaders(set={"X-Who": "{identity.subject}", "X-Kind": "{header.x-sort}"})
    split = Split("b", percent=0, force_header="X-B", draw=lambda: 0.5)
    house = House()
    house.a.policies = (own, split, Cache(ttl=60))
    app = house.app()
    leg = house.a.fetch("/1", cache=Cache(ttl=60, shared=True))
    ways = [[], [("X-Sort", "1")], [bearer(sub="ada")], [bearer(sub="bob")], [("X-B", "always")]]
    for fields in ways * 2:
        one_of(house, app, leg, *fields)
    told = [
        (one.url.partition(".")[0][-1], one.headers.get("X-Who"), one.headers.get("X-Kind"))
        for one in house.stub.requests
    ]
    assert told == [
        ("a", None, None),
        ("a", None, "1"),
        ("a", "ada", None),
        ("a", "bob", None),
        ("b", None, None),
    ]
    call(app, "/a/1")  # what the service keeps further in is known by nothing else for that
    assert len(house.stub.requests) == 5


def test_filters_see_what_is_answered_from_what_a_leg_keeps() -> None:
    seen: list[str] = []

    @route()
    def noting(asked: UpstreamRequest, following: Handler) -> UpstreamResponse:
        seen.append(asked.target)
        return following(replace(asked, differs=(*asked.differs, asked.field("x-kind"))))

    house = House()
    house.a.filters = [noting]
    house.a.get("/of/<name>")(
        with_policies(RequestHeaders(set={"X-Name": "{route.name}"}))(
            lambda name: house.a.forward()
        )
    )
    app = house.app()
    for path in ("/1", "/of/2"):
        leg = house.a.fetch(path, cache=Cache(ttl=60))
        for kind in ("a", "a", "b"):
            one_of(house, app, leg, ("X-Kind", kind))
    assert seen == ["/a/1"] * 3 + ["/a/of/2"] * 3
    told = [(one.url[-1], one.headers.get("X-Name")) for one in house.stub.requests]
    assert told == [("1", None)] * 2 + [("2", "2")] * 2
