"""Every way of failing answers with one kind of body, and none tells what is inside."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import requests
from flask import Response, abort
from gunicorn.http.errors import InvalidChunkSize, NoMoreData
from werkzeug.exceptions import RequestEntityTooLarge

from gateway import errors, public
from gateway.aggregation.leg_path import UnusablePath
from gateway.errors import (
    AuthorityUnavailable,
    ClientBodyError,
    ClientGone,
    ConfigurationError,
    Forbidden,
    NotSent,
    Refusal,
    Unauthenticated,
    UnusableAnswer,
    UpstreamError,
)
from tests.support.wsgi import Answer, call, make_app, open_service

SECRET = "postgres://admin:hunter2@10.1.2.3:5432"


def _subclasses(kind: type[Any]) -> list[type[Any]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _subclasses(child))]


# A reason that is said is for the client; every other message is not.
SAYING: dict[type[Any], UpstreamError] = {
    NotSent: NotSent("circuit_open"),
    UnusableAnswer: UnusableAnswer("untransformable_response", SECRET),
}
UPSTREAM = [SAYING.get(kind) or kind(SECRET) for kind in _subclasses(UpstreamError)]
REFUSALS = [
    Refusal("No."),
    Refusal("No.", status=508, slug="loop"),
    Unauthenticated("This needs a token."),
    Unauthenticated("Expired.", slug="token_expired", error="invalid_token"),
    Forbidden("Not this.", "order:read"),
    AuthorityUnavailable(),
    ClientBodyError("Broken.", status=413, slug="body_too_large"),
    UnusablePath("Not there."),
]
OTHERS = [
    NoMoreData(),
    InvalidChunkSize(SECRET.encode()),
    RequestEntityTooLarge(SECRET),
    ValueError(SECRET),
    KeyError(SECRET),
    RecursionError(SECRET),
    MemoryError(SECRET),
    requests.ConnectionError(SECRET),
    requests.ReadTimeout(SECRET),
    requests.exceptions.InvalidURL(SECRET),
]
STATUS = {
    "NoTarget": 503,
    "NotSent": 503,
    "PoolTimeout": 503,
    "ConnectFailed": 502,
    "ConnectTimeout": 504,
    "SendFailed": 502,
    "HeadFailed": 502,
    "HeadTimeout": 504,
    "ProtocolViolation": 502,
    "UnusableAnswer": 502,
    "BodyFailed": 502,
    "UpstreamError": 502,
    "ConnectionError": 502,
    "ReadTimeout": 504,
    "InvalidURL": 502,
    "NoMoreData": 400,
    "InvalidChunkSize": 400,
    "RequestEntityTooLarge": 413,
}


def test_every_error_class_is_tried() -> None:
    tried = {type(error) for error in [*UPSTREAM, *REFUSALS]}
    assert tried == {*_subclasses(UpstreamError), *_subclasses(Refusal)}


def _raised(error: Exception) -> Answer:
    def backend(*_asked: object) -> Any:
        raise error

    service, _ = open_service(backend=backend)
    service.add_url_rule("/view", "view", backend)
    path = "x" if isinstance(error, UpstreamError | requests.RequestException) else "view"
    return call(make_app(service), f"/things/{path}", headers=[("X-Request-ID", "given-id-1")])


def _is_problem(answer: Answer, status: int) -> None:
    assert answer.status == status
    assert answer.header("Content-Type") == ["application/problem+json"]
    assert answer.header("Content-Length") in ([], [str(len(answer.body))])
    body = answer.json
    assert list(body)[:6] == ["type", "title", "status", "detail", "code", "request_id"]
    assert body["type"] == "about:blank"
    assert body["status"] == status
    assert body["title"] == errors.phrase(status)
    assert body["detail"]
    assert body["code"]
    assert [body["request_id"]] == answer.header("X-Request-ID")
    text = answer.body.decode() + str(answer.headers)
    for inside in (SECRET, "hunter2", "10.1.2.3", ".internal", "Traceback", ".py", "0x"):
        assert inside not in text


@pytest.mark.parametrize("error", [*UPSTREAM, *REFUSALS, *OTHERS], ids=lambda e: type(e).__name__)
def test_failure_is_a_problem(error: Exception) -> None:
    answer = _raised(error)
    expected = error.code if isinstance(error, Refusal) else STATUS.get(type(error).__name__, 500)
    _is_problem(answer, expected or 0)
    assert answer.json["request_id"] == "given-id-1"
    assert answer.header("Retry-After") == (["1"] if answer.status == 503 else [])


@pytest.mark.parametrize(
    ("raw", "method", "status", "code"),
    [
        ("/nothing", "GET", 404, "not_found"),
        ("/thingsX", "GET", 404, "not_found"),
        ("/things/x", "TRACE", 405, "method_not_allowed"),
        ("/things/../x", "GET", 400, "ambiguous_path"),
        ("/healthz", "POST", 405, "method_not_allowed"),
        ("/things/x", "get", 400, "bad_request"),
    ],
)
def test_routing_failure_is_a_problem(raw: str, method: str, status: int, code: str) -> None:
    service, stub = open_service()
    answer = call(make_app(service), raw, method)
    _is_problem(answer, status)
    assert answer.code == code
    assert not stub.requests


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"HTTP_HOST": "a b"}, "The Host field is malformed."),
        ({"HTTP_HOST": None}, "The Host field is missing."),
        ({"CONTENT_LENGTH": "-1"}, "The Content-Length is malformed."),
        ({"CONTENT_LENGTH": "٣"}, "The Content-Length is malformed."),
    ],
)
def test_malformed_request_is_a_problem(changes: dict[str, Any], detail: str) -> None:
    service, _ = open_service()
    answer = call(make_app(service), "/things/x", **changes)
    _is_problem(answer, 400)
    assert answer.json["detail"] == detail


def test_challenges_name_what_is_missing() -> None:
    assert _raised(REFUSALS[2]).header("WWW-Authenticate") == ['Bearer realm="gateway"']
    assert 'error="invalid_token"' in _raised(REFUSALS[3]).header("WWW-Authenticate")[0]
    assert 'scope="order:read"' in _raised(REFUSALS[4]).header("WWW-Authenticate")[0]


def test_a_refusal_may_have_further_members() -> None:
    errors = [{"pointer": "/a", "detail": "must be an integer"}]
    answer = _raised(Refusal("No.", slug="invalid_body", members={"errors": errors, "more": 2}))
    _is_problem(answer, 400)
    assert (answer.json["errors"], answer.json["more"]) == (errors, 2)
    assert Refusal("No.").members == {}


def test_bug_is_logged_with_the_request_id(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "gateway"):
        answer = _raised(ValueError(SECRET))
    assert answer.json["request_id"] in caplog.text
    assert SECRET in caplog.text


def test_a_view_that_returns_no_answer_is_a_bug_as_any_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service, _ = open_service()
    service.add_url_rule("/number", "number", lambda: 5)  # type: ignore[arg-type]
    with caplog.at_level(logging.ERROR, "gateway"):
        answer = call(make_app(service), "/things/number")
    _is_problem(answer, 500)
    assert answer.code == "internal_error"
    (line,) = caplog.records
    assert line.getMessage() == f"{answer.json['request_id']}: unexpected error"
    assert line.exc_info


def test_client_that_left_is_499() -> None:
    assert _raised(ClientGone()).status == 499


def test_views_may_abort_with_a_response_or_a_status() -> None:
    service, _ = open_service()
    own = Response("mine", 418, {"X-Own": "1"})
    service.add_url_rule("/own", "own", lambda: abort(own))
    service.add_url_rule("/plain", "plain", lambda: abort(409, SECRET))
    app = make_app(service)
    answer = call(app, "/things/own")
    assert (answer.status, answer.body, answer.header("X-Own")) == (418, b"mine", ["1"])
    _is_problem(call(app, "/things/plain"), 409)


def test_a_services_own_error_handler_is_asked_first() -> None:
    service, _ = open_service()
    service.register_error_handler(UpstreamError, lambda error: (error.reason, 599))
    service.add_url_rule("/broken", "broken", _refused_connection)
    answer = call(make_app(public(service)), "/things/broken")
    assert (answer.status, answer.body) == (599, b"connection_refused")


def _refused_connection() -> Any:
    raise errors.ConnectFailed


def test_configuration_error_lists_every_fault() -> None:
    error = ConfigurationError(fault for fault in ["one", "two"])
    assert error.faults == ("one", "two")
    assert str(error) == "- one\n- two"


@pytest.mark.parametrize(
    "kind", [kind for kind in _subclasses(UpstreamError) if kind not in SAYING]
)
def test_retry_safety_can_be_said(kind: type[UpstreamError]) -> None:
    assert kind(retry_safe=True).retry_safe
    assert not kind(retry_safe=False).retry_safe
    assert kind().retry_safe is (kind.__name__ in SAFE)


SAFE = {"NoTarget", "PoolTimeout", "ConnectFailed", "ConnectTimeout"}
