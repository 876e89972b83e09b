"""One JSON line for every request."""

from __future__ import annotations

import os
from typing import Any

import orjson
import pytest
from flask import Flask

from gateway import require
from gateway.errors import ConnectFailed
from gateway.exchange import Exchange
from gateway.observability.access_log import AccessLog
from tests.support.wsgi import bearer, call, make_app, make_environ, open_service, stubbed

MEMBERS = [
    *("time", "request_id", "client", "method", "path", "route", "service", "target", "status"),
    *("party", "reason", "user", "bytes_in", "bytes_out", "duration_ms", "queue_ms", "upstream_ms"),
    *("gateway_ms", "attempts", "dry_run"),
]


def _logged(app: Flask) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    log = AccessLog(lambda line: lines.append(orjson.loads(line)))
    app.wsgi_app._log = log  # type: ignore[attr-defined]
    return lines


def test_line_of_a_forwarded_request() -> None:
    service, _ = open_service()
    app = make_app(service)
    lines = _logged(app)
    call(app, "/things/%41?token=secret", "POST", [bearer()], b"body")
    (line,) = lines
    assert list(line) == MEMBERS
    assert line["client"] == "192.0.2.1"
    assert (line["method"], line["path"]) == ("POST", "/things/%41")
    assert (line["route"], line["service"]) == ("/things/<path:_rest>", "things")
    assert (line["target"], line["attempts"]) == ("things.internal", 1)
    assert (line["status"], line["party"], line["reason"]) == (200, "", "")
    assert (line["user"], line["bytes_in"], line["bytes_out"]) == ("ada", 4, 2)
    assert 0 <= line["upstream_ms"] <= line["duration_ms"] < 10_000
    assert 0 <= line["gateway_ms"] <= line["duration_ms"]


@pytest.mark.parametrize(
    ("raw", "status", "party", "reason"),
    [
        ("/nothing", 404, "client", "not_found"),
        ("/guarded/x", 401, "client", "missing_token"),
        ("/guarded/..", 400, "client", "ambiguous_path"),
        ("/things/x", 502, "upstream", "connection_refused"),
        ("/bug", 500, "gateway", "bug"),
    ],
)
def test_line_names_who_failed(raw: str, status: int, party: str, reason: str) -> None:
    def backend(_method: str, url: str, *_rest: object) -> Any:
        raise ConnectFailed if url.endswith("/x") else ValueError

    failing, _ = open_service(backend=backend)
    bug, _ = open_service(name="bug", prefix="/bug", backend=backend)
    guarded = require()(stubbed("guarded", "/guarded")[0])
    app = make_app(failing, guarded, bug)
    lines = _logged(app)
    call(app, raw)
    (line,) = lines
    assert (line["status"], line["party"], line["reason"]) == (status, party, reason)


def test_line_tells_what_a_cache_did() -> None:
    assert "cache" not in _line(make_environ("/"))
    assert list(_line(make_environ("/"), cache="hit"))[-1] == "cache"
    assert _line(make_environ("/"), cache="hit")["cache"] == "hit"


def test_path_shows_no_password() -> None:
    assert _line(make_environ("http://user:hunter2@evil/a?b"))["path"] == "/a"


def test_odd_paths_stay_on_one_ascii_line() -> None:
    assert _line(make_environ("/\xe9"))["path"] == "'/\\xe9'"


def _line(environ: dict[str, Any], **changes: Any) -> dict[str, Any]:
    lines: list[bytes] = []
    AccessLog(lines.append).write(Exchange("id", 0.0, **changes), environ, 200, 0)
    (line,) = lines
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    loaded: dict[str, Any] = orjson.loads(line)
    return loaded


def test_client_that_left_is_499() -> None:
    assert _line(make_environ("/"), reason="client_gone", party="client")["status"] == 499


def test_values_cannot_forge_a_line() -> None:
    line = _line(make_environ("/"), user='x"}\n{"status":200')
    assert line["user"] == 'x"}\n{"status":200'


@pytest.mark.parametrize("changes", [{}, {"user": "\ud800"}])
def test_failing_log_fails_no_request(
    changes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_line: bytes) -> None:
        raise OSError(28, "No space left on device")

    AccessLog(full).write(Exchange("id", 0.0, **changes), make_environ("/"), 200, 0)
    assert capsys.readouterr().err.startswith("access log: ")


def test_lines_go_to_stdout_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, bytes]] = []
    monkeypatch.setattr(os, "write", lambda fd, data: calls.append((fd, data)))
    AccessLog().write(Exchange("id", 0.0), make_environ("/"), 200, 0)
    ((fd, data),) = calls
    assert fd == 1
    assert orjson.loads(data)["request_id"] == "id"


def test_log_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _fd, data: calls.append(data))
    call(make_app(open_service()[0]), "/things/x")
    assert not calls
    call(make_app(open_service()[0], ACCESS_LOG=True), "/things/x")
    assert len(calls) == 1
