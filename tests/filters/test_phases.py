"""The four phases: when each is called, with what, and what its answer does."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import flask
import pytest
from flask import Request, Response
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from gateway import (
    Bulkhead,
    Handler,
    NotSent,
    Refusal,
    UpstreamRequest,
    UpstreamResponse,
    Version,
    Versions,
    public,
    require,
    with_policies,
)
from gateway.errors import ConnectFailed
from gateway.filters import error, post, pre, route
from tests.filters.support import app_with, layer, noting
from tests.support.wsgi import answer_ok, call, open_service, stubbed
from tests.test_no_cycles import Marked


def test_a_gateways_filters_stand_around_a_services_each_in_order() -> None:
    told: list[str] = []
    phases = {"pre": pre, "post": post, "error": error}

    def filters(who: str, *orders: int) -> list[Callable[..., Any]]:
        listed = [
            noting(told, f"{who}.{name}.{at}", phase, order=order)
            for name, phase in phases.items()
            for at, order in enumerate(orders)
        ]
        return listed + [
            layer(told, f"{who}.route.{at}", order=order) for at, order in enumerate(orders)
        ]

    service, _ = open_service(filters=filters("service", 5, 5))
    app = app_with(service, filters=filters("gateway", 2, -1, 2))
    assert call(app, "/things/7").status == 200
    assert told == [
        *("gateway.pre.1", "gateway.pre.0", "gateway.pre.2", "service.pre.0", "service.pre.1"),
        *("gateway.route.1", "gateway.route.0", "gateway.route.2"),
        *("service.route.0", "service.route.1", "service.post.0", "service.post.1"),
        *("gateway.post.1", "gateway.post.0", "gateway.post.2"),
    ]
    listed = [one.noted.name for one in app.extensions["gateway"].filters.listed]
    assert [name for name in listed if "error" not in name] == told
    told.clear()
    assert call(app, "/nowhere").status == 404
    assert told == [
        f"gateway.{phase}.{at}" for phase in ("pre", "error", "post") for at in (1, 0, 2)
    ]


def test_pre_comes_after_admission_and_its_answer_is_the_answer() -> None:
    @pre()
    def closed(request: Request) -> ResponseReturnValue | None:
        assert type(request) is Request  # not the proxy
        if "open" in request.args:
            return None
        return {"closed": request.path}, 503, {"Retry-After": "3600"}

    service, stub = stubbed()
    app = app_with(require("thing:read")(service), filters=[closed])
    assert call(app, "/things/7").code == "missing_token"
    public(other := stubbed(name="others", prefix="/others")[0])
    app = app_with(other, filters=[closed])
    answer = call(app, "/others/7")
    assert (answer.status, answer.json) == (503, {"closed": "/others/7"})
    assert answer.header("Retry-After") == ["3600"]
    assert len(answer.header("X-Request-ID")) == 1
    assert stub.requests == []
    assert call(app, "/others/7?open=1").body == b"ok"


def test_only_says_for_what() -> None:
    told: list[str] = []

    def reading(request: Request) -> bool:
        return request.method == "GET"

    def plain(response: Response) -> bool:
        return response.mimetype == "text/plain"

    def deep(request: UpstreamRequest) -> bool:
        return request.target.count("/") > 2

    def missing(failure: Exception) -> bool:
        return isinstance(failure, NotFound)

    filters = [
        noting(told, "pre", pre, only=reading),
        noting(told, "post", post, only=plain),
        layer(told, "route", only=deep),
        noting(told, "error", error, only=missing),
    ]
    service, _ = open_service()
    app = app_with(service, filters=filters)
    call(app, "/things/7", "POST")
    assert told == ["post"]
    told.clear()
    call(app, "/things/7/8")
    assert told == ["pre", "route", "post"]
    told.clear()
    call(app, "/nowhere")
    assert told == ["pre", "error"]


def test_a_pre_filter_that_fails_lets_nothing_through(caplog: pytest.LogCaptureFixture) -> None:
    @pre()
    def broken(_request: Request) -> None:
        raise RuntimeError("no answer from the list of the banned")

    @pre(order=1)
    def refusing(_request: Request) -> None:
        raise Refusal("Not at night.", status=403, slug="night")

    service, stub = open_service()
    answer = call(app_with(service, filters=[broken]), "/things/7")
    assert (answer.status, answer.code) == (500, "internal_error")
    assert "the banned" in caplog.text
    answer = call(app_with(service, filters=[refusing]), "/things/7")
    assert (answer.status, answer.code) == (403, "night")
    assert stub.requests == []


def test_route_changes_what_is_sent_and_what_came() -> None:
    @route()
    def tenant(request: UpstreamRequest, following: Handler) -> UpstreamResponse:
        fields = [*request.headers, ("X-Tenant", "acme")]
        response = following(replace(request, headers=fields))
        response.headers.append(("X-Seen", str(response.status)))
        return response

    service, stub = open_service(policies=[Bulkhead()])

    @service.get("/own")
    @with_policies(Bulkhead())
    def own() -> Response:
        return service.forward()

    app = app_with(service, filters=[tenant])
    for path in ("/things/7", "/things/own"):
        assert call(app, path).header("X-Seen") == ["200"]
    assert [one.headers["X-Tenant"] for one in stub.requests] == ["acme", "acme"]


def test_route_is_called_once_a_request_and_may_raise() -> None:
    failed: list[UpstreamRequest] = []

    @route()
    def kept_back(request: UpstreamRequest, _following: Handler) -> UpstreamResponse:
        failed.append(request)
        raise ConnectFailed("not today")

    service, stub = open_service()
    answer = call(app_with(service, filters=[kept_back]), "/things/7")
    assert (answer.status, answer.code) == (502, "connection_refused")
    assert (len(failed), stub.requests) == (1, [])


def test_route_is_around_each_version_once() -> None:
    told: list[str] = []
    versions = Versions(Version("1"), Version("2"), default="1")
    service, stub = open_service(versions=versions, filters=[layer(told, "own")])
    app = app_with(service, filters=[layer(told, "ours")])
    for version in ("1", "2"):
        assert call(app, "/things/7", headers=[("API-Version", version)]).status == 200
    assert told == ["ours", "own"] * 2
    assert len(stub.requests) == 2


def test_post_changes_the_head_or_gives_another_answer() -> None:
    @post(order=1)
    def stamped(response: Response) -> None:
        response.headers["X-Stamp"] = f"{flask.request.path} {response.status_code}"

    @post(order=2)
    def gone(response: Response) -> Response | None:
        if response.status_code != 404:
            return None
        return Response("Look elsewhere.", 410, {"X-Stamp": response.headers["X-Stamp"]})

    service, _ = open_service(backend=lambda *_: (404 if "9" in _[1] else 200, {}, b"body"))
    app = app_with(service, filters=[gone, stamped])
    answer = call(app, "/things/7")
    assert (answer.body, answer.header("X-Stamp")) == (b"body", ["/things/7 200"])
    answer = call(app, "/things/9")
    assert (answer.status, answer.body) == (410, b"Look elsewhere.")
    assert answer.header("X-Stamp") == ["/things/9 404"]


def test_a_post_filter_that_fails_loses_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    @post(order=1)
    def greedy(response: Response) -> None:
        response.headers["X-Size"] = str(len(response.get_data()))  # it is still to stream

    @post(order=2)
    def wrong(_response: Response) -> Any:
        return "no response"

    @post(order=3)
    def stamped(response: Response) -> None:
        response.headers["X-Stamp"] = "1"

    service, _ = open_service()
    answer = call(app_with(service, filters=[greedy, wrong, stamped]), "/things/7")
    assert (answer.status, answer.body, answer.header("X-Stamp")) == (200, b"ok", ["1"])
    assert answer.header("X-Size") == []
    assert "filter greedy failed" in caplog.text
    assert "filter wrong returned no response: str" in caplog.text


def test_the_gateways_own_routes_are_left_alone() -> None:
    told: list[str] = []

    @pre(order=9)
    def closed(_request: Request) -> ResponseReturnValue:
        return "closed", 503

    phases = [noting(told, phase.__name__, phase) for phase in (pre, post, error)]
    service, _ = open_service()
    app = app_with(service, filters=[*phases, closed], ADMIN_PREFIX="/admin")
    assert call(app, "/healthz").status == 200
    assert call(app, "/admin/cache").code == "missing_token"
    assert told == []
    assert call(app, "/things/7").body == b"closed"
    assert told == ["pre", "post"]


def test_a_services_filters_are_its_own() -> None:
    told: list[str] = []
    one, _ = open_service(
        filters=[noting(told, "pre"), noting(told, "post", post), noting(told, "error", error)]
    )
    other, _ = open_service(name="others", prefix="/others")
    app = app_with(one, other)
    assert call(app, "/others/7").status == 200
    assert call(app, "/others/../7").status == 400
    assert told == []
    assert call(app, "/things/../7").status == 400
    assert told == ["error", "post"]  # refused before it came to any filter
    # A service may be part of several gateways: no hook of this one is left on it.
    assert not one.before_request_funcs
    assert not one.after_request_funcs


def test_filters_stand_around_functions_of_the_same_blueprint() -> None:
    told: list[str] = []
    service, _ = open_service(filters=[noting(told, "pre"), noting(told, "post", post)])

    def after(response: Response) -> Response:
        told.append("after_request")
        return response

    service.before_request(lambda: told.append("before_request"))
    service.after_request(after)
    assert call(app_with(service), "/things/7").status == 200
    assert told == ["pre", "before_request", "after_request", "post"]


def test_one_filter_of_several_services_is_one() -> None:
    told: list[str] = []
    shared = noting(told, "shared")
    services = [
        open_service(name=name, prefix=f"/{name}", filters=[shared])[0] for name in ("one", "two")
    ]
    app = app_with(*services, FILTERS_OFF=("shared",))
    for path in ("/one", "/two"):
        assert call(app, path).status == 200
    assert told == []


def test_a_slow_filter_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    from gateway.filters.declaring import Filter
    from gateway.filters.steps import Step

    now = [100.0]

    def taking(seconds: float) -> str:
        now[0] += seconds
        return "done"

    step = Step(Filter("pre", 0, "slow", None), taking, clock=lambda: now[0])
    with caplog.at_level(logging.WARNING, "gateway"):
        for seconds in (0.5, 0.75, 0.75, 59.0, 0.5, 0.5, 0.625):
            assert step(seconds) == "done"
    assert [one.getMessage() for one in caplog.records] == [
        "filter slow took 750 ms",
        "filter slow took 625 ms",
    ]


@pytest.mark.parametrize("path", ["/things/7", "/things/broken"])
def test_a_request_leaves_nothing_for_the_collector(path: str) -> None:
    told: list[str] = []
    phases: list[Callable[..., Any]] = [noting(told, "pre"), noting(told, "post", post)]

    def backend(_method: str, url: str, *_asked: object) -> tuple[int, dict[str, str], bytes]:
        if "broken" in url:
            raise NotSent("kept_back")  # of which the log has no line, which would keep it
        return answer_ok()

    service, stub = open_service(backend=backend)
    app = app_with(service, filters=[*phases, layer(told, "route"), noting(told, "error", error)])
    call(app, path)
    gc.collect()
    gc.disable()
    try:
        marked = Marked("192.0.2.9")
        gone = weakref.ref(marked)
        call(app, path, REMOTE_ADDR=marked)
        del marked
        stub.requests.clear()
        assert gone() is None
    finally:
        gc.enable()
