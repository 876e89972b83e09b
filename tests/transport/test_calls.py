"""Calls of the gateway's own: what goes out, and what comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.testing import Hang, ScriptedUpstream, Send, Wait
from gateway.transport.calls import Caller, CallFailed, Server
from gateway.transport.connection import Connection
from tests.support.messages import response


@pytest.fixture
def caller(upstream: ScriptedUpstream) -> Iterator[Caller]:
    """What calls the scripted upstream."""
    made = Caller(Server.parse(f"{upstream.url}/base/"), connections=2)
    yield made
    made._session.close()


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("", b"/base"),
        ("/x?a=%2F&b=[1]", b"/base/x?a=%2F&b=[1]"),
        ("/a b\u00e9\r\n", b"/base/a%20b%C3%A9%0D%0A"),
    ],
)
def test_a_target_is_sent_as_it_is_where_it_can_be(
    caller: Caller, upstream: ScriptedUpstream, target: str, sent: bytes
) -> None:
    caller.call("GET", target, seconds=5)
    assert upstream.requests[0].target == sent


def test_without_a_path_there_is_a_slash(upstream: ScriptedUpstream) -> None:
    caller = Caller(Server.parse(upstream.url))
    for target in ("", "?a=1"):
        caller.call("GET", target, seconds=5)
    assert [received.target for received in upstream.requests] == [b"/", b"/?a=1"]


def test_odd_values_are_sent_and_a_body_has_its_length(
    caller: Caller, upstream: ScriptedUpstream
) -> None:
    fields = [("X-Odd", "\xa0\xff"), ("Accept", "text/html")]
    caller.call("PUT", "/x", seconds=5, headers=fields, body=b"body")
    caller.call("PUT", "/x", seconds=5, body=b"")
    first, second = upstream.requests
    assert b"X-Odd: \xa0\xff\r\n" in first.head
    assert first.header(b"Accept") == [b"text/html"]
    assert (first.header(b"Content-Length"), first.body) == ([b"4"], b"body")
    assert second.body == b""


def test_repeated_fields_come_apart(caller: Caller, upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"401 No", b"WWW-Authenticate: A", b"www-authenticate: B", body=b"x"))
    answer = caller.call("GET", seconds=5)
    assert (answer.status, answer.body) == (401, b"x")
    told = [value for name, value in answer.fields if name.lower() == "www-authenticate"]
    assert told == ["A", "B"]
    assert answer.headers["www-authenticate"] == "B"


def test_a_name_that_is_none_is_a_failure() -> None:
    with pytest.raises(CallFailed):
        Caller(Server.parse(f"http://{'a' * 70}.invalid")).call("GET", seconds=5)


@pytest.mark.parametrize(
    "script",
    [
        [Wait(0.7), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), Hang()],
        [Wait(0.7), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"), Hang()],
        [Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), Wait(0.7), Send(b"x"), Hang()],
    ],
)
def test_the_time_is_for_all_of_it(
    caller: Caller, upstream: ScriptedUpstream, script: list[Any]
) -> None:
    """Also where the answer stops when most of it is over."""
    upstream.script(script)
    waits: list[float] = []
    receive = Connection.receive

    def receiving(self: Connection, limit: float, abandoned: Any) -> bytes:
        waits.append(limit)
        return receive(self, limit, abandoned)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "receive", receiving)
        end = time.monotonic() + 1.0
        with pytest.raises(CallFailed):
            caller.call("GET", seconds=1.0)
    assert max(waits) < end + 0.3


@pytest.mark.parametrize(
    "rest",
    [
        [Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"), Hang()],
        [Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")],
        [Send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + b"x" * 90), Hang()],
        [Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nrubbish")],
    ],
    ids=["silent", "broken off", "long", "malformed"],
)
def test_a_body_that_nobody_wants_is_no_failure(
    upstream: ScriptedUpstream, rest: list[Any]
) -> None:
    caller = Caller(Server.parse(upstream.url), connections=1, largest=50, bodies=False)
    upstream.script(rest)
    began = time.monotonic()
    answer = caller.call("POST", seconds=30, body=b"x")
    assert (answer.status, answer.body) == (200, b"")
    assert time.monotonic() - began < 10
    caller.call("POST", seconds=5)  # there is a connection to be had
    caller.close()
