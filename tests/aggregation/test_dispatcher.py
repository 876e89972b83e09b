"""The chains that legs are sent through, and what is kept of their answers."""

from __future__ import annotations

from typing import Any

from gateway import Cache
from gateway.transforms import ResponseJSON
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
