"""Whom legs are asked for: a caller gets what he could ask for himself, and nothing more."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from gateway import Fallback, Service, all_of, any_of, public, require, with_policies
from gateway.authentication import Identity
from gateway.authentication.scheme import Carried
from gateway.errors import ConfigurationError
from gateway.transforms import ResponseJSON
from tests.aggregation.house import JSON, House
from tests.support.wsgi import bearer, call, make_app


def special(house: House, path: str) -> None:
    """A view of service a that requires more than the service does."""
    require("special")(house.a.get(path)(lambda **_: house.a.forward()))


@pytest.mark.parametrize("path", ["/spécial", "/a b", "/[x]"])
def test_a_view_is_found_whatever_is_encoded_in_its_path(path: str) -> None:
    house = House()
    special(house, path)
    leg = house.a.fetch(path, required=True)
    assert house.ask(one=leg).status == 401
    assert house.ask([bearer("other")], one=leg).status == 403
    assert house.ask([bearer("special")], one=leg).status == 200


def test_what_is_below_another_service_is_that_ones() -> None:
    house = House()
    inner = require("admin")(
        Service("inner", __name__, url_prefix="/a/admin", upstream="http://inner.internal")
    )
    app = make_app(house.a, house.b, inner, house.front)
    house.parts = {"one": house.a.fetch("/admin/7", required=True)}
    assert call(app, "/front/x/1", headers=[bearer("admin")]).status == 404
    assert house.stub.requests == []
    house.parts = {"one": house.a.fetch("/administration", required=True)}
    assert call(app, "/front/x/1").status == 200
    house.parts = {"one": house.a.fetch("/admin/7", trusted=True)}
    assert call(app, "/front/x/1").json["one"] == {"path": "/a/admin/7"}


def test_services_with_one_prefix_have_views_of_their_own() -> None:
    house = House()
    other = public(
        Service(
            "other", __name__, url_prefix="/a", upstream="http://o.internal", headers={"X-V": "2"}
        )
    )
    other.get("/<int:number>/special")(public(lambda number: other.forward()))
    special(house, "/<int:number>/special")
    app = make_app(other, house.a, house.b, house.front)
    house.parts = {"one": house.a.fetch("/7/special", required=True)}
    assert call(app, "/front/x/1").status == 401
    assert call(app, "/front/x/1", headers=[bearer("special")]).status == 200
    house.parts = {"one": house.a.fetch("/7")}
    assert call(app, "/front/x/1").json["one"] == {"path": "/a/7"}


def test_what_a_service_without_paths_requires_counts() -> None:
    house = House()
    hidden = Service(
        "hidden",
        __name__,
        url_prefix=None,
        upstream="http://h.internal",
        session=house.stub.session(),
    )
    house.front.uses = (house.a, hidden)
    app = make_app(house.a, hidden, house.front)
    house.parts = {"one": hidden.fetch("/7", required=True)}
    assert call(app, "/front/x/1").json["one"] == {"path": "/7"}  # nobody requires anything
    require("inner")(hidden)
    app = make_app(house.a, hidden, house.front)
    assert call(app, "/front/x/1").status == 401
    assert call(app, "/front/x/1", headers=[bearer("other")]).status == 403
    assert call(app, "/front/x/1", headers=[bearer("inner")]).status == 200


class Doorman:
    """A scheme of one service's own: it believes anybody."""

    carried: ClassVar[Carried] = "message"
    needs: ClassVar[str] = "a word"

    def __init__(self) -> None:
        self.name = "doorman"
        self.challenge = ""
        self.hides = frozenset({"x-word"})
        self.writes = frozenset[str]()

    def find(self, environ: dict[str, Any]) -> str | None:
        found: str | None = environ.get("HTTP_X_WORD")
        return found

    def verify(self, credential: str, environ: dict[str, Any]) -> Identity:
        return Identity(subject=credential, scheme=self.name, permissions=("read",))


