"""Calls to registries: what they send, and what ends them."""

from __future__ import annotations

import base64
import threading
import time

import pytest

from gateway.testing import Close, Hang, ScriptedUpstream, Send, Step, Wait
from gateway.upstreams.discovery import DiscoveryError
from gateway.upstreams.discovery.registry_client import RegistryClient, Server
from tests.support.messages import response


def client(upstream: ScriptedUpstream, path: str = "") -> RegistryClient:
    return RegistryClient(Server.parse(upstream.url + path))


@pytest.mark.parametrize(
    ("url", "origin", "credentials"),
    [
        ("http://h:8761/eureka", "http://h:8761", ""),
        ("https://ada:s3cret@h/eureka/", "https://h", "ada:s3cret"),
        ("http://ada:p%40ss%3A@h", "http://h", "ada:p@ss:"),
        ("http://ada@h", "http://h", "ada"),
        ("http://a:b@c@h", "http://h", "a:b@c"),
    ],
)
def test_servers(url: str, origin: str, credentials: str) -> None:
    server = Server.parse(url)
    assert server.origin.url == origin
    encoded = base64.b64encode(credentials.encode()).decode()
    assert server.authorization == (f"Basic {encoded}" if credentials else "")
    assert encoded not in repr(server) or not credentials


@pytest.mark.parametrize("url", ["", "h:8761", "ftp://h", "http://u:hunter2@", "http://h/?q"])
def test_faulty_servers(url: str) -> None:
    with pytest.raises(ValueError, match="must be http") as caught:
        Server.parse(url)
    assert "hunter2" not in str(caught.value)


def test_a_slash_in_a_password_is_told_of_without_it() -> None:
    with pytest.raises(ValueError, match="%2F") as caught:
        Server.parse("http://ada:12/hunter2@h")
    assert "hunter2" not in str(caught.value)


def test_what_is_sent(upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"200 OK", b"X-One: 1", body=b'{"a": 1}'))
    server = Server.parse(f"http://ada:pw@127.0.0.1:{upstream.port}/base")
    answer = RegistryClient(server, [("X-Own", "1")]).call(
        "POST", "/x/y%2Fz?q=a%20b", seconds=5, body=b"{}"
    )
    assert answer.json() == {"a": 1}
    assert answer.headers["x-one"] == "1"
    (sent,) = upstream.requests
    assert sent.target == b"/base/x/y%2Fz?q=a%20b"
    assert sent.body == b"{}"
    assert sent.header(b"Authorization") == [b"Basic YWRhOnB3"]
    assert sent.header(b"X-Own") == [b"1"]
    assert sent.header(b"Content-Type") == [b"application/json"]
    assert sent.header(b"Accept") == [b"application/json"]


def test_no_connection_is_kept(upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"200 OK", body=b"[]"))
    registry = client(upstream)
    for _ in range(2):
        registry.call("GET", "/", seconds=5)
    assert upstream.connections == 2
    assert upstream.requests[0].header(b"Connection") == [b"close"]


@pytest.mark.parametrize("status", [b"204 No Content", b"302 Found", b"404 Not Found", b"500 Oh"])
def test_another_status_is_no_document(upstream: ScriptedUpstream, status: bytes) -> None:
    upstream.respond(response(status, b"Location: http://127.0.0.1:1/", body=b"[]"))
    answer = client(upstream).call("GET", "/", seconds=5)
    with pytest.raises(DiscoveryError, match=f"answers {answer.status}"):
        answer.json()


@pytest.mark.parametrize(
    "script",
    [
        [Close()],
        [Hang()],
        [Send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[]"), Close()],
        [Send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[]"), Hang()],
        [Send(b"nonsense\r\n\r\n")],
    ],
)
def test_broken_answers(upstream: ScriptedUpstream, script: list[Step]) -> None:
    upstream.script(script)
    with pytest.raises(DiscoveryError, match=f"127.0.0.1:{upstream.port}"):
        client(upstream).call("GET", "/", seconds=1)


def test_an_answer_that_drips_is_given_up(upstream: ScriptedUpstream) -> None:
    drops: list[Step] = [step for _ in range(60) for step in (Send(b" "), Wait(0.1))]
    upstream.script([Send(b"HTTP/1.1 200 OK\r\n\r\n"), *drops, Close()])
    begun = time.monotonic()
    with pytest.raises(DiscoveryError, match="takes too long"):
        client(upstream).call("GET", "/", seconds=1)
    assert time.monotonic() - begun < 4


def test_a_call_is_broken_off(upstream: ScriptedUpstream) -> None:
    upstream.script([Hang()])
    over = threading.Event()
    threading.Timer(0.2, over.set).start()
    begun = time.monotonic()
    with pytest.raises(DiscoveryError, match="not waited for"):
        client(upstream).call("GET", "/", seconds=30, over=over)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("host", ["..", ".invalid", "a" * 70 + ".invalid"])
def test_hosts_that_cannot_be_asked(host: str) -> None:
    with pytest.raises(DiscoveryError):
        RegistryClient(Server.parse(f"http://{host}:8500")).call("GET", "/", seconds=2)
