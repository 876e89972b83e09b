"""The time a request waited in front of the gateway: believed from proxies, counted, logged."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from gateway import Service, Timeouts
from gateway.edge.arrival import queue_seconds
from gateway.observability.access_log import AccessLog
from gateway.testing_stub import StubTransport
from tests.support.wsgi import Answer, call, make_app, open_service

NOW = 1_700_000_000.0
TRUSTED: dict[str, Any] = {"TRUSTED_PROXIES": "192.0.2.0/24"}


@pytest.mark.parametrize(
    "told",
    [
        "t=1699999998.500",
        "1699999998.5",
        "1699999998500",
        "t=1699999998500",
        "1699999998500000",
        "t=1699999998500000",
        "1, t=1699999998.500",
        " 1699999998500 ",
    ],
)
def test_seconds_milliseconds_and_microseconds_are_told_apart(told: str) -> None:
    assert queue_seconds(told, NOW) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("told", "queued"),
    [
        ("1700000000", 0.0),
        ("1699999999.999", 0.001),
        ("1699999940", 60.0),
        ("1699999939.9", 0.0),
        ("1700000000.001", 0.0),
        ("1700009999", 0.0),
        ("999999999", 0.0),
        ("99999999999999999", 0.0),
    ],
)
def test_times_that_cannot_be_are_not_believed(told: str, queued: float) -> None:
    assert queue_seconds(told, NOW) == pytest.approx(queued, abs=1e-4)


@pytest.mark.parametrize(
    "told",
    [
        "",
        "t=",
        "now",
        "-1699999998",
        "1e9",
        "t=t=1699999998",
        "1699999998.",
        "1_699_999_998",
        "١٦٩٩٩٩٩٩٩٨",
        "1699999998;",
        "nan",
        "inf",
        "9" * 5000,
    ],
)
def test_nonsense_is_not_believed(told: str) -> None:
    assert queue_seconds(told, NOW) == 0.0


def ask(
    waited: float, *, service: tuple[Service, StubTransport] | None = None, **changes: Any
) -> tuple[Answer, dict[str, Any], StubTransport]:
    """The answer to a request that waited, its line in the access log, and the backend."""
    things, backend = service or open_service()
    app = make_app(things, **changes)
    lines: list[dict[str, Any]] = []
    app.wsgi_app._log = AccessLog(lambda line: lines.append(orjson.loads(line)))  # type: ignore[attr-defined]
    told = ("X-Request-Start", f"t={time.time() - waited:.3f}")
    answer = call(app, "/things/7", headers=[told])
    (line,) = lines
    return answer, line, backend


def test_waiting_counts_and_is_logged_apart() -> None:
    answer, line, backend = ask(7.0, **TRUSTED)
    assert answer.status == 200
    assert 6900 <= line["queue_ms"] < 12_000
    assert line["queue_ms"] <= line["duration_ms"]
    assert 0 <= line["gateway_ms"] < 5000
    assert "x-request-start" in backend.requests[0].headers


def test_a_request_that_waited_too_long_is_refused_and_not_forwarded() -> None:
    answer, line, backend = ask(
        20.0, service=open_service(timeouts=Timeouts(total=15.0)), **TRUSTED
    )
    assert (answer.status, answer.code) == (504, "deadline_exceeded")
    assert backend.requests == []
    assert (line["party"], line["reason"], line["attempts"]) == ("gateway", "deadline_exceeded", 0)
    assert ask(20.0, **TRUSTED)[0].status == 200, "25 seconds are the usual"


def test_a_client_cannot_make_itself_wait() -> None:
    answer, line, backend = ask(50.0)
    assert (answer.status, line["queue_ms"]) == (200, 0)
    assert "x-request-start" not in backend.requests[0].headers


def test_without_the_field_nothing_was_waited() -> None:
    service, _ = open_service()
    app = make_app(service, **TRUSTED)
    lines: list[dict[str, Any]] = []
    app.wsgi_app._log = AccessLog(lambda line: lines.append(orjson.loads(line)))  # type: ignore[attr-defined]
    call(app, "/things/7")
    assert lines[0]["queue_ms"] == 0
