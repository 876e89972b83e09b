"""Paths of legs, and what clients say put into them."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from flask import Response, request
from hypothesis import given
from hypothesis import strategies as st

from gateway import Service, after, gather
from gateway.aggregation.leg_path import UnusablePath, leg_path
from tests.aggregation.house import House
from tests.support.wsgi import call

users = Service("users", __name__, url_prefix="/users", upstream="http://users")
files = Service(
    "files", __name__, url_prefix="/files", upstream="http://files", allow_encoded_slashes=True
)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/../admin", "dot segment"),
        ("/a/..", "dot segment"),
        ("/./a", "dot segment"),
        ("/..;/admin", "dot segment"),
        ("/.;x", "dot segment"),
        ("/a//b", "empty segment"),
        ("//a", "empty segment"),
        ("/a\\..\\b", "backslash"),
        ("/a\0", "control"),
    ],
)
def test_a_path_leads_nowhere_else(path: str, reason: str) -> None:
    with pytest.raises(UnusablePath) as refused:
        users.fetch(path)
    assert (refused.value.code, refused.value.slug) == (400, "ambiguous_path")
    told = str(refused.value.description)
    assert told.startswith("A part of the answer cannot be asked for: the path has ")
    assert reason in told


@pytest.mark.parametrize(
    ("path", "values", "target"),
    [
        ("/{id}", {"id": 7}, "/7"),
        ("{id}", {"id": "a"}, "/a"),
        ("/{id}/orders/{id}", {"id": "a b"}, "/a%20b/orders/a%20b"),
        ("/{a}-{b}", {"a": "1;x=?#&", "b": "ä%2F+"}, "/1%3Bx%3D%3F%23%26-%C3%A4%252F%2B"),
        ("/v.{id}", {"id": "..."}, "/v...."),
        ("/{id}", {"id": "{id}"}, "/%7Bid%7D"),
        ("/{id}", {"id": "\ud800\n"}, "/%ED%A0%80%0A"),
        ("/ä {id}", {"id": "%2e%2e"}, "/%C3%A4%20%252e%252e"),
    ],
)
def test_a_value_is_part_of_one_segment(path: str, values: dict[str, Any], target: str) -> None:
    assert users.fetch(path, **values).target == target


WRONG = ["", None, ".", "..", "..;x", ".;", "a/b", "../admin", "/", "a\\b", "a\0b"]


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_a_value_that_is_more_is_refused_and_not_repeated(value: str | None) -> None:
    with pytest.raises(UnusablePath) as refused:
        users.fetch("/{id}/orders", id=value)
    told = str(refused.value.description)
    assert told.startswith("'id' cannot be part of a path: ")
    assert "admin" not in told


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/.{a}", {"a": ";x"}),
        ("/a//{a}", {"a": "x"}),
        ("/..{a}/x", {"a": ";"}),
    ],
)
def test_what_stands_around_a_value_counts(path: str, values: dict[str, Any]) -> None:
    with pytest.raises(UnusablePath):
        users.fetch(path, **values)


def test_slashes_of_a_value_are_encoded_where_the_service_takes_such() -> None:
    assert files.fetch("/{name}", name="docs/a b").target == "/docs%2Fa%20b"
    for name in ("docs/../x", "..;/x", "a\\b"):
        with pytest.raises(UnusablePath):
            files.fetch("/{name}", name=name)


def test_a_place_without_a_value_and_a_value_without_a_place_are_mistakes() -> None:
    with pytest.raises(TypeError, match=r"neither an option nor a place.*\['timeot'\]"):
        users.fetch("/7", timeot=3)
    with pytest.raises(ValueError, match=r"nothing is given for \['b'\]"):
        users.fetch("/{a}/{b}", a=1)
    assert users.fetch("/{a}").target == "/%7Ba%7D"  # text of a client may look like a place


@given(st.text())
def test_whatever_a_value_is_it_stays_where_it_is_put(value: str) -> None:
    try:
        made = leg_path("/a/{id}/b", {"id": value}, encoded_slashes=False)
    except UnusablePath:
        return
    first, middle, last = made.removeprefix("/").split("/")
    assert (first, last) == ("a", "b")
    assert unquote(middle, errors="surrogatepass") == value
    assert middle not in ("", ".", "..")
    assert not set("?#;\\") & set(middle)


def asking() -> House:
    """A house whose view `/front/of` makes a part of what `?id=` says."""
    house = House()

    @house.front.get("/of")
    def of() -> Response:
        return gather(one=house.a.fetch("/{id}", id=request.args.get("id"))).respond()

    return house


@pytest.mark.parametrize("said", ["", "id=", "id=..", "id=..%2Fadmin", "id=%5C"])
def test_what_a_client_says_is_refused_as_its_fault(said: str) -> None:
    house = asking()
    told = call(house.app(), f"/front/of?{said}")
    assert (told.status, told.json["code"]) == (400, "ambiguous_path")
    assert told.header("Content-Type") == ["application/problem+json"]
    assert house.stub.requests == []


def test_what_a_client_says_reaches_one_resource_only() -> None:
    house = asking()
    assert call(house.app(), "/front/of?id=7%3Fx%3D1%23").status == 200
    assert [one.url for one in house.stub.requests] == ["http://a.internal/a/7%3Fx%3D1%23"]


def test_a_path_made_of_what_a_backend_says_is_that_parts_failure() -> None:
    house = House(replies={"/a/1": {"id": ".."}})
    parts = {"one": house.a.fetch("/1"), "two": lambda one: house.b.fetch("/{id}", id=one["id"])}
    told = house.ask(**parts)
    assert (told.status, told.json["two"], told.json["_degraded_parts"]) == (200, None, ["two"])
    house = House(replies={"/a/1": {"id": ".."}})
    needed = after(lambda one: house.b.fetch(f"/{one['id']}"), required=True)
    told = house.ask(one=house.a.fetch("/1"), two=needed)
    assert (told.status, told.json["code"]) == (502, "ambiguous_path")
