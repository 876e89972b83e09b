"""Limits that count only some responses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Response, abort, request

from gateway import ConfigurationError, limiter, require
from gateway.errors import HeadTimeout
from gateway.state import EmbeddedStore
from tests.rate_limiting.test_dry_run import logged, options
from tests.support.wsgi import Answer, bearer, call, make_app, open_service, stubbed


def failed(response: Response) -> bool:
    """Whether a response tells a failure."""
    return response.status_code >= 400


def remaining(answer: Answer) -> int:
    """What a client is told to have left."""
    (value,) = answer.header("X-RateLimit-Remaining")
    return int(value)


def answering(*_asked: Any) -> tuple[int, dict[str, str], bytes]:
    """A backend that answers with the status it is asked for."""
    return int(request.args.get("status", 200)), {}, b""


@pytest.fixture(params=["memory", "lmdb", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The settings of each store."""
    if request.param == "memory":
        yield {}
    elif request.param == "redis":
        server = request.getfixturevalue("redis_server")
        redis.Redis.from_url(server.url).flushall()
        yield {"REDIS_URL": server.url, "REDIS_TIMEOUT": 5}
    else:
        yield {"STATE_URL": f"lmdb://{tmp_path}"}
        EmbeddedStore(tmp_path).close()


def test_only_what_it_says_counts(store: dict[str, Any]) -> None:
    service, _ = open_service(backend=answering)
    limiter.limit("2/minute", deduct_when=failed)(service)
    app = make_app(service, **store)
    assert [remaining(call(app, "/things/7")) for _ in range(3)] == [2, 2, 2]
    assert [remaining(call(app, f"/things/7?status={code}")) for code in (404, 500)] == [1, 0]
    refused = call(app, "/things/7")  # room is asked for before
    assert (refused.status, refused.code) == (429, "rate_limited")
    assert int(refused.header("Retry-After")[0]) > 50
    assert remaining(refused) == 0
    app.extensions["gateway"].pulse.end()


def test_failures_of_the_gateway_count_too() -> None:
    def backend(*_asked: Any) -> Any:
        raise HeadTimeout

    service, _ = stubbed(backend=backend)
    limiter.limit("4/minute", deduct_when=failed)(service)

    @service.get("/bug")
    def bug() -> str:
        raise RuntimeError("bug")

    @service.get("/abort")
    def aborted() -> str:
        abort(418)

    app = make_app(require("thing:read")(service))
    found = [
        call(app, "/things/7"),
        call(app, "/things/7", headers=[bearer("thing:read")]),
        call(app, "/things/bug", headers=[bearer("thing:read")], REMOTE_ADDR="192.0.2.7"),
        call(app, "/things/abort", headers=[bearer("thing:read")]),
    ]
    assert [one.status for one in found] == [401, 504, 500, 418]
    # By whose limit it is: the first came from nobody, the others from ada.
    assert [remaining(one) for one in found] == [3, 3, 2, 1]


def test_one_that_refuses_elsewhere_is_not_asked() -> None:
    asked: list[int] = []

    def noted(response: Response) -> bool:
        asked.append(response.status_code)
        return True

    service, _ = open_service()
    limiter.limit("1/hour")(service)
    limiter.limit("5/minute", deduct_when=noted)(service)
    app = make_app(service)
    assert [call(app, "/things/7").status for _ in range(3)] == [200, 429, 429]
    assert asked == [200]


def test_one_that_finds_no_slot_is_not_asked() -> None:
    asked: list[int] = []
    inside: list[Answer] = []

    def noted(response: Response) -> bool:
        asked.append(response.status_code)
        return True

    def backend(*_asked: Any) -> tuple[int, dict[str, str], bytes]:
        inside.append(call(app, "/things/8"))  # while the first is here
        return 200, {}, b""

    service, _ = open_service(backend=backend)
    limiter.limit("5/minute", deduct_when=noted)(service)
    limiter.concurrency(1)(service)
    app = make_app(service)
    assert call(app, "/things/7").status == 200
    assert [one.code for one in inside] == ["concurrency_limited"]
    assert asked == [200]


