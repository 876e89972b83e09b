"""Parts of an answer asked for side by side, in process, with backends that are functions."""

from __future__ import annotations

import gc
import logging
import socket
import threading
import time
import weakref
from typing import Any

import orjson
import pytest
from flask import Response

from gateway import (
    Fallback,
    Leg,
    LegFailed,
    NotSent,
    UpstreamError,
    after,
    gather,
    parallel,
)
from gateway.errors import ConnectFailed, HeadTimeout
from tests.aggregation.house import JSON, House
from tests.support.gunicorn import wait_for
from tests.support.wsgi import call, make_app, make_environ, run


def test_parts_are_what_the_services_answer() -> None:
    house = House()
    told = house.ask(one=house.a.fetch("/1"), two=house.b.fetch(query={"q": ["x y", 2], "n": None}))
    assert told.json == {
        "one": {"path": "/a/1"},
        "two": {"path": "/b?q=x+y&q=2"},
        "_degraded": False,
    }
    assert (told.status, told.header("X-Gateway-Completed")) == (200, ["true"])
    assert told.header("Content-Type") == ["application/json"]
    assert told.header("Cache-Control") == []


def test_what_is_not_there_has_its_default() -> None:
    house = House(replies={"/a/1": ConnectFailed("refused"), "/b/1": (500, JSON, b"{}")})
    told = house.ask(
        one=house.a.fetch("/1", default=[]), two=house.b.fetch("/1"), three=house.b.fetch("/2")
    )
    assert told.json == {
        "one": [],
        "two": None,
        "three": {"path": "/b/2"},
        "_degraded": True,
        "_degraded_parts": ["one", "two"],
    }
    assert told.header("X-Gateway-Completed") == ["false"]
    assert told.header("Cache-Control") == ["no-store"]


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (ConnectFailed("refused"), 502, "connection_refused"),
        (HeadTimeout("late"), 504, "http_response_timeout"),
        (NotSent("circuit_open"), 503, "circuit_open"),
        ((500, JSON, b"{}"), 502, "status_500"),
        ((400, JSON, b"{}"), 502, "status_400"),
        ((401, JSON, b"{}"), 502, "status_401"),
        ((301, JSON, b"{}"), 502, "status_301"),
        ((403, JSON, b"{}"), 403, "forbidden"),
        ((404, JSON, b"{}"), 404, "not_found"),
        ((410, JSON, b"{}"), 410, "gone"),
        ((429, JSON, b"{}"), 429, "too_many_requests"),
        ((200, JSON, b"<html>"), 502, "no_json"),
        ((200, JSON, b"[" + b"1," * 1000 + b"1]"), 502, "answer_too_large"),
    ],
)
def test_without_a_required_part_there_is_no_answer(reply: Any, status: int, code: str) -> None:
    house = House(replies={"/a/1": reply})
    told = house.ask(one=house.a.fetch("/1", required=True), two=house.b.fetch("/1"))
    assert (told.status, told.code) == (status, code)
    assert told.header("X-Gateway-Completed") == ["false"]
    assert told.header("Content-Type") == ["application/problem+json"]


def test_an_empty_answer_is_none() -> None:
    house = House(replies={"/a/1": (204, {}, b"")})
    assert house.ask(one=house.a.fetch("/1", default=1)).json == {"one": None, "_degraded": False}


def test_another_leg_stands_for_one_that_failed() -> None:
    house = House(replies={"/a/1": ConnectFailed("refused"), "/b/bad": ConnectFailed("refused")})
    told = house.ask(
        one=house.a.fetch("/1", required=True, fallback=house.b.fetch("/2")),
        two=house.a.fetch("/1", default="none", fallback=house.b.fetch("/bad")),
        three=house.a.fetch("/1", fallback=lambda failed: failed.reason),
    )
    assert told.json["one"] == {"path": "/b/2"}
    assert (told.json["two"], told.json["three"]) == ("none", "connection_refused")
    assert told.json["_degraded_parts"] == ["one", "two", "three"]


def test_a_required_part_whose_other_leg_fails_ends_the_view() -> None:
    house = House(replies={"/a/1": ConnectFailed("x"), "/b/2": (404, JSON, b"{}")})
    leg = house.a.fetch("/1", required=True, fallback=house.b.fetch("/2"))
    assert house.ask(one=leg).status == 404


def test_a_part_may_be_a_list() -> None:
    house = House(replies={"/a/2": (500, JSON, b"")})
    told = house.ask(
        many=[house.a.fetch(f"/{number}", default=number) for number in (1, 2)], none=[]
    )
    assert told.json["many"] == [{"path": "/a/1"}, 2]
    assert (told.json["none"], told.json["_degraded_parts"]) == ([], ["many.1"])


