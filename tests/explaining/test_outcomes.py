"""`flask gateway explain`: what would become of a request, without anything becoming of it."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import NoReturn

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.cli import ScriptInfo

from gateway.cli import group
from gateway.errors import ConfigurationError
from gateway.rate_limiting.windows import Hit
from gateway.state import EmbeddedStore
from gateway.testing import ScriptedUpstream
from tests.explaining.app import LIMIT, make
from tests.explaining.support import READER, WRITER, Explain, holding, run, told
from tests.support.wsgi import bearer, call


@pytest.mark.parametrize(
    ("method", "path", "words", "endpoint", "outcome"),
    [
        ("GET", "/orders/7", READER, "orders.forward", ("forwarded", None, None)),
        ("GET", "/orders", READER, "orders.forward", ("forwarded", None, None)),
        (
            "GET",
            "/orders/7",
            [*READER, "--header", "API-Version: 2"],
            "second.forward",
            ("forwarded", None, None),
        ),
        ("POST", "/orders/7/refunds", WRITER, "orders.refund", ("forwarded", None, None)),
        ("GET", "/things/1", [], "things.forward", ("forwarded", None, None)),
        ("OPTIONS", "/orders/7/owned", READER, "orders.owned", ("unknown", None, None)),
        ("GET", "/orders/7/owned", READER, "orders.owned", ("unknown", None, None)),
        ("GET", "/healthz", [], "gateway_ops.healthz", ("own", None, None)),
        ("GET", "/orders/7", [], "orders.forward", ("refused", 401, "missing_token")),
        (
            "GET",
            "/orders/7",
            ["--token", "a.b.c"],
            "orders.forward",
            ("refused", 401, "token_invalid"),
        ),
        ("PUT", "/orders/7", READER, "orders.forward", ("refused", 403, "insufficient_scope")),
        (
            "GET",
            "/orders/7/refunds",
            READER,
            "orders.claim_0",
            ("refused", 405, "method_not_allowed"),
        ),
        ("POST", "/orders/x/refunds", WRITER, "orders.claim_0", ("refused", 404, "not_found")),
        ("GET", "/ordres/7", READER, None, ("refused", 404, "not_found")),
        ("TRACE", "/things/1", [], None, ("refused", 405, "method_not_allowed")),
        ("GET", "/orders/a%2Fb", READER, "second.forward", ("refused", 400, "ambiguous_path")),
        ("get", "/orders/7", READER, None, ("refused", 400, None)),
        (
            "GET",
            "/orders/7",
            [*READER, "--header", "X-Access-Tokens: x"],
            "orders.forward",
            ("refused", 400, "two_credentials"),
        ),
        (
            "PUT",
            "/orders/7",
            [*WRITER, "--header", "Content-Length: 99999999"],
            "orders.forward",
            ("refused", 413, "body_too_large"),
        ),
        ("GET", "/empty", [], "empty.forward", ("refused", 503, "destination_unavailable")),
    ],
)
def test_what_becomes_of_a_request(
    explain: Explain,
    method: str,
    path: str,
    words: list[str],
    endpoint: str | None,
    outcome: tuple[str, int | None, str | None],
) -> None:
    found = explain(method, path, *words)
    assert told(found) == outcome
    assert (found.get("route") or {"endpoint": None})["endpoint"] == endpoint
    assert found["code"] == {"refused": 4, "unknown": 3}.get(outcome[0], 0)


def test_the_explanation_and_the_answer_agree(app: Flask, explain: Explain) -> None:
    # Of requests that are refused, the real one says the same.
    for method, path, headers in [
        ("GET", "/orders/7", []),
        ("PUT", "/orders/7", [bearer("order:read")]),
        ("GET", "/orders/7/refunds", [bearer("order:read")]),
        ("GET", "/ordres", []),
        ("GET", "/orders/%2e%2e/x", [bearer("order:read")]),
        ("GET", "/orders/7", [("X-Access-Tokens", "a"), bearer("order:read")]),
    ]:
        real = call(app, path, method, headers)
        words = [word for name, value in headers for word in ("--header", f"{name}: {value}")]
        answer = explain(method, path, *words)["answer"]
        assert (answer["status"], answer["code"]) == (real.status, real.code), path
        for name, value in answer["headers"]:
            assert value in real.header(name)


def test_a_request_that_the_server_refuses(explain: Explain) -> None:
    found = explain("GET", "/" + "x" * 9000)
    assert (told(found), found["code"]) == (("refused", 414, None), 4)
    assert explain("GET", "/a b")["answer"]["status"] == 400


@pytest.mark.parametrize(
    "words",
    [
        ["GET", "orders"],
        ["GET", "http://user:hunter2@h/x"],
        ["G T", "/x"],
        ["GET", "/x", "--address", "here"],
        ["GET", "/x", "--header", "hunter2"],
        ["GET", "/x", "--header", "X: a\r\nX-User-ID: hunter2"],
        ["GET", "/x", "--token", "hunter2\n"],
        ["GET", "/x\r\nX: hunter2"],
    ],
)
def test_wrong_words(app: Flask, words: list[str]) -> None:
    done = run(app, *words)
    assert done.exit_code == 2
    assert "hunter2" not in done.output.replace(repr(words[1]), "")


def test_nothing_is_counted_asked_or_begun(
    listener: ScriptedUpstream, tmp_path: Path, explain: Explain, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make(listener.url, f"lmdb://{tmp_path}")

    def refuse(*_words: object) -> NoReturn:
        raise AssertionError("a socket was opened")

    explain("GET", "/things/1", to=app)  # whatever is opened once
    listener.reset()
    store = EmbeddedStore(tmp_path)
    app.extensions["gateway"].windows.acquire([Hit("somebody", 5, 60)])
    before, threads = _content(store), set(threading.enumerate())
    assert before
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    for method, path, words in [
        ("GET", "/orders/7", WRITER),
        ("POST", "/orders/7/refunds", WRITER),
        ("GET", "/orders/7", ["--token", "a.b.c"]),
        ("PUT", "/things/1", holding("thing:write")),
        *[("GET", "/things/1", [])] * (2 * LIMIT),
        ("GET", "/several", []),
        ("GET", "/nowhere", []),
    ]:
        explain(method, path, *words, to=app)
    assert _content(store) == before
    assert set(threading.enumerate()) == threads
    assert listener.requests == []
    assert app.extensions["gateway"].capacity.taken == 0


def _content(store: EmbeddedStore) -> dict[bytes, bytes]:
    """All that the workers share by now."""
    found: dict[bytes, bytes] = {}
    for table in store.layout.tables:
        with store.read(table) as transaction, transaction.cursor() as cursor:
            found |= {table + bytes(key): bytes(value) for key, value in cursor}
    return found


def test_the_text(app: Flask, listener: ScriptedUpstream) -> None:
    done = run(app, "GET", "/orders/7", *READER)
    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    assert lines[:5] == [
        "GET /orders/7",
        "on http://localhost, from 127.0.0.1",
        f"is forwarded to {listener.url}/7",
        "",
        "route     /orders/... (orders.forward), service orders",
    ]
    refund = "POST /orders/<int:order_id>/refunds (orders.refund)"
    for line in (
        f"  not     {refund}: the path ends before /refunds",
        "identity  user ada, by jwt; permissions order:read",
        "decision  permitted",
        "  met     order:read",
        "  failed logins: *logins 100/60s of ip:127.0.0.1: 100 left",
        "  CircuitBreaker(failures=2, ratio=None), circuit closed",
        "times     connect 1 s, read 10 s; 2 s to the response head",
        "  Authorization: Bearer ***",
    ):
        assert line in lines
    done = run(app, "GET", "/orders/7")
    assert "is answered with 401 missing_token: This needs a token." in done.stdout.splitlines()
    done = run(app, "GET", "/orders/7/owned", *READER)
    assert "depends on who would be asked: owns_order (see --ask)" in done.stdout
    assert (done.exit_code, "answered with 414" in run(app, "GET", "/" + "x" * 9000).stdout) == (
        3,
        True,
    )


def test_a_gateway_that_cannot_start_is_no_refusal() -> None:
    def faulty() -> Flask:
        raise ConfigurationError(["JWT_SECRET must be set"])

    info = ScriptInfo(create_app=faulty)
    done = CliRunner().invoke(group, ["explain", "GET", "/"], obj=info)
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", "- JWT_SECRET must be set\n")
