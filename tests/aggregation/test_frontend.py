"""A frontend: its views, the services it uses, and what is judged at start."""

from __future__ import annotations

import pytest
from flask import Response

from gateway import (
    Cache,
    Service,
    UpstreamError,
    gather,
)
from gateway.errors import ConfigurationError
from tests.aggregation.house import JSON, House
from tests.support.wsgi import call


def test_only_services_in_uses_are_asked() -> None:
    house = House()
    house.a.get("/gathered/<int:number>")(house.view)
    stranger = Service("stranger", __name__, url_prefix="/s", upstream="http://s")
    assert house.ask(one=house.c.fetch("/1")).status == 500
    assert "not in uses" in str(house.raised[0])
    house.parts = {"one": house.c.fetch("/1")}
    assert call(house.app(), "/a/gathered/1").json["one"] == {"path": "/c/1"}
    house.parts = {"one": stranger.fetch("/1")}
    assert call(house.app(), "/a/gathered/1").status == 500
    assert "no part of this gateway" in str(house.raised[1])


def test_a_frontend_is_judged_at_start() -> None:
    house = House(legs=0)
    house.front.leg_bytes = None  # type: ignore[assignment]  # likewise
    house.front.policies = (Cache(),)
    house.front.uses = (house.front, "a")  # type: ignore[assignment]  # what is judged
    with pytest.raises(ConfigurationError) as caught:
        house.app()
    text = str(caught.value)
    assert "legs=0 must be a number above 0" in text
    assert "leg_bytes=None must be" in text
    assert "policies are the services'" in text
    assert "aggregation/house.py" in text  # the place to mend
    assert "'a' in uses is no service" in text
    assert "is no service" in text.partition("'a'")[0]


def test_a_frontend_has_its_views_and_nothing_else() -> None:
    house = House()
    app = house.app()
    assert call(app, "/front/other").status == 404
    assert call(app, "/front/x/1", "POST").status == 405
    with pytest.raises(TypeError, match="no backend"):
        house.front.forward()


def test_a_policy_of_a_view_that_forwards_nothing_is_a_fault() -> None:
    from gateway import with_policies

    house = House()
    house.front.get("/kept")(with_policies(Cache())(lambda: "x"))
    with pytest.raises(ConfigurationError, match="forwards nothing"):
        house.app()


def test_a_service_that_is_not_in_uses_is_noticed_before_it_is_needed() -> None:
    house = House()
    assert house.ask(one=house.a.fetch("/1", fallback=house.c.fetch("/1"))).status == 500
    assert "'c' is not in uses" in str(house.raised[0])
    assert house.stub.requests == []


def test_a_view_may_do_without_a_gather() -> None:
    house = House(replies={"/a/1": (500, JSON, b"")})
    app = house.app()

    def recovering(number: int) -> Response:
        try:
            return gather(one=house.a.fetch("/1", required=True)).respond()
        except UpstreamError:
            return gather(one=house.b.fetch("/1")).respond()

    app.view_functions["front.view"] = recovering
    assert call(app, "/front/x/1").header("X-Gateway-Completed") == ["true"]