def test_a_part_follows_those_it_needs() -> None:
    house = House(replies={"/a/1": {"ids": [5, 6]}})

    def also(one: dict[str, Any]) -> list[Leg]:
        return [house.b.fetch(f"/{number}") for number in one["ids"]]

    told = house.ask(
        count=lambda many, one: len(many) + len(one),
        many=also,
        one=house.a.fetch("/1"),
        last=after(lambda many: house.a.fetch(many[-1]["path"][2:])),
    )
    assert told.json["many"] == [{"path": "/b/5"}, {"path": "/b/6"}]
    assert (told.json["count"], told.json["last"]) == (3, {"path": "/a/6"})


def test_a_part_is_not_asked_for_without_what_it_needs() -> None:
    house = House(replies={"/a/1": (500, JSON, b"")})
    told = house.ask(
        one=house.a.fetch("/1"), two=after(lambda one: house.b.fetch(one["x"]), default=[])
    )
    assert (told.json["two"], told.json["_degraded_parts"]) == ([], ["one", "two"])
    assert len(house.stub.requests) == 1
    needed = after(lambda one: house.b.fetch(one["x"]), required=True)
    told = house.ask(one=house.a.fetch("/1"), two=needed)
    assert (told.status, told.code) == (502, "status_500")


@pytest.mark.parametrize(
    "parts",
    [
        {"one": lambda two: two, "two": lambda one: one},
        {"one": lambda unknown: unknown},
        {"one": "text"},
        {"one": ["text"]},
    ],
    ids=["a circle", "an unknown part", "no leg", "no list of legs"],
)
def test_parts_that_make_no_sense_are_an_error(parts: Any) -> None:
    house = House()
    assert house.ask(**parts).status == 500
    assert len(house.raised) == 1


def test_a_function_names_its_parts_one_by_one() -> None:
    with pytest.raises(TypeError, match="one by one"):
        after(lambda *parts: parts)


def test_a_bug_in_a_part_is_a_bug() -> None:
    house = House()
    assert house.ask(one=house.a.fetch("/1"), two=lambda one: one["none"]).status == 500


def test_too_many_legs_are_refused() -> None:
    house = House(legs=3)
    told = house.ask(many=[house.a.fetch(f"/{number}") for number in range(4)])
    assert (told.status, told.code) == (400, "too_many_parts")
    assert house.ask(many=[house.a.fetch(f"/{number}") for number in range(3)]).status == 200


def test_nothing_is_asked_when_no_time_is_left() -> None:
    house = House(total=0.01)
    app = house.app()
    house.parts = {"one": house.a.fetch("/1")}

    def slow_view(number: int) -> Response:
        time.sleep(0.02)
        return house.view(number)

    app.view_functions["front.view"] = slow_view
    told = call(app, "/front/x/1")
    assert (told.status, told.code, house.stub.requests) == (504, "deadline_exceeded", [])


def test_what_cannot_be_interrupted_is_not_waited_for() -> None:
    over = threading.Event()
    house = House(replies={"/a/1": lambda: over.wait(30) and "late"}, total=0.2)
    try:
        told = house.ask(one=house.a.fetch("/1", default="none"), two=house.b.fetch("/1"))
    finally:
        over.set()
    assert (told.json["one"], told.json["two"]) == ("none", {"path": "/b/1"})


def test_failures_are_told_by_name() -> None:
    failed = LegFailed("no_json")
    assert (failed.reason, failed.status, failed.error) == ("no_json", 502, None)
    assert issubclass(ConnectFailed, UpstreamError)


def test_what_stands_for_a_leg_is_not_counted() -> None:
    house = House(legs=2, replies={"/a/1": (500, JSON, b""), "/a/2": (500, JSON, b"")})
    told = house.ask(
        **{
            f"p{number}": house.a.fetch(f"/{number}", fallback=house.b.fetch(f"/{number}"))
            for number in (1, 2)
        }
    )
    assert (told.status, told.json["p2"]) == (200, {"path": "/b/2"})


def test_a_default_is_each_requests_own() -> None:
    house = House(replies={"/a/1": (500, JSON, b"")})
    app = house.app()
    leg = house.a.fetch("/1", default={"items": []})
    late = after(lambda one: None, default=[])
    seen = []

    def changing(number: int) -> Response:
        found = gather(one=leg, two=late)
        found["one"]["items"].append(number)
        found["two"].append(number)
        seen.append((found["one"], found["two"]))
        return found.respond()

    app.view_functions["front.view"] = changing
    for _ in range(2):
        call(app, "/front/x/1")
    assert seen == [({"items": [1]}, [1])] * 2


