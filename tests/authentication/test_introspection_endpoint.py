"""What an authorisation server is sent, and what counts as an answer."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, quote_plus

import pytest

from gateway.authentication.decisions import NoDecision
from gateway.authentication.introspection_answer import AnswerRules, Denied
from gateway.authentication.introspection_endpoint import IntrospectionEndpoint
from gateway.authentication.outage import PATIENCE, PAUSE
from gateway.testing import Close, Hang, ScriptedUpstream, Send
from tests.support.gunicorn import free_port

BODY = b'{"active": false}'
SECRET = "s&c:r=t +%/"


def reply(status: str = "200 OK", body: bytes = BODY) -> bytes:
    """A response as it is on the wire."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


Make = Callable[..., IntrospectionEndpoint]


@pytest.fixture
def endpoint() -> Iterator[Make]:
    """Makes endpoints with credentials that have to be encoded."""
    made: list[IntrospectionEndpoint] = []

    def make(url: str, **options: Any) -> IntrospectionEndpoint:
        made.append(IntrospectionEndpoint(url, "gate way:1", SECRET, AnswerRules(), **options))
        return made[-1]

    yield make
    for one in made:
        one._caller._session.close()


def form(upstream: ScriptedUpstream) -> dict[str, str]:
    """The only form that was sent."""
    (received,) = upstream.requests
    pairs = parse_qsl(received.body.decode("ascii"), strict_parsing=True, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def trouble(asked: IntrospectionEndpoint, token: str = "t") -> str:
    """Why there is no verdict."""
    with pytest.raises(NoDecision) as caught:
        asked.ask(token)
    return str(caught.value)


def test_the_question(endpoint: Make, upstream: ScriptedUpstream) -> None:
    upstream.respond(reply())
    assert endpoint(f"{upstream.url}/oauth/introspect").ask("tok-en") == Denied()
    (received,) = upstream.requests
    assert (received.method, received.target) == (b"POST", b"/oauth/introspect")
    assert received.header(b"Content-Type") == [b"application/x-www-form-urlencoded"]
    assert received.header(b"Accept") == [b"application/json"]
    (authorization,) = received.header(b"Authorization")
    pair = base64.b64decode(authorization.removeprefix(b"Basic ")).decode()
    assert pair == "gate+way%3A1:s%26c%3Ar%3Dt+%2B%25%2F"
    assert form(upstream) == {"token": "tok-en", "token_type_hint": "access_token"}


def test_credentials_in_the_form(endpoint: Make, upstream: ScriptedUpstream) -> None:
    upstream.respond(reply())
    endpoint(upstream.url, auth="post").ask("t")
    (received,) = upstream.requests
    assert received.header(b"Authorization") == []
    assert form(upstream) == {
        "token": "t",
        "token_type_hint": "access_token",
        "client_id": "gate way:1",
        "client_secret": SECRET,
    }


@pytest.mark.parametrize("auth", ["basic", "post"])
@pytest.mark.parametrize(
    "token",
    [
        "a&client_id=other",
        "a%26b",
        "a+b/c==",
        "a\r\nX-Forged: 1\r\n\r\nGET / HTTP/1.1",
        "a=b;c",
        "\x00",
        "caf\u00e9",
        "t" * 8192,
    ],
)
def test_a_token_stays_one_value(
    endpoint: Make, upstream: ScriptedUpstream, token: str, auth: Any
) -> None:
    upstream.respond(reply())
    endpoint(upstream.url, auth=auth).ask(token)
    assert form(upstream)["token"] == token
    assert quote_plus(token).encode() in upstream.requests[0].body
    assert len(form(upstream)) == (2 if auth == "basic" else 4)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", b"/"),
        ("/", b"/"),
        ("/introspect", b"/introspect"),
        ("/o/introspect/", b"/o/introspect/"),
    ],
)
def test_the_address_is_kept_to_the_letter(
    endpoint: Make, upstream: ScriptedUpstream, path: str, target: bytes
) -> None:
    upstream.respond(reply())
    endpoint(f"{upstream.url}{path}").ask("t")
    assert upstream.requests[0].target == target


def test_connections_are_kept(endpoint: Make, upstream: ScriptedUpstream) -> None:
    upstream.respond(reply())
    asked = endpoint(upstream.url)
    for _ in range(3):
        asked.ask("t")
    assert upstream.connections == 1


def test_a_connection_that_breaks_is_replaced_once(
    endpoint: Make, upstream: ScriptedUpstream
) -> None:
    upstream.script([Close()], [Send(reply())])
    assert endpoint(upstream.url).ask("t") == Denied()
    assert len(upstream.requests) == 2


