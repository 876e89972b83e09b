"""One JSON line for every event that concerns security, and no flood of them."""

from __future__ import annotations

import os
from typing import Any

import orjson
import pytest
from flask import Flask

from gateway import require
from gateway.authentication import Identity
from gateway.edge.origin import Edge
from gateway.errors import AuthorityUnavailable
from gateway.exchange import Exchange
from gateway.observability.security_log import SecurityLog
from tests.support.wsgi import bearer, call, make_app, make_environ, open_service, stubbed, token

MEMBERS = ["time", "event", "request_id", "client", "method", "path", "route", "service", "user"]


class Heard(SecurityLog):
    """A log whose lines a test reads."""

    def __init__(self, **options: Any) -> None:
        self.lines: list[dict[str, Any]] = []
        super().__init__(lambda line: self.lines.append(orjson.loads(line)), **options)


def environ_of(*fields: tuple[str, str], trusted: bool = False) -> dict[str, Any]:
    """A request that came through the door."""
    environ = make_environ("/things/x?secret=1", "GET", fields)
    environ["gateway.edge"] = Edge("192.0.2.1", trusted, "192.0.2.1", "http", "gateway.example")
    environ["gateway.exchange"] = Exchange("the-id", 0.0, client="192.0.2.1")
    return environ


def forged(*fields: tuple[str, str], trusted: bool = False, log: Heard | None = None) -> Any:
    """The names that a request with these fields is found to forge; None for no event."""
    log = log or Heard()
    log.inspect(environ_of(*fields, trusted=trusted))
    if not log.lines:
        return None
    (line,) = log.lines
    assert line["event"] == "identity_forged"
    return line["fields"]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ([("X-User-ID", "root")], ["x-user-id"]),
        ([("x-user-roles", "root"), ("X-TOKEN-SUBJECT", "x")], ["x-token-subject", "x-user-roles"]),
        ([("Connection", "X-User-ID")], ["x-user-id"]),
        ([("Connection", "close,x-user-permissions , X-Other")], ["x-user-permissions"]),
        ([("Connection", "x-user-id"), ("X-User-ID", "a")], ["x-user-id"]),
        ([("Connection", "keep-alive, Upgrade")], None),
        ([("Connection", "close"), ("X-User-Agent", "x"), ("X-Userid", "x")], None),
        ([("X-User-ID", "")], ["x-user-id"]),
    ],
)
@pytest.mark.parametrize("trusted", [False, True])
def test_forged_fields(
    fields: list[tuple[str, str]], names: list[str] | None, trusted: bool
) -> None:
    """No proxy is believed either, and one that is trusted may pass on what a client forged."""
    assert forged(*fields, trusted=trusted) == names


def test_names_that_schemes_write_count_too() -> None:
    log = Heard()
    log.watch(written=["remote-user"], proxied=["x-client-cert"])
    field = ("X-Client-Cert", "x")
    assert forged(("Remote-User", "x"), field, trusted=True, log=log) == ["remote-user"]
    log.lines.clear()
    assert forged(field, trusted=True, log=log) is None
    assert forged(field, log=log) == ["x-client-cert"]


def make_log(app: Flask) -> Heard:
    """The security log of an application that has one."""
    log: SecurityLog = app.extensions["gateway"].security
    heard = Heard()
    log._write = lambda line: heard.lines.append(orjson.loads(line))
    return heard


@pytest.fixture
def lines_of() -> Any:
    """Ask a gateway with a guarded and an open service; returns the events."""
    guarded = require("order:read")(stubbed("guarded", "/guarded")[0])
    app = make_app(guarded, open_service()[0], SECURITY_LOG=True)
    log = make_log(app)

    def ask(raw: str, *fields: tuple[str, str]) -> list[dict[str, Any]]:
        log.lines.clear()
        call(app, raw, "GET", fields)
        return log.lines

    return ask


WRONG = ("Authorization", "Bearer wrong.secret.token")
EXPIRED = ("Authorization", f"Bearer {token(exp=1)}")


@pytest.mark.parametrize(
    ("fields", "event", "members"),
    [
        ([WRONG], "login_failed", {"scheme": "bearer", "reason": "token_invalid", "user": ""}),
        ([EXPIRED], "login_failed", {"scheme": "bearer", "reason": "token_expired"}),
        ([bearer()], "forbidden", {"reason": "insufficient_scope", "user": "ada"}),
        ([WRONG, ("x-access-tokens", "b")], "two_credentials", {}),
    ],
)
def test_the_line_of_a_refusal(
    lines_of: Any, fields: list[tuple[str, str]], event: str, members: dict[str, str]
) -> None:
    (line,) = lines_of("/guarded/7?token=secret", ("X-Request-ID", "of-the-client.1"), *fields)
    assert list(line)[: len(MEMBERS)] == MEMBERS
    assert list(line)[-1] == "left_out"
    expected = {
        "event": event,
        "request_id": "of-the-client.1",
        "client": "192.0.2.1",
        "method": "GET",
        "path": "/guarded/7",
        "route": "/guarded/<path:_rest>",
        "service": "guarded",
        **members,
    }
    assert {name: line[name] for name in expected} == expected
    assert "secret" not in str(line)
    assert not any(value.removeprefix("Bearer ") in str(line) for _, value in fields)


