"""A client stays at its instance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gateway import LeastRequests, RoundRobin, StickySessions, UpstreamRequest, UpstreamResponse
from gateway.upstreams import Node
from gateway.upstreams.load_balancing import BalancedService, Chooser, balancing_faults
from tests.support.outline import answer, outline
from tests.upstreams.load_balancing.support import SECRET, THINGS, Busy, names

NODES = Busy().nodes(a=1, b=1, c=1)


@dataclass
class Client:
    """A browser, in front of a chooser: it keeps the cookies it is given."""

    chooser: Any
    cookie: str = ""
    proto: str = "http"

    def request(self) -> UpstreamRequest:
        """What it sends."""
        fields = [("Cookie", f"a=1; {self.cookie}; b=2")] if self.cookie else []
        return outline(headers=[*fields, ("X-Forwarded-Proto", self.proto)])

    def ask(self, nodes: Sequence[Node], response: UpstreamResponse | None = None) -> str:
        """Who answers; a cookie that is set is kept."""
        request, response = self.request(), response or answer()
        node = self.chooser(nodes, request)
        self.chooser.answered(request, response, node)
        if told := self.told(response):
            self.cookie = told.partition(";")[0]
        return str(node.target.name)

    @staticmethod
    def told(response: UpstreamResponse) -> str:
        """The cookie that a response sets."""
        found = [value for name, value in response.headers if name == "Set-Cookie"]
        assert len(found) <= 1
        return found[0] if found else ""


def chooser(service: BalancedService = THINGS, **options: Any) -> Any:
    """A chooser with turns inside, which are easily foretold."""
    return StickySessions(**{"inner": RoundRobin(), **options}).chooser(service)


def set_by(made: Any, request: UpstreamRequest, response: UpstreamResponse, node: Node) -> str:
    """The cookie that this response sets."""
    made.answered(request, response, node)
    return Client.told(response)


def test_a_client_stays_where_it_was_answered_first() -> None:
    made = chooser()
    clients = [Client(made) for _ in range(3)]
    first = [client.ask(NODES) for client in clients]
    assert sorted(first) == ["a", "b", "c"]
    for _ in range(3):
        assert [client.ask(NODES) for client in clients] == first


def test_the_cookie_is_set_once() -> None:
    client = Client(chooser())
    client.ask(NODES)
    response = answer()
    client.ask(NODES, response)
    assert response.headers == []


def test_when_its_instance_is_gone_it_stays_with_another() -> None:
    client = Client(chooser())
    assert client.ask(NODES) == "a"
    second = client.ask(NODES[1:])
    assert second in ("b", "c")
    assert client.ask(NODES) == second


def test_every_worker_and_restart_knows_the_cookie() -> None:
    client = Client(chooser())
    client.ask(NODES)
    assert client.ask(NODES[1:]) == "b"
    client.chooser = chooser(inner=LeastRequests())
    assert {client.ask(NODES) for _ in range(10)} == {"b"}


@pytest.mark.parametrize(
    "service",
    [replace(THINGS, name="others"), replace(THINGS, secret=SECRET[::-1])],
)
def test_another_service_or_secret_makes_another_value(service: BalancedService) -> None:
    ours = set_by(chooser(cookie="x"), outline(), answer(), NODES[0])
    theirs = set_by(chooser(service, cookie="x"), outline(), answer(), NODES[0])
    assert ours != theirs


def test_the_value_shows_no_address() -> None:
    told = set_by(chooser(), outline(), answer(), Busy().node("10.0.0.7"))
    assert re.fullmatch(r"gw_things=[A-Za-z0-9_\-]{24}; Path=/things; HttpOnly; SameSite=Lax", told)
    assert "10.0.0.7" not in told


@pytest.mark.parametrize("value", ["a", "", "AAAAAAAAAAAAAAAAAAAAAAAA", '"a"', "a.b.c", "x" * 4000])
def test_a_value_of_ones_own_making_pins_nowhere(value: str) -> None:
    made = chooser()
    clients = [Client(made, f"gw_things={value}") for _ in range(3)]
    assert [client.ask(NODES) for client in clients] == ["a", "b", "c"]
    assert clients[0].cookie != f"gw_things={value}"


@pytest.mark.parametrize(
    ("options", "service", "attributes"),
    [
        ({"max_age": 3600}, THINGS, "Path=/things; Max-Age=3600; HttpOnly; SameSite=Lax"),
        ({"path": "/shop"}, THINGS, "Path=/shop; HttpOnly; SameSite=Lax"),
        ({"same_site": "Strict"}, THINGS, "Path=/things; HttpOnly; SameSite=Strict"),
        ({"secure": True}, THINGS, "Path=/things; HttpOnly; SameSite=Lax; Secure"),
        ({}, replace(THINGS, prefix=""), "Path=/; HttpOnly; SameSite=Lax"),
        ({}, replace(THINGS, prefix="/é;x"), "Path=/%C3%A9%3Bx; HttpOnly; SameSite=Lax"),
    ],
)
def test_attributes(options: dict[str, Any], service: BalancedService, attributes: str) -> None:
    told = set_by(chooser(service, **options), outline(), answer(), NODES[0])
    assert told.partition("; ")[2] == attributes


@pytest.mark.parametrize(
    ("secure", "proto", "expected"),
    [
        ("auto", "https", True),
        ("auto", "http", False),
        (True, "http", True),
        (False, "https", False),
    ],
)
def test_secure(secure: Any, proto: str, expected: bool) -> None:
    client = Client(chooser(secure=secure), proto=proto)
    response = answer()
    client.ask(NODES, response)
    assert Client.told(response).endswith("; Secure") is expected


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ("public, max-age=60", False),
        ("max-age=60, PUBLIC", False),
        ("s-maxage=60", False),
        ("private, max-age=60", True),
        ("max-age=60", True),
        ("no-store", True),
        ('no-cache="public"', True),
    ],
)
def test_an_answer_for_everybody_sets_none(control: str, expected: bool) -> None:
    response = answer(headers=[("cache-control", control)])
    assert bool(set_by(chooser(), outline(), response, NODES[0])) is expected


@pytest.mark.parametrize(
    ("status", "expected"), [(200, True), (404, True), (500, True), (502, False), (503, False)]
)
def test_nobody_stays_at_one_that_cannot_serve(status: int, expected: bool) -> None:
    assert bool(set_by(chooser(), outline(), answer(status), NODES[0])) is expected


def test_its_cookie_does_not_go_out() -> None:
    made = chooser()
    client = Client(made)
    client.ask(NODES)
    request = client.request()
    assert made.outgoing(request).headers == [("Cookie", "a=1; b=2"), ("X-Forwarded-Proto", "http")]
    assert client.cookie in request.headers[0][1]
    plain = outline(headers=[("Cookie", "a=1")])
    assert made.outgoing(plain) is plain


@dataclass(frozen=True)
class Telling:
    """A way of balancing with everything that one may have."""

    told: list[str]

    def faults(self, service: BalancedService) -> list[str]:
        """Always one."""
        return [f"not for {service.name}"]

    def chooser(self, service: BalancedService) -> Chooser:
        """Takes the last."""
        telling = self

        class Choice:
            def __call__(self, nodes: Sequence[Node], request: UpstreamRequest) -> Node:
                return nodes[-1]

            def outgoing(self, request: UpstreamRequest) -> UpstreamRequest:
                telling.told.append("outgoing")
                return request

            def answered(
                self, request: UpstreamRequest, response: UpstreamResponse, node: Node
            ) -> None:
                telling.told.append(f"answered {node.target.name}")

        return Choice()


def test_what_is_inside_is_asked_and_told_too() -> None:
    inner = Telling([])
    client = Client(chooser(inner=inner))
    assert client.ask(NODES) == "c"
    client.chooser.outgoing(client.request())
    assert inner.told == ["answered c", "outgoing"]
    found = balancing_faults(StickySessions(inner=inner), THINGS)
    assert found == ["StickySessions: Telling: not for things"]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"cookie": "a b"}, "cookie must be a name"),
        ({"cookie": ""}, "cookie must be a name"),
        ({"inner": StickySessions()}, "inner must be another way"),
        ({"max_age": 0}, "max_age must be above 0"),
        ({"path": "things"}, "path must begin with /"),
        ({"same_site": "lax"}, "same_site must be Strict, Lax or None"),
        ({"secure": "yes"}, "secure must be True, False or 'auto'"),
        ({"same_site": "None", "secure": False}, "same_site None needs secure"),
        ({"cookie": "", "path": ""}, "cookie must be a name, path must begin"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=f"StickySessions: .*{fault}"):
        StickySessions(**options)


@pytest.mark.parametrize(
    ("options", "changes", "fault"),
    [
        ({}, {"secret": ""}, "it needs SECRET_KEY, 32 bytes or more"),
        ({}, {"secret": "x" * 31}, "it needs SECRET_KEY, 32 bytes or more"),
        ({}, {"prefix": None}, "it needs a path: the service has no url_prefix"),
        ({}, {"name": "a b"}, "it needs a cookie: the service's name cannot be one"),
        ({"path": "/x"}, {"prefix": None}, None),
        ({"cookie": "x"}, {"name": "a b"}, None),
        ({}, {"secret": "x" * 32}, None),
    ],
)
def test_faults_at_start(options: dict[str, Any], changes: dict[str, Any], fault: str) -> None:
    found = balancing_faults(StickySessions(**options), replace(THINGS, **changes))
    assert found == ([] if fault is None else [f"StickySessions: {fault}"])


def test_the_secret_is_not_shown() -> None:
    assert SECRET not in repr(THINGS)
    assert repr(StickySessions()) == (
        "StickySessions(cookie=None, inner=PowerOfTwo(), max_age=None, path=None,"
        " same_site='Lax', secure='auto')"
    )


def test_values_of_instances_that_come_and_go_are_not_kept_for_ever() -> None:
    made = chooser()
    for number in range(3000):
        made.answered(outline(), answer(), Busy().node(f"n{number}"))
    assert made._value.cache_info().currsize <= 1024
    assert names(made._by_value.of(NODES).values()) == ["a", "b", "c"]
