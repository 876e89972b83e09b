"""Answers from memory before Flask: the same as after it, and only where nothing is left out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import flask
import pytest

from gateway import (
    Fallback,
    Handler,
    PolicyContext,
    Service,
    StaticBody,
    Timeouts,
    UpstreamRequest,
    UpstreamResponse,
    limiter,
    public,
    require,
)
from gateway.exchange import Asked
from tests.support.wsgi import Answer, bearer, call, make_app, stubbed


class Memory:
    """A policy that has an answer to everything under `/things/kept`."""

    def __init__(self) -> None:
        self.early_ones: list[str] = []

    def wrap(self, following: Handler, context: PolicyContext) -> Handler:
        return _Remembering(self, following)


class _Remembering:
    def __init__(self, memory: Memory, following: Handler) -> None:
        self._memory = memory
        self._following = following

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        return _answer(request) or self._following(request)

    def early(self, asked: Asked) -> UpstreamResponse | None:
        found = _answer(asked)
        if found is not None:
            self._memory.early_ones.append(asked.target)
        return found


def _answer(asked: Asked) -> UpstreamResponse | None:
    if "/kept" not in asked.target:
        return None
    fields = [
        ("X-Asked", f"{asked.method} {asked.target}"),
        ("X-Accept", asked.field("accept") or ""),
        ("X-Caller", str(bool(asked.requester and asked.requester.caller()))),
        ("Location", "http://things.internal/there"),
        ("Connection", "X-Secret"),
        ("X-Secret", "1"),
    ]
    return UpstreamResponse(200, "", fields, StaticBody(b"kept"), origin="http://things.internal")


def service_of(memory: Memory, **options: Any) -> Service:
    """A service that remembers."""
    service, _ = stubbed(policies=[memory], **options)
    return service


def both(
    prepare: Callable[[Service], object] = public, options: dict[str, Any] | None = None, **how: Any
) -> tuple[Answer, Answer, list[str]]:
    """The answer as it comes early, and as it comes by Flask; and who was answered early."""
    memory = Memory()
    service = service_of(memory, **(options or {}))
    prepare(service)
    early = call(make_app(service), **{"raw": "/things/kept?a=1", **how})
    slow = service_of(Memory(), **(options or {}))
    prepare(slow)
    slow.before_request(lambda: None)
    return early, call(make_app(slow), **{"raw": "/things/kept?a=1", **how}), memory.early_ones


def told(answer: Answer) -> Answer:
    """The answer without what differs from one request to the next."""
    changing = ("x-request-id", "x-ratelimit-reset")
    fields = [pair for pair in answer.headers if pair[0].lower() not in changing]
    return replace(answer, headers=fields)


def test_the_same_answer_as_by_flask() -> None:
    early, by_flask, who = both(headers=[("Accept", "text/plain")])
    assert who == ["/things/kept?a=1"]
    assert told(early) == told(by_flask)
    assert early.header("X-Asked") == ["GET /things/kept?a=1"]
    assert early.header("X-Accept") == ["text/plain"]
    assert early.header("Location") == ["http://gateway.example/there"]
    assert early.header("X-Secret") == []
    assert early.header("Via") == ["1.1 edge"]
    assert len(early.header("X-Request-ID")[0]) == 32


def test_a_stripped_prefix() -> None:
    early, by_flask, who = both(options={"strip_prefix": True}, raw="/things/kept")
    assert who == ["/kept"]
    assert told(early) == told(by_flask)


def test_whoever_may_not_is_refused_as_ever() -> None:
    early, by_flask, who = both(require("thing:read"))
    assert (early.status, early.code) == (401, "missing_token")
    assert early.header("WWW-Authenticate") == by_flask.header("WWW-Authenticate")
    forbidden, _, _ = both(require("thing:read"), headers=[bearer("other:read")])
    assert forbidden.status == 403
    assert who == []


def test_whoever_may_is_answered() -> None:
    early, by_flask, who = both(require("thing:read"), headers=[bearer("thing:read")])
    assert who == ["/things/kept?a=1"]
    assert told(early) == told(by_flask)
    assert early.header("X-Caller") == ["True"]


def test_what_breaks_before_flask_is_answered_as_ever(caplog: pytest.LogCaptureFixture) -> None:
    memory = Memory()
    app = make_app(public(service_of(memory)), RATE_LIMIT_ADDRESS="5/minute")

    def broken(*_asked: object) -> None:
        raise RuntimeError("no window")

    app.extensions["gateway"].windows.acquire = broken
    answer = call(app, "/things/kept")
    assert (answer.status, answer.header("Content-Type")) == (500, ["application/problem+json"])
    assert "no window" in caplog.text
    assert memory.early_ones == []


def test_limits_count_once_and_are_told() -> None:
    memory = Memory()
    service = limiter.limit("3/minute")(public(service_of(memory)))
    app = make_app(service)
    left = [call(app, "/things/kept").header("X-RateLimit-Remaining") for _ in range(2)]
    missed = call(app, "/things/else")
    assert [*left, missed.header("X-RateLimit-Remaining")] == [["2"], ["1"], ["0"]]
    refused = call(app, "/things/kept")
    assert (refused.status, refused.code) == (429, "rate_limited")
    assert refused.header("Retry-After")
    assert len(memory.early_ones) == 2


def test_what_is_not_kept_is_forwarded_and_admitted_once() -> None:
    service, stub = stubbed(policies=[Memory()])
    app = make_app(require("thing:read")(service))
    assert call(app, "/things/else", headers=[bearer("thing:read")]).body == b"ok"
    assert stub.requests[0].headers["X-User-ID"] == "ada"


@pytest.mark.parametrize(
    "how",
    [
        {"method": "POST"},
        {"method": "GET", "body": b"x"},
        {"headers": [("Connection", "Accept")]},
        {"raw": "/things/k\xe9pt/kept"},
        {"raw": "/things/../things/kept"},
        {"raw": "/things//kept"},
        {"headers": [("Via", "1.1 edge")]},
        {"raw": "/things/kept%0A"},
        {"raw": "/thingskept"},
        {"HTTP_HOST": "a b"},
    ],
    ids=["post", "body", "connection", "not-ascii", "dots", "empty-segment", "loop", "line-break",
         "other-prefix", "host"],
)  # fmt: skip
def test_anything_out_of_the_ordinary_goes_by_flask(how: dict[str, Any]) -> None:
    early, by_flask, who = both(**how)
    assert who == []
    assert early.status == by_flask.status


def by_app_hook(service: Service) -> None:
    service.before_app_request(lambda: None)


def by_after_hook(service: Service) -> None:
    service.after_request(lambda response: response)


def by_teardown(service: Service) -> None:
    service.teardown_request(lambda error: None)


def by_function(service: Service) -> None:
    require(lambda identity, request: request.path == "/things/kept")(service)


def by_key(service: Service) -> None:
    limiter.limit("5/minute", key_func=lambda: flask.request.path)(service)


def by_cost(service: Service) -> None:
    limiter.limit("5/minute", cost=lambda: len(flask.request.path) // 5)(service)


def by_exemption(service: Service) -> None:
    limiter.limit("5/minute", exempt_when=lambda: flask.request.path == "/")(service)


def by_response(service: Service) -> None:
    limiter.limit("5/minute", deduct_when=lambda response: response.status_code == 200)(service)


@pytest.mark.parametrize(
    "hook",
    [by_app_hook, by_after_hook, by_teardown, by_key, by_cost, by_exemption, by_response],
    ids=lambda hook: str(hook.__name__),
)
def test_whoever_wants_flask_gets_it(hook: Callable[[Service], None]) -> None:
    memory = Memory()
    service = public(service_of(memory))
    hook(service)
    assert call(make_app(service), "/things/kept").body == b"kept"
    assert memory.early_ones == []


def test_a_function_of_require_gets_flask() -> None:
    memory = Memory()
    service = service_of(memory)
    by_function(service)
    assert call(make_app(service), "/things/kept", headers=[bearer()]).status == 200
    assert memory.early_ones == []


def test_a_signal_gets_flask() -> None:
    memory = Memory()
    app = make_app(public(service_of(memory)))
    seen: list[object] = []

    def receive(sender: object, **_more: object) -> None:
        seen.append(sender)

    with flask.request_started.connected_to(receive, app):
        call(app, "/things/kept")
    assert len(seen) == 1
    assert memory.early_ones == []


def test_a_view_is_run() -> None:
    memory = Memory()
    service = public(service_of(memory))

    @service.get("/kept/own")
    def own() -> str:
        return "of its own"

    app = make_app(service)
    assert call(app, "/things/kept/own").body == b"of its own"
    assert call(app, "/things/kept").body == b"kept"
    assert memory.early_ones == ["/things/kept"]


def test_services_told_apart_by_fields_go_by_flask() -> None:
    memory = Memory()
    beta, _ = stubbed("beta", headers={"X-Beta": "1"})
    app = make_app(public(beta), public(service_of(memory)))
    assert call(app, "/things/kept").body == b"kept"
    assert call(app, "/things/kept", headers=[("X-Beta", "1")]).body == b"ok"
    assert memory.early_ones == []


def test_a_policy_outside_is_not_passed_by() -> None:
    seen: list[str] = []

    def noting(following: Handler) -> Handler:
        def handle(request: UpstreamRequest) -> UpstreamResponse:
            seen.append(request.target)
            return following(request)

        return handle

    memory = Memory()
    service, _ = stubbed(policies=[noting, memory])
    call(make_app(public(service)), "/things/kept")
    assert seen == ["/things/kept"]
    assert memory.early_ones == []


def test_a_fallback_outside_has_nothing_to_do() -> None:
    memory = Memory()
    service, _ = stubbed(policies=[Fallback(), memory])
    call(make_app(public(service)), "/things/kept")
    assert memory.early_ones == ["/things/kept"]


def test_a_policy_that_wraps_what_answers_early_is_not_passed_by() -> None:
    seen: list[str] = []

    def noting(following: Handler) -> Handler:
        @functools.wraps(following)
        def handle(request: UpstreamRequest) -> UpstreamResponse:
            seen.append(request.target)
            return following(request)

        return handle

    memory = Memory()
    service, _ = stubbed(policies=[noting, Fallback(), memory])
    call(make_app(public(service)), "/things/kept")
    assert seen == ["/things/kept"]
    assert memory.early_ones == []


def test_a_view_put_around_forwarding_is_run() -> None:
    memory = Memory()
    app = make_app(public(service_of(memory)))
    app.view_functions["things.forward"] = lambda _rest="": "of its own"
    assert call(app, "/things/kept").body == b"of its own"
    assert memory.early_ones == []


def test_a_service_that_forwards_in_its_own_way_does() -> None:
    class Own(Service):
        def forward(self, *, timeouts: Timeouts | None = None) -> flask.Response:
            return flask.Response("of its own")

    memory = Memory()
    service = Own("things", __name__, url_prefix="/things", upstream="http://a", policies=[memory])
    assert call(make_app(public(service)), "/things/kept").body == b"of its own"
    assert memory.early_ones == []


def test_a_prefix_that_cannot_be_stripped_is_refused_as_ever() -> None:
    options = {"strip_prefix": True, "allow_encoded_slashes": True}
    early, by_flask, who = both(options=options, raw="/things%2Fkept")
    assert who == []
    assert (early.status, early.code) == (by_flask.status, by_flask.code) == (400, "ambiguous_path")


def test_fields_that_only_the_outline_knows_are_not_told() -> None:
    found: list[str | None] = []

    class Curious(Memory):
        def wrap(self, following: Handler, context: PolicyContext) -> Handler:
            return _Curious(self, following)

    class _Curious(_Remembering):
        def early(self, asked: Asked) -> UpstreamResponse | None:
            names = ("x-user-id", "x-forwarded-for", "authorization", "cookie", "accept", "range")
            found.extend(asked.field(name) for name in names)
            return None

    service, _ = stubbed(policies=[Curious()])
    call(make_app(public(service)), "/things/7", headers=[("X-User-ID", "root"), ("Range", "x")])
    assert found == [None, None, None, None, "", "x"]


def test_the_record_of_an_early_answer(capfd: pytest.CaptureFixture[str]) -> None:
    service = public(service_of(Memory()))
    app = make_app(service, ACCESS_LOG=True)
    call(app, "/things/kept")
    line = capfd.readouterr().out
    for part in ('"service":"things"', '"route":"/things/<path:_rest>"', '"bytes_out":4'):
        assert part in line