def test_tries_of_legs_that_were_given_up_are_told(capfd: pytest.CaptureFixture[str]) -> None:
    over = threading.Event()
    asked = threading.Event()

    def late() -> str:
        asked.set()
        over.wait(30)
        return "late"

    def refused() -> Any:
        asked.wait(30)
        return 404, JSON, b"{}"

    house = House(replies={"/a/1": refused, "/b/1": late})
    app = make_app(house.a, house.b, house.front, ACCESS_LOG=True)
    house.parts = {"one": house.a.fetch("/1", required=True), "two": house.b.fetch("/1")}
    try:
        assert call(app, "/front/x/1").status == 404
    finally:
        over.set()
    assert orjson.loads(capfd.readouterr().out.splitlines()[-1])["attempts"] == 2


def test_a_leg_that_cannot_be_interrupted_has_its_own_time() -> None:
    over = threading.Event()
    house = House(replies={"/a/1": lambda: over.wait(30) and "late"})
    try:
        told = house.ask(one=house.a.fetch("/1", timeout=0.1, default="none"))
        waited = over.is_set()
    finally:
        over.set()
    assert (told.json["one"], waited) == ("none", False)


def test_legs_without_room_beside_requests_are_asked_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parallel, "start", lambda task: False)
    house = House(replies={"/a/1": (500, JSON, b"")})
    told = house.ask(
        one=house.a.fetch("/1", fallback=house.b.fetch("/1")),
        two=house.b.fetch("/2"),
        three=lambda two: [house.b.fetch("/3"), house.b.fetch("/4")],
    )
    assert told.json["one"] == {"path": "/b/1"}
    assert told.json["three"] == [{"path": "/b/3"}, {"path": "/b/4"}]
    here, there = socket.socketpair()
    there.close()
    with here:
        left = run(house.app(), {**make_environ("/front/x/1"), "gunicorn.socket": here})
    assert (left.status, len(house.stub.requests)) == (499, 5)  # nothing more for one who has left


class Marked(str):
    """Can be seen to be gone."""

    __slots__ = ("__weakref__",)


@pytest.mark.parametrize(
    "reply",
    [{}, lambda: ConnectFailed("refused"), (404, JSON, b"{}")],
    ids=["good", "broken", "refused"],
)
@pytest.mark.parametrize("required", [False, True], ids=["optional", "required"])
def test_a_gather_leaves_nothing_for_the_collector(
    reply: Any, required: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "gateway")  # what is logged is kept by the test
    house = House(replies={"/a/1": reply})
    app = house.app()
    house.parts = {"one": house.a.fetch("/1", required=required), "two": house.b.fetch("/2")}
    call(app, "/front/x/1")
    gc.collect()
    gc.disable()
    try:
        marked = Marked("192.0.2.9")
        gone = weakref.ref(marked)
        call(app, "/front/x/1", REMOTE_ADDR=marked)
        del marked

        def over() -> bool:
            house.stub.requests.clear()  # the other leg may be asked late
            return gone() is None

        assert wait_for(over)
    finally:
        gc.enable()


def test_what_answered_for_a_part_is_there_for_others() -> None:
    house = House(replies={"/a/1": ConnectFailed("x")})
    leg = house.a.fetch("/1", fallback=house.b.fetch("/2"))
    told = house.ask(
        **{"one": leg, "two": after(lambda one: one["path"]), "x.y": house.a.fetch("/1")}
    )
    assert (told.json["two"], told.json["_degraded_parts"]) == ("/b/2", ["one", "x.y"])
    told = house.ask(one=house.a.fetch("/1", fallback=lambda failed: [failed.reason]), two=_first)
    assert (told.json["two"], told.json["_degraded_parts"]) == ("connection_refused", ["one"])


def _first(one: list[str]) -> str:
    return one[0]


def test_what_the_fallback_of_a_service_says_is_not_the_whole() -> None:
    house = House(
        replies={"/a/1": ConnectFailed("x")}, policies=[Fallback(body={"few": 1}, status=200)]
    )
    told = house.ask(one=house.a.fetch("/1", required=True), two=after(lambda one: one["few"]))
    assert told.json == {
        "one": {"few": 1},
        "two": 1,
        "_degraded": True,
        "_degraded_parts": ["one"],
    }
