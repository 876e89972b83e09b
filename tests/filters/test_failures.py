"""Filters of the phase `error`: which failures they answer, and what they see."""

from __future__ import annotations

from typing import Any

import flask
import pytest
from flask import Response
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from gateway import (
    Refusal,
    UpstreamError,
    require,
)
from gateway.errors import ConnectFailed
from gateway.filters import error
from tests.filters.support import app_with, noting
from tests.support.wsgi import call, open_service, stubbed


def test_a_failure_asks_the_services_filters_first() -> None:
    told: list[str] = []
    service, _ = stubbed(filters=[noting(told, "own", error)])
    app = app_with(require("thing:read")(service), filters=[noting(told, "ours", error)])
    assert call(app, "/things/7").status == 401
    assert told == ["own", "ours"]


def test_error_answers_the_failures_it_is_for() -> None:
    @error(of=UpstreamError)
    def apology(failure: UpstreamError) -> ResponseReturnValue | None:
        return {"sorry": failure.reason}, failure.status

    @error(order=1, of=(Refusal, NotFound))
    def house(failure: Refusal | NotFound) -> Response:
        return Response(f"no: {failure.code}", failure.code)

    def backend(*_asked: object) -> Any:
        raise ConnectFailed

    service, _ = open_service(backend=backend)
    app = app_with(service, filters=[apology, house])
    answer = call(app, "/things/7")
    assert (answer.status, answer.json) == (502, {"sorry": "connection_refused"})
    assert call(app, "/things/../7").body == b"no: 400"
    assert call(app, "/nowhere").body == b"no: 404"
    assert call(app, "/things/7", "TRACE").code == "method_not_allowed"


def test_error_sees_what_a_view_raised_and_not_what_it_chose() -> None:
    seen: list[Exception] = []

    @error()
    def watching(failure: Exception) -> None:
        seen.append(failure)

    service, _ = open_service()

    @service.get("/broken")
    def broken() -> str:
        raise RuntimeError("a bug")

    @service.get("/chosen")
    def chosen() -> str:
        flask.abort(Response("mine", 418))

    @service.get("/moved")
    def moved() -> Any:
        flask.abort(flask.redirect("/things/7"))

    app = app_with(service, filters=[watching])
    assert call(app, "/things/broken").code == "internal_error"
    assert call(app, "/things/chosen").body == b"mine"
    assert call(app, "/things/moved").status == 302
    assert [repr(one) for one in seen] == ["RuntimeError('a bug')"]


def test_an_error_filter_that_fails_leaves_the_usual_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @error(order=1)
    def broken(_failure: Exception) -> None:
        raise UpstreamError("and again")

    @error(order=2)
    def wrong(_failure: Exception) -> Any:
        return 7

    service, _ = open_service()
    answer = call(app_with(service, filters=[broken, wrong]), "/nowhere")
    assert (answer.status, answer.code) == (404, "not_found")
    assert "filter broken failed" in caplog.text
    assert "filter wrong failed" in caplog.text


def test_the_first_answer_to_a_failure_wins() -> None:
    told: list[str] = []

    @error()
    def first(_failure: Exception) -> str:
        return "first"

    service, _ = open_service()
    app = app_with(
        service, filters=[noting(told, "before", error), first, noting(told, "x", error)]
    )
    assert call(app, "/nowhere").body == b"first"
    assert told == ["before"]
