"""A server that decides: what it is told, and what becomes of every answer it can give."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from gateway import ConfigurationError, PolicyDecisionPoint, any_of, require, role
from gateway.observability.security_log import SecurityLog
from gateway.testing import Close, Hang, Received, Reset, ScriptedUpstream, Send, Until
from tests.authentication.support import SECRET, forge
from tests.support.gunicorn import free_port
from tests.support.wsgi import Answer, bearer, call, make_app, stubbed

PATH = "/v1/data/things/allow"


def reply(body: bytes, status: bytes = b"200 OK") -> bytes:
    """What a decision point sends."""
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


YES, NO = reply(b'{"result": true}'), reply(b'{"decision_id": "1", "result": false}')


_points: list[PolicyDecisionPoint] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """No connection outlives its test."""
    yield
    for point in _points:
        if point._made is not None:
            point._made[1]._session.close()
    _points.clear()


def app_of(url: str, *, around: Callable[[Any], Any] = lambda it: it, **options: Any) -> Flask:
    """A gateway whose service asks a decision point. Options in capitals are settings."""
    service, _ = stubbed()
    settings = {name: options.pop(name) for name in list(options) if name.isupper()}
    point = PolicyDecisionPoint(url + PATH, **options)
    _points.append(point)
    return make_app(require(around(point))(service), JWT_SECRET=SECRET, **settings)


def ask(app: Flask, raw: str = "/things/7", method: str = "GET", **fields: str) -> Answer:
    """One request of ada's; fields by their names with underscores."""
    headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
    token = forge({"alg": "HS256"}, {"sub": "ada", "exp": 9999999999, "roles": ["x"]})
    return call(app, raw, method, [("Authorization", f"Bearer {token}"), *headers])


def told(received: Received) -> dict[str, Any]:
    """The input that a decision point was sent."""
    (name,) = document = json.loads(received.body)
    assert name == "input"
    found: dict[str, Any] = document["input"]
    return found


def test_the_input(upstream: ScriptedUpstream) -> None:
    upstream.respond(YES)
    app = app_of(upstream.url, headers=["X-Tenant", "content-type", "X-Absent"])
    raw = "/things/a%20b/c/%C3%A4;v=1/?b=1&a=2&b=&c"
    assert ask(app, raw, "DELETE", X_Tenant="acme", X_Other="no").status == 200
    (received,) = upstream.requests
    assert received.method == b"POST"
    assert received.target == PATH.encode()
    assert received.header(b"Content-Type") == [b"application/json"]
    assert len(received.header(b"X-Request-ID")[0]) == 32
    assert told(received) == {
        "method": "DELETE",
        "path": ["things", "a b", "c", "ä;v=1"],
        "query": {"b": ["1", ""], "a": ["2"], "c": [""]},
        "headers": {"x-tenant": "acme"},
        "identity": {
            "subject": "ada",
            "kind": "user",
            "scheme": "jwt",
            "roles": ["x"],
            "permissions": [],
            "scopes": [],
            "plan": "",
        },
        "client": "192.0.2.1",
        "route": "/things/<path:_rest>",
        "service": "things",
    }


def test_no_credential_is_told(upstream: ScriptedUpstream) -> None:
    upstream.respond(YES)
    assert ask(app_of(upstream.url, claims=True), "/things/7", Cookie="a=secret").status == 200
    (received,) = upstream.requests
    assert b"Bearer" not in received.raw
    assert b"secret" not in received.raw
    assert told(received)["identity"]["claims"] == {"sub": "ada", "exp": 9999999999, "roles": ["x"]}


def test_claims_that_are_hard_to_write_down(upstream: ScriptedUpstream) -> None:
    upstream.respond(YES)
    token = forge({"alg": "HS256"}, {"sub": "ada", "exp": 9999999999, "n": 10**300})
    app = app_of(upstream.url, claims=True)
    assert call(app, "/things/7", headers=[("Authorization", f"Bearer {token}")]).status == 200
    assert told(upstream.requests[0])["identity"]["claims"]["n"] == 10**300


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"result": true}', 200),
        (b'{"result": {"allow": true, "why": "so"}}', 200),
        (b'{"result": false}', 403),
        (b'{"result": {"allow": false}}', 403),
        (b'{"result": {}}', 403),
        (b"{}", 403),
    ],
)
def test_a_decision(upstream: ScriptedUpstream, body: bytes, status: int) -> None:
    for fail_open in (False, True):
        upstream.respond(reply(body))
        answer = ask(app_of(upstream.url, fail_open=fail_open))
        assert answer.status == status
        assert status == 200 or answer.code == "forbidden"
        assert answer.header("WWW-Authenticate") == []