def test_without_room_nothing_else_is_counted() -> None:
    service, _ = open_service(backend=answering)
    limiter.limit("1/minute", deduct_when=failed)(service)
    limiter.limit("100/hour")(service)
    app = make_app(service)
    assert call(app, "/things/7?status=500").status == 500
    for _ in range(5):
        assert '"things-3600";r=99' in call(app, "/things/7").header("RateLimit")[0]


def test_a_cost_is_settled_before() -> None:
    service, _ = open_service(backend=answering)
    limiter.limit("10/minute", deduct_when=failed, cost=lambda: int(request.args["n"]))(service)
    app = make_app(service)
    found = [call(app, f"/things/7?n={n}&status=500") for n in (4, 0, 5)]
    assert [remaining(one) for one in found] == [6, 6, 1]
    assert call(app, "/things/7?n=2").status == 429
    assert call(app, "/things/7?n=1").status == 200


def test_counted_also_where_others_took_the_room_meanwhile() -> None:
    service, _ = open_service()
    limiter.limit("2/minute", deduct_when=failed)(service)

    @service.get("/slow")
    def slow() -> str:
        if "more" in request.args:
            for _ in range(2):
                call(app, "/things/slow")
        abort(400)

    app = make_app(service)
    assert remaining(call(app, "/things/slow?more")) == 0
    refused = call(app, "/things/slow")
    assert refused.status == 429
    assert int(refused.header("Retry-After")[0]) > 50


def test_buckets(store: dict[str, Any]) -> None:
    service, _ = open_service(backend=answering)
    limiter.limit("1/minute", burst=2, deduct_when=failed)(service)
    app = make_app(service, **store)
    assert [remaining(call(app, "/things/7")) for _ in range(3)] == [3, 3, 3]
    statuses = [call(app, "/things/7?status=500").status for _ in range(5)]
    assert statuses == [500, 500, 500, 429, 429]
    app.extensions["gateway"].pulse.end()


def test_one_that_raises_spoils_no_response(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_response: Response) -> bool:
        raise KeyError("oops")

    service, _ = open_service()
    limiter.limit("1/minute", deduct_when=broken)(service)
    app = make_app(service)
    for _ in range(3):
        assert call(app, "/things/7").status == 200
    assert "deduct_when of limit 'things-60' failed: not counted" in caplog.text
    assert "oops" in caplog.text


def test_a_store_that_fails_spoils_no_response(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service, _ = open_service(backend=answering)
    limiter.limit("1/minute", deduct_when=failed)(service)
    app = make_app(service)
    windows = app.extensions["gateway"].windows
    acquire = windows.acquire

    def once(hits: Any) -> Any:
        if hits[0].forced:
            raise OSError("no space left")
        return acquire(hits)

    monkeypatch.setattr(windows, "acquire", once)
    assert call(app, "/things/7?status=500").status == 500
    assert "a response was not counted: OSError" in caplog.text


def test_on_trial() -> None:
    service, _ = open_service(backend=answering)
    limiter.limit("1/minute", deduct_when=failed, dry_run=True)(service)
    app = make_app(service)
    lines = logged(app)
    for _ in range(3):
        assert call(app, "/things/7?status=500").status == 500
    assert [line["dry_run"] for line in lines] == [[], ["things-60"], ["things-60"]]


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"deduct_when": 401}, "is no function"),
        ({"deduct_when": failed, "burst": 2, "nodelay": False}, "holds nothing back"),
    ],
)
def test_options_that_cannot_be(wrong: dict[str, Any], fault: str) -> None:
    service, _ = open_service()
    limiter.limit("1/minute", **options(**wrong))(service)
    with pytest.raises(ConfigurationError, match=fault):
        make_app(service)
