"""Filters over HTTP: who may look and switch, and what is understood."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from flask import Flask, Response

from gateway import create_app
from gateway.filters import post
from gateway.state import MemoryState
from tests.support.wsgi import Answer, bearer, call, make_app, make_settings, open_service


@pytest.fixture
def app() -> Flask:
    """A gateway with a filter of its own, which is also a service's name for another."""

    @post(order=3)
    def stamped(response: Response) -> None:
        response.headers["X-Stamp"] = "1"

    @post(name="own")
    def shared(response: Response) -> None:
        response.headers["X-Own"] = "1"

    services = [
        open_service(name=name, prefix=f"/{name}", filters=[shared])[0] for name in ("a", "b")
    ]
    settings = make_settings(ADMIN_PREFIX="/admin", FILTERS_OFF=("own",))
    return create_app(settings, services=services, filters=[stamped])


def put(app: Flask, name: str, body: Any, *may: str) -> Answer:
    """Switch a filter."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    headers = [bearer(*(may or ("filters:write",)))]
    told = {"CONTENT_TYPE": "application/json"}
    return call(app, f"/admin/filters/{name}", "PUT", headers, data, **told)


def test_all_of_them_are_told(app: Flask) -> None:
    answer = call(app, "/admin/filters", headers=[bearer("filters:read")])
    assert answer.json == {
        "filters": [
            {"name": "own", "phase": "post", "order": 0, "where": ["a", "b"], "on": False,
             "switched": False},
            {"name": "stamped", "phase": "post", "order": 3, "where": ["gateway"], "on": True,
             "switched": False},
        ]
    }  # fmt: skip


def test_a_switch_holds_from_then_on(app: Flask) -> None:
    assert call(app, "/a/7").header("X-Stamp") == ["1"]
    assert put(app, "stamped", {"on": False}).json == {"name": "stamped", "on": False}
    assert put(app, "own", {"on": True}).status == 200
    answer = call(app, "/a/7")
    assert (answer.header("X-Stamp"), answer.header("X-Own")) == ([], ["1"])
    told = call(app, "/admin/filters", headers=[bearer("filters:*")]).json["filters"]
    assert [(one["on"], one["switched"]) for one in told] == [(True, True), (False, True)]


@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        ("stamped", {"on": 0}, 400, "switch_unclear"),
        ("stamped", {"on": True, "off": True}, 400, "switch_unclear"),
        ("stamped", b"", 400, "switch_unclear"),
        ("stamped", b"[]", 400, "switch_unclear"),
        ("stumped", {"on": True}, 404, "no_such_filter"),
    ],
)
def test_what_is_not_understood(app: Flask, name: str, body: Any, status: int, code: str) -> None:
    answer = put(app, name, body)
    assert (answer.status, answer.code) == (status, code)


def test_who_may_not(app: Flask) -> None:
    assert put(app, "stamped", {"on": False}, "filters:read").status == 403
    assert call(app, "/admin/filters", headers=[bearer("filters:write")]).status == 403
    assert call(app, "/a/7").header("X-Stamp") == ["1"]


def test_a_store_that_is_away(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryState, "degraded", True, raising=False)
    for answer in (
        put(app, "stamped", {"on": False}),
        call(app, "/admin/filters", headers=[bearer("filters:read")]),
    ):
        assert (answer.status, answer.code) == (503, "state_unavailable")
        assert answer.header("Retry-After") == ["1"]


def test_without_filters_there_is_nothing_to_switch() -> None:
    app = make_app(open_service()[0], ADMIN_PREFIX="/admin")
    assert call(app, "/admin/filters", headers=[bearer("filters:*")]).status == 404
