"""Fallbacks over real connections: the last answer as it came, and a body sent a second time."""

from __future__ import annotations

import json

import pytest

from gateway.testing import Close, Reset, ScriptedUpstream, Send
from tests.support.client import exchange
from tests.support.gunicorn import free_port, start_gateway
from tests.support.messages import chunks, request, response, response_head

LENGTH = response(b"200 OK", b"ETag: x", body=b"whole")
CHUNKED = response_head(b"200 OK", b"ETag: x", b"Transfer-Encoding: chunked") + chunks(
    b"who", b"le"
)
UNTIL_CLOSE = response_head(b"200 OK", b"ETag: x") + b"whole"


@pytest.fixture
def environment(upstream: ScriptedUpstream) -> dict[str, str]:
    """Everything leads to the scripted upstream, but one service to nobody."""
    names = ("PLAIN_URL", "BOUNDED_URL", "KEPT_URL", "BACKUP_URL")
    return {
        **dict.fromkeys(names, upstream.url),
        "REPLACED_URL": f"http://127.0.0.1:{free_port()}",
    }


def test_the_last_answer_comes_again_with_its_length(
    worker_class: str, upstream: ScriptedUpstream, environment: dict[str, str]
) -> None:
    app = "tests.workers.capacity_app:app"
    with start_gateway(app, worker_class=worker_class, env=environment) as running:
        for path, answer in (
            (b"/kept/1", LENGTH),
            (b"/kept/2", CHUNKED),
            (b"/kept/3", UNTIL_CLOSE),
        ):
            upstream.script([Send(answer), Close()], [Reset()])
            first = exchange(running.address, request(path))
            assert (first.status, first.body, first.header(b"X-Fallback")) == (200, b"whole", [])
            again = exchange(running.address, request(path))
            if answer == UNTIL_CLOSE:  # who knows whether that was all
                assert again.status == 502
                continue
            assert (again.status, again.body, again.framing) == (200, b"whole", "length")
            assert again.header(b"X-Fallback") == [b"stale"]
            assert again.header(b"ETag") == [b"x"]
            assert int(again.header(b"Age")[0]) < 10
            line = running.line_of(again.header(b"X-Request-ID")[0].decode())
            assert (line["status"], line["party"]) == (200, "upstream")
            assert line["reason"] == "connection_terminated"
            other = exchange(running.address, request(path, b"Authorization: Basic x"))
            assert other.status == 502


def test_a_body_goes_to_the_backup_when_nobody_is_there(
    worker_class: str, upstream: ScriptedUpstream, environment: dict[str, str]
) -> None:
    app = "tests.workers.capacity_app:app"
    with start_gateway(app, worker_class=worker_class, env=environment) as running:
        upstream.respond(response(b"201 Created", body=b"made"))
        made = exchange(running.address, request(b"/replaced/x?y", method=b"POST", body=b"{}"))
        assert (made.status, made.body) == (201, b"made")
        assert made.header(b"X-Fallback") == [b"service"]
        (received,) = upstream.requests
        assert (received.method, received.target) == (b"POST", b"/replaced/x?y")
        assert received.body == b"{}"
        line = running.line_of(made.header(b"X-Request-ID")[0].decode())
        assert (line["status"], line["party"]) == (201, "upstream")
        assert (line["reason"], line["attempts"]) == ("connection_refused", 2)
        upstream.script([Reset()])
        failed = exchange(running.address, request(b"/replaced/x", method=b"POST", body=b"{}"))
        assert (failed.status, json.loads(failed.body)["code"]) == (502, "connection_refused")
