"""What a leg is sent with."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from gateway import Handler, UpstreamRequest, UpstreamResponse
from tests.aggregation.house import House
from tests.support.gunicorn import wait_for
from tests.support.wsgi import bearer


def sent(house: House) -> list[Any]:
    """The fields of the one request; of repeated ones the values, joined."""
    (asked,) = house.stub.requests
    return [asked.headers.get(name) for name in ("Accept", "Content-Type", "X-Tenant")]


def test_a_legs_own_fields_replace_those_it_would_have() -> None:
    house = House()
    headers = {"accept": "application/hal+json", "Content-Type": "application/merge-patch+json"}
    house.ask(one=house.a.fetch("/1", method="PATCH", json={}, headers=headers))
    assert sent(house) == ["application/hal+json", "application/merge-patch+json", None]


def test_nothing_in_a_value_breaks_a_field() -> None:
    house = House()
    value = "é\r\nX-User-ID: root\x00"
    told = house.ask(one=house.a.fetch("/1", headers={"X-Tenant": value}))
    assert told.json["one"] == {"path": "/a/1"}
    assert sent(house)[2] == "%C3%A9%0D%0AX-User-ID: root%00"


@pytest.mark.parametrize("value", [None, ""])
def test_what_is_not_there_is_not_the_clients_either(value: str | None) -> None:
    house = House()
    house.ask([("X-Tenant", "forged")], one=house.a.fetch("/1", headers={"X-Tenant": value}))
    assert sent(house)[2] is None


def test_what_is_about_the_clients_own_message_stays_behind() -> None:
    house = House()
    own = {
        "Content-Length": "3",
        "Expect": "100-continue",
        "Transfer-Encoding": "chunked",
        "Upgrade": "h2c",
        "TE": "trailers",
        "Content-Encoding": "gzip",
        "X-HTTP-Method-Override": "DELETE",
        "X-Hop": "1",
        "Connection": "X-Hop, Upgrade",
    }
    house.ask(list(own.items()), one=house.a.fetch("/1"))
    (asked,) = house.stub.requests
    assert {name.lower() for name in own}.isdisjoint(name.lower() for name in asked.headers)


class Watching:
    """A policy that waits until its request is given up."""

    def __init__(self) -> None:
        self.given_up = threading.Event()

    def __call__(self, following: Handler) -> Handler:
        def handle(request: UpstreamRequest) -> UpstreamResponse:
            if wait_for(request.abandoned):
                self.given_up.set()
            return following(request)

        return handle


def test_a_leg_is_given_up_after_its_own_time() -> None:
    watching = Watching()
    house = House(replies={"/b/1": lambda: watching.given_up.wait(10)})
    house.a.policies = (watching,)
    told = house.ask(one=house.a.fetch("/1", timeout=0.01), two=house.b.fetch("/1"))
    assert (told.json["one"], told.json["two"]) == (None, True)  # long before the gather is over


def test_a_leg_carries_who_asks_and_what_belongs_to_the_whole() -> None:
    house = House()
    sent = [
        bearer("read", sub="ada"),
        ("X-Request-ID", "abcdef0123456789abcdef"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("Accept-Language", "de"),
        ("X-Tenant", "t"),
        ("If-None-Match", '"x"'),
        ("Range", "bytes=0-1"),
        ("Accept", "text/html"),
        ("X-User-ID", "forged"),
        ("X-Request-Deadline", "1"),
        ("Connection", "X-Own"),
    ]
    told = house.ask(sent, one=house.a.fetch("/1", headers={"X-Tenant": "other"}))
    (asked,) = house.stub.requests
    fields = asked.headers
    assert fields["X-User-ID"] == "ada"
    assert [fields["X-Request-ID"]] == told.header("X-Request-ID")
    assert fields["Traceparent"].startswith("00-4bf92f")
    assert (fields["Accept-Language"], fields["Accept"]) == ("de", "application/json")
    assert fields["X-Tenant"] == "other"
    assert fields["X-Forwarded-For"] == "192.0.2.1"
    assert 0 < float(fields["X-Request-Deadline"]) - time.time() < 25
    assert {"if-none-match", "range", "connection"}.isdisjoint(name.lower() for name in fields)


def test_a_leg_may_have_a_body() -> None:
    house = House()
    house.ask(one=house.a.fetch("/1", method="post", json={"n": 1}))
    (asked,) = house.stub.requests
    assert (asked.method, asked.body) == ("POST", b'{"n":1}')
    assert asked.headers["Content-Type"] == "application/json"