def test_a_scheme_of_the_views_own_opens_no_other_service() -> None:
    house = House(closed=True)
    house.front.authentication = (Doorman(),)
    told = house.ask([("X-Word", "ada")], one=house.a.fetch("/1", required=True))
    assert told.status == 403
    house = House(closed=True)
    house.front.authentication = ("jwt",)  # one of those that the service takes, too
    assert house.ask([bearer("read")], one=house.a.fetch("/1", required=True)).status == 200


def test_the_policies_of_a_view_are_for_its_legs_too() -> None:
    secret = b'{"id":1,"secret":"x"}'
    reply = (200, {**JSON, "Content-Length": str(len(secret))}, secret)
    house = House(replies={"/a/7/shown": reply, "/a/7/whole": reply})

    @house.a.get("/<int:number>/shown")
    @with_policies(ResponseJSON(deny=["secret"]))
    def shown(number: int) -> Any:
        return house.a.forward()

    legs = {"one": house.a.fetch("/7/shown"), "two": house.a.fetch("/7/whole")}
    legs["three"] = house.a.fetch("/7/shown", trusted=True)
    told = house.ask(**legs).json
    assert (told["one"], told["three"]) == ({"id": 1}, {"id": 1})
    assert told["two"] == {"id": 1, "secret": "x"}


def test_a_frontend_is_no_backend_for_policies() -> None:

    house = House(policies=[Fallback(service="front")])
    with pytest.raises(ConfigurationError, match="'front' is none of the services"):
        house.app()


def test_what_a_function_decides_may_be_met_otherwise() -> None:
    house = House()
    owns = any_of("admin", all_of("read", lambda identity, request: True))
    house.a = require("base", owns)(house.service("a"))
    house.front.uses = (house.a,)
    leg = house.a.fetch("/1", required=True)
    assert house.ask([bearer("base", "admin")], one=leg).status == 200
    told = house.ask([bearer("base", "read")], one=leg)
    assert (told.status, told.code) == (403, "forbidden")
    told = house.ask([bearer("admin")], one=leg)
    assert (told.status, told.code) == (403, "insufficient_scope")


def test_a_caller_gets_no_more_than_the_services_let_him_have() -> None:
    house = House(closed=True)
    legs = {"one": house.a.fetch("/1", default=0), "two": house.b.fetch("/1", trusted=True)}
    told = house.ask(**legs)
    assert (told.json["one"], told.json["two"]) == (0, {"path": "/b/1"})
    needed = house.a.fetch("/1", required=True)
    assert house.ask(one=needed).status == 401
    assert house.ask([bearer("other")], one=needed).status == 403
    assert house.ask([bearer("read")], one=needed).status == 200
    assert [one.url for one in house.stub.requests] == [
        "http://b.internal/b/1",
        "http://a.internal/a/1",
    ]


def test_what_a_view_of_the_service_requires_counts() -> None:
    house = House()
    require("special")(house.a.get("/<int:number>/special")(lambda number: house.a.forward()))
    leg = house.a.fetch("/7/special", required=True)
    assert house.ask(one=leg).status == 401
    assert house.ask([bearer("other")], one=leg).status == 403
    assert house.ask([bearer("special")], one=leg).json["one"] == {"path": "/a/7/special"}
    assert house.ask(one=house.a.fetch("/7/other")).json["one"] == {"path": "/a/7/other"}
    assert house.ask(one=house.a.fetch("/7/special", method="PUT", required=True)).status == 405


def test_a_function_of_require_is_not_asked_for_a_leg() -> None:
    house = House()
    house.a = require(lambda identity, request: True)(house.service("a"))
    house.front.uses = (house.a,)
    told = house.ask([bearer()], one=house.a.fetch("/1", required=True))
    assert told.status == 403


def test_a_service_with_credentials_of_its_own_is_not_asked_with_others() -> None:
    house = House(closed=True)
    house.a.authentication = ("jwt",)
    leg = house.a.fetch("/1", required=True)
    assert house.ask([bearer("read")], one=leg).status == 403
    house = House(closed=True)
    house.a.authentication = house.front.authentication = ("jwt",)
    assert house.ask([bearer("read")], one=house.a.fetch("/1", required=True)).status == 200