class Clock:
    """Seconds that pass when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def tried(upstream: ScriptedUpstream, asked: IntrospectionEndpoint, times: int) -> int:
    """How often the server was asked when so many tokens were to be checked in vain."""
    before = len(upstream.requests)
    for number in range(times):
        trouble(asked, f"t{number}")
    return len(upstream.requests) - before


def test_a_server_that_does_not_answer_is_left_alone(
    endpoint: Make, upstream: ScriptedUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.respond(reply("503 Service Unavailable"))
    clock = Clock()
    asked = endpoint(upstream.url, timer=clock)
    assert tried(upstream, asked, 20) == PATIENCE
    assert "was not asked" in trouble(asked)
    clock.now += PAUSE + 0.1
    assert tried(upstream, asked, 5) == 1
    upstream.respond(reply())
    assert "was not asked" in trouble(asked)
    clock.now += PAUSE + 0.1
    assert [asked.ask("t"), asked.ask("t")] == [Denied()] * 2
    levels = [(record.levelno, "decides again" in record.message) for record in caplog.records]
    assert levels == [(logging.ERROR, False), (logging.WARNING, True)]


@pytest.mark.parametrize(
    "response",
    [
        reply("503 Service Unavailable"),
        reply("429 Too Many Requests"),
        reply("401 Unauthorized", b""),
        reply("400 Bad Request", b'{"error": "invalid_client"}'),
    ],
)
def test_what_concerns_every_token_ends_the_asking(
    endpoint: Make, upstream: ScriptedUpstream, response: bytes
) -> None:
    upstream.respond(response)
    assert tried(upstream, endpoint(upstream.url), 20) == PATIENCE


@pytest.mark.parametrize(
    "response",
    [
        reply("500 Internal Server Error"),
        reply("502 Bad Gateway"),
        reply("400 Bad Request", b'{"error": "invalid_request"}'),
        reply("400 Bad Request", b"[]"),
        reply("400 Bad Request", b"<html>"),
        reply("403 Forbidden"),
        reply("404 Not Found"),
        reply("302 Found\r\nLocation: /elsewhere"),
        reply("204 No Content", b"").replace(b"Content-Length: 0\r\n", b""),
        reply("201 Created"),
        reply(body=b'{"active": "yes"'),
        reply(body=b"{}"),
    ],
)
def test_what_may_be_one_tokens_fault_does_not(
    endpoint: Make, upstream: ScriptedUpstream, response: bytes
) -> None:
    """Else whoever finds a token that upsets the server would shut out everybody."""
    upstream.respond(response)
    asked = endpoint(upstream.url)
    assert tried(upstream, asked, 20) == 20
    upstream.respond(reply())
    assert asked.ask("t") == Denied()


def test_credentials_that_are_not_accepted_are_said_once(
    endpoint: Make, upstream: ScriptedUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.respond(reply("401 Unauthorized", b""))
    clock = Clock()
    asked = endpoint(upstream.url, timer=clock)
    for _ in range(20):
        trouble(asked)
        clock.now += 1.1
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "INTROSPECTION_CLIENT_ID and its secret are not accepted" in record.message
    assert SECRET not in caplog.text
    clock.now += 60
    trouble(asked)
    assert len(caplog.records) == 2


def test_nothing_says_the_token_or_the_secret(
    endpoint: Make, upstream: ScriptedUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    asked = endpoint(upstream.url, auth="post")
    said = []
    for response in (reply("500 No"), reply("401 No"), b"garbage\r\n\r\n"):
        upstream.respond(response)
        said.append(trouble(asked, "the-token"))
    whole = " ".join([*said, caplog.text, repr(asked), repr(asked._caller.server)])
    assert "the-token" not in whole
    assert SECRET not in whole


@pytest.mark.parametrize(
    "script",
    [
        [Hang()],
        [Send(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"), Hang()],
        [Send(b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b" " * 70000)],
        [Send(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"), Close()],
        [Send(b"nonsense\r\n\r\n")],
    ],
)
def test_no_whole_answer(endpoint: Make, upstream: ScriptedUpstream, script: Any) -> None:
    upstream.script(script)
    assert trouble(endpoint(upstream.url, seconds=0.3))


def test_nobody_there(endpoint: Make) -> None:
    asked = endpoint(f"http://127.0.0.1:{free_port()}/introspect")
    assert "connection_refused" in trouble(asked)