GARBAGE = [
    (b"true", b"200 OK"),
    (b"<html>", b"200 OK"),
    (b"", b"200 OK"),
    (b'{"result": "yes"}', b"200 OK"),
    (b'{"result": 1}', b"200 OK"),
    (b'{"result": null}', b"200 OK"),
    (b'{"result": {"allow": "true"}}', b"200 OK"),
    (b'{"result": [true]}', b"200 OK"),
    (b'{"result": true}', b"201 Created"),
    (b'{"result": true}', b"302 Found"),
    (b'{"result": true}', b"401 Unauthorized"),
    (b'{"result": true}', b"404 Not Found"),
]


@pytest.mark.parametrize(("body", "status"), GARBAGE)
def test_an_answer_that_is_no_decision_is_closed(
    upstream: ScriptedUpstream, body: bytes, status: bytes
) -> None:
    for fail_open in (False, True):
        upstream.respond(reply(body, status))
        answer = ask(app_of(upstream.url, fail_open=fail_open))
        assert (answer.status, answer.code) == (503, "authority_unavailable")
        assert answer.header("Retry-After") == ["1"]


ABSENT = [
    pytest.param([Send(reply(b"{}", b"500 Internal Server Error"))], id="500"),
    pytest.param([Send(reply(b'{"result": true}', b"503 Service Unavailable"))], id="503"),
    pytest.param([Hang()], id="hangs"),
    pytest.param([Send(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"), Hang()], id="stops"),
    pytest.param([Send(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"), Close()], id="breaks"),
    pytest.param([Send(b"SSH-2.0-OpenSSH\r\n\r\n"), Close()], id="no-http"),
    pytest.param([Send(reply(b" " * 100_000 + b'{"result": true}'))], id="too-large"),
]


@pytest.mark.parametrize("script", ABSENT)
def test_a_server_that_does_not_answer(upstream: ScriptedUpstream, script: Any) -> None:
    upstream.script(script)
    answer = ask(app_of(upstream.url, timeout=0.3))
    assert (answer.status, answer.code) == (503, "authority_unavailable")
    assert b"127.0.0.1" not in answer.body
    assert ask(app_of(upstream.url, timeout=0.3, fail_open=True)).status == 200


def test_nobody_listens() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert ask(app_of(url)).code == "authority_unavailable"
    assert ask(app_of(url, fail_open=True)).status == 200


def test_it_is_asked_last_and_only_where_it_matters(upstream: ScriptedUpstream) -> None:
    upstream.respond(NO)
    assert ask(app_of(upstream.url, around=lambda point: any_of(point, role("x")))).status == 200
    assert upstream.requests == []
    assert ask(app_of(upstream.url, around=lambda point: any_of(point, role("y")))).status == 403
    assert len(upstream.requests) == 1


def test_connections_are_kept_and_a_closed_one_costs_nothing(upstream: ScriptedUpstream) -> None:
    upstream.respond(YES)
    app = app_of(upstream.url)
    assert [ask(app).status for _ in range(3)] == [200] * 3
    assert upstream.connections == 1
    upstream.reset()  # as when the server starts anew
    upstream.respond(YES)
    assert ask(app).status == 200


class Clock:
    """A clock that is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_decision_is_remembered_for_the_same_input(upstream: ScriptedUpstream) -> None:
    clock = Clock()
    upstream.respond(YES, NO)
    app = app_of(upstream.url, cache=5, clock=clock, headers=["X-Tenant"])
    assert [ask(app).status for _ in range(3)] == [200] * 3
    assert len(upstream.requests) == 1
    assert ask(app, X_Tenant="other").status == 403  # another input
    assert ask(app, "/things/8").status == 403
    assert ask(app, "/things/7", "PUT").status == 403
    other = call(app, "/things/7", headers=[bearer()])
    assert other.status == 401  # signed with another secret
    assert len(upstream.requests) == 4
    clock.now += 4.9
    assert ask(app).status == 200
    clock.now += 0.2
    assert ask(app).status == 403
    assert [ask(app).status for _ in range(2)] == [403] * 2  # no is remembered, too
    assert len(upstream.requests) == 5


@pytest.mark.parametrize("fail_open", [True, False])
def test_a_failure_is_not_remembered(upstream: ScriptedUpstream, fail_open: bool) -> None:
    upstream.respond(reply(b"", b"500 No"), NO)
    app = app_of(upstream.url, cache=5, fail_open=fail_open)
    assert ask(app).status == (200 if fail_open else 503)
    assert ask(app).status == 403


def test_nothing_is_remembered_unless_asked_for(upstream: ScriptedUpstream) -> None:
    upstream.respond(YES, NO)
    app = app_of(upstream.url)
    assert [ask(app).status for _ in range(2)] == [200, 403]


def test_the_log_tells_of_trouble_once_a_minute(
    upstream: ScriptedUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    bad = reply(b"", b"500 No")
    upstream.respond(bad, bad, YES, YES, bad)
    app = app_of(upstream.url, token="secret", clock=clock)
    with caplog.at_level(logging.INFO, "gateway"):
        for _ in range(5):
            ask(app)
        clock.now += 61
        ask(app)
    said = [message.partition(PATH)[2] for message in caplog.messages if PATH in message]
    bad_news = f" decides nothing: {upstream.url[7:]} answers 500"
    assert said == [bad_news, " decides again", bad_news]
    assert "secret" not in caplog.text


def test_who_is_silent_is_not_waited_for_by_all(upstream: ScriptedUpstream) -> None:
    clock = Clock()
    upstream.script([Reset()])
    app = app_of(upstream.url, clock=clock)
    assert {ask(app).code for _ in range(8)} == {"authority_unavailable"}
    assert len(upstream.requests) == 5
    clock.now += 1.1
    assert {ask(app).code for _ in range(3)} == {"authority_unavailable"}
    assert len(upstream.requests) == 6
    clock.now += 1.1
    upstream.respond(YES)
    assert [ask(app).status for _ in range(3)] == [200] * 3


def test_so_many_wait_for_it_and_no_more(upstream: ScriptedUpstream) -> None:
    """One that hangs does not take the worker with it, whatever `connections` are."""
    answer = threading.Event()
    upstream.script([Until(answer), Send(YES)])
    app = app_of(upstream.url, timeout=20, WORKER_CLASS="gthread", WORKER_THREADS=2)
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(ask(app).status)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert upstream.wait_until(lambda: len(upstream.requests) == 2)
    assert ask(app).code == "authority_unavailable"
    assert len(upstream.requests) == 2
    answer.set()
    for thread in threads:
        thread.join(20)
    assert statuses == [200, 200]


def test_what_the_backend_does_not_get_is_not_told(upstream: ScriptedUpstream) -> None:
    upstream.respond(YES)
    app = app_of(upstream.url, headers=["X-Tenant"])
    assert ask(app, X_Tenant="acme", Connection="close, X-TENANT").status == 200
    assert told(upstream.requests[0])["headers"] == {}


@pytest.mark.parametrize("fail_open", [True, False])
def test_the_security_log_tells_who_was_let_in_all_the_same(
    upstream: ScriptedUpstream, fail_open: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.respond(reply(b"", b"500 No"))
    told: list[Any] = []
    log = SecurityLog(lambda line: told.append(json.loads(line)))
    monkeypatch.setattr("gateway.application.open_security_log", lambda settings: log)
    ask(app_of(upstream.url, fail_open=fail_open))
    (line,) = told
    assert (line["event"], line["user"]) == ("authority_unavailable", "ada")
    assert line["reason"] == f"{upstream.url[7:]} answers 500"
    assert line.get("let_in", False) is fail_open


def test_it_says_who_it_is(upstream: ScriptedUpstream) -> None:
    upstream.respond(YES)
    assert ask(app_of(upstream.url, token="s3")).status == 200
    assert ask(app_of(upstream.url.replace("http://", "http://me:pa%2Fss@"))).status == 200
    said = [received.header(b"Authorization") for received in upstream.requests]
    assert said == [[b"Bearer s3"], [b"Basic " + base64.b64encode(b"me:pa/ss")]]


def test_what_it_is_called_holds_no_secret() -> None:
    point = PolicyDecisionPoint("https://me:secret@opa.internal/v1/data/x", token="secret")
    assert str(point) == "decision point https://opa.internal/v1/data/x"
    assert "secret" not in repr(point)


@pytest.mark.parametrize(
    "options",
    [
        {"url": "opa:8181"},
        {"url": None},
        {"url": "http://secret@h/a@b"},
        {"timeout": 0},
        {"timeout": "1"},
        {"timeout": float("nan")},
        {"cache": -1},
        {"cache": True},
        {"connections": 0},
        {"connections": 1.5},
        {"fail_open": "no"},
        {"claims": 1},
        {"headers": "X-Tenant"},
        {"headers": ["X Tenant"]},
        {"headers": [7]},
        {"token": "a\r\nb"},
    ],
)
def test_options_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^PolicyDecisionPoint: ") as refused:
        PolicyDecisionPoint(**{"url": "http://h/v1/data/x", **options})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["Authorization", "cookie", "X-Access-Tokens"])
def test_a_field_that_may_hold_a_credential_is_a_fault(name: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        app_of("http://opa.internal", headers=["X-Tenant", name])
    fault = f"headers names {name.lower()!r}, which may hold a credential"
    assert refused.value.faults == (f"decision point http://opa.internal{PATH}: {fault}",)


def test_authorities_that_are_not_there_are_a_fault() -> None:
    with pytest.raises(ConfigurationError) as refused:
        app_of("https://opa.internal", ca_file="/nowhere.pem")
    assert refused.value.faults == (
        f"decision point https://opa.internal{PATH}: ca_file is no file",
    )
