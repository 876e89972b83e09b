"""The access log as a platform collects it: lines of JSON on stdout, written when a body ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.testing import Close, Hang, ScriptedUpstream, Send, Until
from tests.support.client import Connection, exchange
from tests.support.gunicorn import Gateway, start_gateway, wait_for
from tests.support.messages import chunk, request, request_head, response, response_head
from tests.workers.load import load

CHUNKED = response_head(b"200 OK", b"Transfer-Encoding: chunked")
FIELDS = {
    "time", "request_id", "client", "method", "path", "route", "service", "target", "status",
    "party", "reason", "user", "bytes_in", "bytes_out", "duration_ms", "queue_ms", "upstream_ms",
    "gateway_ms",
    "attempts", "dry_run",
}  # fmt: skip


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def gateway(request: pytest.FixtureRequest, scripted: ScriptedUpstream) -> Iterator[Gateway]:
    """Two workers that write to one stdout."""
    with start_gateway(
        "tests.workers.app:app",
        worker_class=str(request.param),
        workers=2,
        env={"PLAIN_URL": scripted.url},
    ) as running:
        yield running


def lines_of(gateway: Gateway, path: bytes) -> list[dict[str, Any]]:
    """What was logged of a path."""
    return [line for line in gateway.stdout_lines() if line["path"] == path.decode()]


def line_of(gateway: Gateway, path: bytes) -> dict[str, Any]:
    """The one line of a path, awaited: it is written just after the last byte."""
    assert wait_for(lambda: lines_of(gateway, path))
    (line,) = lines_of(gateway, path)
    return line


def test_line_says_what_happened(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    data = request(
        b"/plain/whole?secret=1", b"X-Request-ID: of-the-client", method=b"POST", body=b"12345"
    )
    exchange(gateway.address, data)
    line = line_of(gateway, b"/plain/whole")
    assert set(line) == FIELDS
    assert line["request_id"] == "of-the-client"
    assert (line["client"], line["method"], line["status"]) == ("127.0.0.1", "POST", 200)
    assert (line["service"], line["route"]) == ("plain", "/plain/<path:_rest>")
    assert line["target"].endswith(f"127.0.0.1:{upstream.port}")
    assert (line["party"], line["reason"], line["user"]) == ("", "", "")
    assert (line["bytes_in"], line["bytes_out"], line["attempts"]) == (5, 2, 1)
    assert 0 <= line["upstream_ms"] <= line["duration_ms"]
    assert "secret" not in str(gateway.stdout_lines())


def test_line_comes_when_the_body_ends(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    go = threading.Event()
    upstream.script([Send(CHUNKED + chunk(b"early")), Until(go), Send(chunk(b"late") + chunk(b""))])
    with Connection(gateway.address) as connection:
        connection.send(request_head(b"/plain/stream"))
        connection.read_head()
        assert connection.read_chunk() == b"early"
        exchange(gateway.address, request(b"/nowhere/during"))
        line_of(gateway, b"/nowhere/during")  # later requests are logged, this one is not
        assert lines_of(gateway, b"/plain/stream") == []
        go.set()
        assert connection.read_chunk() == b"late"
    line = line_of(gateway, b"/plain/stream")
    assert (line["status"], line["bytes_out"], line["party"]) == (200, len(b"earlylate"), "")


@pytest.mark.parametrize("begun", [False, True], ids=["before the head", "within the body"])
def test_client_that_left_is_499(gateway: Gateway, upstream: ScriptedUpstream, begun: bool) -> None:
    path = b"/plain/left-%d" % begun
    upstream.script([Send(CHUNKED + chunk(b"some")), Hang()] if begun else [Hang()])
    with Connection(gateway.address) as connection:
        connection.send(request_head(path))
        assert upstream.wait_until(lambda: bool(upstream.requests))
        if begun:
            connection.read_head()
            connection.read_chunk()
    line = line_of(gateway, path)
    assert (line["status"], line["party"], line["reason"]) == (499, "client", "client_gone")
    assert line["bytes_out"] == (len(b"some") if begun else 0)


def test_upstream_that_breaks_off_is_to_blame(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.script([Send(CHUNKED + chunk(b"some")), Close()])
    with Connection(gateway.address) as connection:
        connection.send(request_head(b"/plain/broken"))
        assert not connection.read_reply().clean_end
    line = line_of(gateway, b"/plain/broken")
    assert (line["status"], line["party"]) == (200, "upstream")
    assert line["reason"]


def test_upstream_that_talks_nonsense_is_to_blame(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    upstream.respond(b"nonsense\r\n\r\n")
    exchange(gateway.address, request(b"/plain/nonsense"))
    line = line_of(gateway, b"/plain/nonsense")
    assert (line["status"], line["party"]) == (502, "upstream")


def test_failure_that_the_upstream_answers_is_nobodys(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    upstream.respond(response(b"503 Busy", body=b"later"))
    exchange(gateway.address, request(b"/plain/busy"))
    line = line_of(gateway, b"/plain/busy")
    assert (line["status"], line["party"], line["reason"]) == (503, "", "")


def test_unknown_path_is_the_clients(gateway: Gateway) -> None:
    exchange(gateway.address, request(b"/nowhere"))
    line = line_of(gateway, b"/nowhere")
    assert (line["status"], line["party"], line["service"]) == (404, "client", "")


def test_probes_are_not_logged(gateway: Gateway) -> None:
    exchange(gateway.address, request(b"/healthz"))
    exchange(gateway.address, request(b"/readyz"))
    exchange(gateway.address, request(b"/nowhere/after-probes"))
    line_of(gateway, b"/nowhere/after-probes")
    assert lines_of(gateway, b"/healthz") == lines_of(gateway, b"/readyz") == []


def test_lines_of_two_workers_do_not_mix(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    with load(gateway.address) as clients:
        assert wait_for(lambda: len(clients.answered) > 200)
    assert wait_for(lambda: len(lines_of(gateway, b"/plain/x")) == len(clients.answered))
    text = (gateway.folder / "stdout").read_text()
    assert len(gateway.stdout_lines()) == len(text.splitlines())  # nothing else is there
