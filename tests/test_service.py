"""A service: its declaration, its chain, and forwarding without a network."""

from __future__ import annotations

import inspect
from dataclasses import FrozenInstanceError, dataclass, replace
from typing import Any

import pytest
from flask import Flask, Response

from gateway import Handler, Service, Timeouts, UpstreamRequest, UpstreamResponse, public
from gateway.policy import chain
from tests.support.outline import make_context
from tests.support.wsgi import call, make_app, open_service, stubbed


@dataclass(frozen=True, slots=True)
class Stamp:
    """A policy: adds its name to the request on the way in, to the response on the way out."""

    name: str

    def __call__(self, following: Handler) -> Handler:
        def stamped(request: UpstreamRequest) -> UpstreamResponse:
            added = [*request.headers, ("X-In", self.name)]
            response = following(replace(request, headers=added))
            response.headers.append(("X-Out", self.name))
            return response

        return stamped


def _declare(**options: Any) -> Service:
    return Service("a-b", __name__, **{"url_prefix": "/a", **options})


def test_name_makes_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _declare().variable == "A_B_URL"
    assert _declare().address() is None
    monkeypatch.setenv("A_B_URL", "http://env")
    assert _declare().address() == "http://env"
    assert _declare(upstream="").address() == ""


def test_a_variable_of_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_B_URL", "http://own")
    monkeypatch.setenv("ORDERS_URL", "http://orders")
    assert _declare(variable="ORDERS_URL").address() == "http://orders"


def test_declaration_is_remembered_with_its_place() -> None:
    service, line = _declare(), inspect.currentframe()
    assert line is not None
    assert service.declared_at.startswith(f"{__file__}:")
    here = Service("x", __name__, url_prefix="/x/")
    assert here.declared_at == f"{__file__}:{line.f_lineno - 1}"
    assert here.url_prefix == "/x"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"url_prefix": "a"}, "url_prefix 'a' must be an absolute path"),
        ({"url_prefix": "/a//b"}, "url_prefix"),
        ({"url_prefix": "/<int:x>"}, "without variables"),
        ({"strip_prefix": "/b"}, "strip_prefix '/b' does not begin '/a'"),
        ({"url_prefix": "/ab", "strip_prefix": "/a"}, "strip_prefix"),
        ({"methods": ["GET", "BREW"]}, "methods ['BREW'] cannot be forwarded"),
        ({"methods": "GET"}, "cannot be forwarded"),
        ({"variable": 7}, "variable must be the name of an environment variable"),
    ],
)
def test_faults_name_what_and_where(options: dict[str, Any], fault: str) -> None:
    (found,) = _declare(**options).faults()
    assert fault in found
    assert found.startswith("service 'a-b': ")
    assert f"({__file__}:" in found


@pytest.mark.parametrize("strip", [True, False, "/a", "/a/", "/a/b"])
def test_sound_declaration_has_no_faults(strip: bool | str) -> None:
    assert _declare(url_prefix="/a/b", strip_prefix=strip, methods=["get"]).faults() == []


def test_chain_runs_the_first_policy_outermost() -> None:
    service, stub = open_service(policies=[Stamp("1"), Stamp("2")])
    answer = call(make_app(service), "/things/x")
    assert stub.requests[0].headers["X-In"] == "1, 2"
    assert answer.header("X-Out") == ["2", "1"]


def test_chain_without_policies_is_the_transport_itself() -> None:
    def transport(_request: UpstreamRequest) -> UpstreamResponse:
        raise AssertionError

    assert chain((), transport, make_context()) is transport


def test_chain_is_built_once_at_start() -> None:
    built: list[Handler] = []

    def policy(following: Handler) -> Handler:
        built.append(following)
        return following

    service, _ = open_service(policies=[policy])
    app = make_app(service)
    call(app, "/things/1")
    call(app, "/things/2")
    assert len(built) == 1


def test_policy_is_a_frozen_value() -> None:
    assert Stamp("a") == Stamp("a")
    with pytest.raises(FrozenInstanceError):
        Stamp("a").name = "b"  # type: ignore[misc]


def test_policy_may_answer_by_itself() -> None:
    class Empty:
        def __iter__(self) -> Any:
            return iter([b"cached"])

        def close(self) -> None:
            pass

    def cached(_following: Handler) -> Handler:
        return lambda _request: UpstreamResponse(203, "", [], Empty())

    service, stub = open_service(policies=[cached])
    answer = call(make_app(service), "/things/x")
    assert (answer.status, answer.body, stub.requests) == (203, b"cached", [])


SETTINGS = {"CONNECT_TIMEOUT": 1, "READ_TIMEOUT": 2, "TOTAL_TIMEOUT": 3}


def _timeouts_seen(service: Service, seen: list[Timeouts]) -> Flask:
    def policy(following: Handler) -> Handler:
        def look(request: UpstreamRequest) -> UpstreamResponse:
            seen.append(request.timeouts)
            assert request.timeouts.total is not None
            left = request.deadline - request.exchange.started
            assert left == pytest.approx(request.timeouts.total)
            return following(request)

        return look

    service.policies = (policy,)
    return make_app(public(service), **SETTINGS)


def test_timeouts_of_view_over_service_over_settings() -> None:
    seen: list[Timeouts] = []
    service, _ = stubbed(timeouts=Timeouts(read=20))

    @service.get("/slow")
    def slow() -> Response:
        return service.forward(timeouts=Timeouts(total=300))

    app = _timeouts_seen(service, seen)
    call(app, "/things/x")
    call(app, "/things/slow")
    assert seen == [Timeouts(1, 20, 3), Timeouts(1, 20, 300)]


@pytest.mark.parametrize("name", ["connect", "read", "total"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_timeout_must_be_above_zero(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Timeouts(**{name: value})