def test_a_forbidden_request_names_what_is_missing(lines_of: Any) -> None:
    (line,) = lines_of("/guarded/7", bearer("other:read"))
    assert line["missing"] == "order:read"


def test_no_event_where_nothing_was_presented_or_refused(lines_of: Any) -> None:
    assert lines_of("/guarded/7") == []
    assert lines_of("/guarded/7", bearer("order:read")) == []
    assert lines_of("/things/7", bearer()) == []
    assert lines_of("/things/7", EXPIRED) == []  # a stale token, where none is needed
    assert lines_of("/nowhere", WRONG) == []


def test_events_where_nothing_is_required(lines_of: Any) -> None:
    (line,) = lines_of("/things/7", WRONG, ("x-access-tokens", "b"))
    assert line["event"] == "two_credentials"
    (line,) = lines_of("/things/7", ("X-User-ID", "root"))
    assert (line["event"], line["fields"]) == ("identity_forged", ["x-user-id"])
    (line,) = lines_of("/nowhere", ("X-User-ID", "root"))
    assert line["route"] == ""


def test_cross_site_is_a_failed_login(lines_of: Any) -> None:
    guarded = require()(stubbed("guarded", "/guarded")[0])
    app = make_app(guarded, SECURITY_LOG=True)
    log = make_log(app)
    fields = [("Cookie", f"access_token={token()}"), ("Sec-Fetch-Site", "cross-site")]
    assert call(app, "/guarded/7", "POST", fields).status == 403
    (line,) = log.lines
    assert (line["event"], line["reason"]) == ("login_failed", "cross_site")


def test_an_authority_that_is_away() -> None:
    class Away:
        """A scheme whose authority does not answer."""

        name = "away"
        carried = "request"
        needs = "luck"
        challenge = ""
        hides: frozenset[str] = frozenset()
        writes: frozenset[str] = frozenset()

        def find(self, environ: dict[str, Any]) -> str | None:
            return ""

        def verify(self, credential: str, environ: dict[str, Any]) -> Identity:
            raise AuthorityUnavailable from TimeoutError("auth.internal: timeout")

    service, _ = stubbed(authentication=[Away()])
    app = make_app(require()(service), SECURITY_LOG=True)
    log = make_log(app)
    answer = call(app, "/things/7")
    assert answer.status == 503
    (line,) = log.lines
    assert line["event"] == "authority_unavailable"
    assert (line["scheme"], line["reason"]) == ("away", "auth.internal: timeout")
    assert b"internal" not in answer.body


class Clock:
    """Time that passes when a test says so."""

    now = 1000.25

    def __call__(self) -> float:
        return self.now


def test_a_flood_is_left_out_and_counted() -> None:
    clock = Clock()
    log = Heard(most=3, clock=clock)
    environ = environ_of()
    for _ in range(10):
        log.note("login_failed", environ)
    assert len(log.lines) == 3
    log.note("forbidden", environ)  # other kinds are not drowned
    assert [line["event"] for line in log.lines[3:]] == ["forbidden"]
    clock.now += 1
    for _ in range(4):
        log.note("login_failed", environ)
    assert [line["left_out"] for line in log.lines] == [0, 0, 0, 0, 7, 0, 0]
    clock.now += 5
    log.note("login_failed", environ)
    assert log.lines[-1]["left_out"] == 1
    assert log.lines[-1]["time"] == 1006.25


def test_or_everything_is_written() -> None:
    log = Heard(most=0)
    for _ in range(500):
        log.note("login_failed", environ_of())
    assert len(log.lines) == 500


def test_it_can_be_turned_off_and_shares_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[int, bytes]] = []
    monkeypatch.setattr(os, "write", lambda fd, data: written.append((fd, data)))
    fields = [("X-User-ID", "root")]
    call(make_app(open_service()[0]), "/things/x", "GET", fields)
    assert written == []
    call(make_app(open_service()[0], SECURITY_LOG=True), "/things/x", "GET", fields)
    ((fd, line),) = written
    assert fd == 1
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1


def test_a_failing_log_fails_no_request(capsys: pytest.CaptureFixture[str]) -> None:
    def full(_line: bytes) -> None:
        raise OSError(28, "No space left on device")

    SecurityLog(full).note("login_failed", environ_of())
    SecurityLog(lambda _line: None).note("login_failed", environ_of(), reason="\ud800")
    assert capsys.readouterr().err == "security log: OSError\nsecurity log: TypeError\n"
