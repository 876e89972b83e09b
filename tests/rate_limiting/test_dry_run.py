"""Limits on trial: counted, told in the log, and nobody is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from flask import Flask, request

from gateway import limiter
from gateway.observability.access_log import AccessLog
from tests.support.wsgi import bearer, call, make_app, open_service


def logged(app: Flask) -> list[dict[str, Any]]:
    """The lines of the access log from now on."""
    lines: list[dict[str, Any]] = []
    log = AccessLog(lambda line: lines.append(orjson.loads(line)))
    app.wsgi_app._log = log  # type: ignore[attr-defined]
    return lines


def options(**some: Any) -> dict[str, Any]:
    """Options of a limit, also wrong ones."""
    return some


def test_a_limit_on_trial_refuses_nothing_and_is_not_told() -> None:
    service, _ = open_service()
    limiter.limit("2/minute", dry_run=True)(service)
    limiter.limit("4/hour")(service)
    app = make_app(service)
    lines = logged(app)
    answers = [call(app, "/things/7") for _ in range(5)]
    assert [one.status for one in answers] == [200, 200, 200, 200, 429]
    assert [line["dry_run"] for line in lines] == [[], [], *[["things-60"]] * 3]
    assert answers[2].header("RateLimit-Policy") == ['"things-3600";q=4;w=3600']
    assert answers[2].header("X-RateLimit-Limit") == ["4"]
    assert int(answers[4].header("Retry-After")[0]) > 3000


def test_alone_it_says_nothing_at_all() -> None:
    service, _ = open_service()
    limiter.limit("1/minute", dry_run=True)(service)
    app = make_app(service)
    for _ in range(3):
        answer = call(app, "/things/7")
        assert answer.status == 200
        assert not [name for name, _ in answer.headers if "ratelimit" in name.lower()]


@pytest.mark.parametrize(
    ("declared", "passed"),
    [
        (options(), 2),
        (options(burst=1), 2),
        (options(cost=2), 1),
        (options(cost=lambda: int(request.args.get("n", 2))), 1),
        (options(burst=3, cost=2), 2),
    ],
)
def test_everything_on_trial(declared: dict[str, Any], passed: int) -> None:
    service, _ = open_service()
    limiter.limit("2/minute", **declared)(service)
    app = make_app(service, RATE_LIMIT_DRY_RUN=True)
    lines = logged(app)
    for _ in range(5):
        answer = call(app, "/things/7")
        assert answer.status == 200
        assert not answer.header("RateLimit")
    assert [line["dry_run"] for line in lines] == [[]] * passed + [["things-60"]] * (5 - passed)


def test_a_paced_limit_on_trial_holds_nobody_back() -> None:
    service, _ = open_service()
    limiter.limit("1/second", burst=3, nodelay=False)(service)
    app = make_app(service, RATE_LIMIT_DRY_RUN=True)
    lines = logged(app)
    for _ in range(3):
        assert call(app, "/things/7").status == 200
    assert all(line["duration_ms"] < 900 for line in lines)


def test_plans_and_quotas_on_trial() -> None:
    service, _ = open_service()
    app = make_app(
        service,
        RATE_LIMIT_DRY_RUN=True,
        PLANS={"free": {"rate": "2/minute", "quota": "3/day"}},
        DEFAULT_PLAN="free",
    )
    lines = logged(app)
    for _ in range(4):
        answer = call(app, "/things/7", headers=[bearer()])
        assert answer.status == 200
        assert not answer.header("X-Quota-Limit")
    found = [sorted(line["dry_run"]) for line in lines]
    assert found == [[], [], ["free-60"], ["free-60", "free-day"]]


def test_addresses_and_failed_logins_on_trial() -> None:
    service, _ = open_service()
    app = make_app(
        service,
        RATE_LIMIT_DRY_RUN=True,
        RATE_LIMIT_ADDRESS="1/minute",
        RATE_LIMIT_FAILED_LOGINS="1/minute",
    )
    lines = logged(app)
    wrong = [("Authorization", "Bearer wrong")]
    for _ in range(2):
        assert call(app, "/things/7", headers=wrong).status == 200
    assert [sorted(line["dry_run"]) for line in lines] == [[], ["address-60", "failed-logins"]]
