"""Versions through a real gateway: how they are named, what is told, and what they do not share."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from gateway.testing import Received, Script, ScriptedUpstream, Send
from tests.support.client import Reply, exchange
from tests.support.gunicorn import Gateway, free_port, start_gateway

MIGRATION = b"<https://docs.example/migration>"


@pytest.fixture(scope="module")
def one() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        upstream.answer(lambda received: answered(received, b"one"))
        yield upstream


@pytest.fixture(scope="module")
def two() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        upstream.answer(lambda received: answered(received, b"two"))
        yield upstream


@pytest.fixture(scope="module")
def gateway(one: ScriptedUpstream, two: ScriptedUpstream) -> Iterator[Gateway]:
    env = {
        "USERS_URL": one.url,
        "USERS_V2_URL": two.url,
        "USERS_V3_URL": f"http://127.0.0.1:{free_port()}",
    }
    with start_gateway("tests.versions.app:app", env=env) as running:
        yield running


def answered(received: Received, name: bytes) -> Script:
    """Who was asked, for what; kept for a minute below /kept."""
    body = json.dumps({"from": name.decode(), "target": received.target.decode(), "clientId": 7})
    fields = [b"Content-Type: application/json", b'Link: </next>; rel="next"']
    if b"/kept" in received.target:
        fields.append(b"Cache-Control: max-age=60")
    if received.method == b"POST":
        body = received.body.decode()
        fields.append(b"Location: /v2/users/8")
    fields.append(b"Content-Length: %d" % len(body))
    return [Send(b"HTTP/1.1 200 OK\r\n" + b"\r\n".join(fields) + b"\r\n\r\n" + body.encode())]


def ask(gateway: Gateway, target: bytes, *fields: bytes, method: bytes = b"GET") -> Reply:
    """The gateway's answer."""
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: api.example", *fields]
    return exchange(gateway.address, b"\r\n".join([*lines, b"", b""]))


def told(reply: Reply) -> tuple[int, str, str]:
    """Status, who answered, and what that was asked for."""
    found = json.loads(reply.body)
    return reply.status, found["from"], found["target"]


@pytest.mark.parametrize(
    ("target", "field", "backend", "seen"),
    [
        (b"/api/users/7", b"X-Other: 2", "one", "/api/users/7"),
        (b"/api/v1/users/7", b"API-Version: 2", "one", "/api/v1/users/7"),
        (b"/api/v2/users/7", b"API-Version: 1", "two", "/v2/users/7"),
        # The same path, and as the client wrote it: nothing of it has to be replaced.
        (b"/api/%762/users/a%2Cb", b"API-Version: 1", "two", "/%762/users/a%2Cb"),
        (b"/api/users/7", b"API-Version: v2", "two", "/v2/users/7"),
        (b"/api/users/7", b"Accept-Version: 2", "two", "/v2/users/7"),
        (b"/api/users", b"Accept: application/vnd.acme.v2+json", "two", "/v2/users"),
        (b"/api/users/7", b"Accept: application/json;version=2", "two", "/v2/users/7"),
        (b"/api/users/7?version=V2&a=%20", b"X: y", "two", "/v2/users/7?version=V2&a=%20"),
    ],
)
def test_a_request_gets_the_version_that_it_names(
    gateway: Gateway, target: bytes, field: bytes, backend: str, seen: str
) -> None:
    reply = ask(gateway, target, field)
    assert told(reply) == (200, backend, seen)
    assert reply.header(b"API-Version") == [b"v1" if backend == "one" else b"v2"]
    by_path = target.startswith((b"/api/v", b"/api/%76"))
    assert reply.header(b"Vary") == ([] if by_path else [b"API-Version, Accept-Version, Accept"])


def test_clients_are_told_that_a_version_ends(gateway: Gateway) -> None:
    for target in (b"/api/users/7", b"/api/v1/users/7"):
        reply = ask(gateway, target)
        assert reply.header(b"Deprecation") == [b"@1688169599"]
        assert reply.header(b"Sunset") == [b"Sat, 30 Jun 2035 00:00:00 GMT"]
        assert reply.header(b"Link") == [
            b'</next>; rel="next"',
            MIGRATION + b'; rel="deprecation"',
            MIGRATION + b'; rel="sunset"',
        ]
    reply = ask(gateway, b"/api/v2/users/7")
    assert (reply.header(b"Deprecation"), reply.header(b"Sunset")) == ([], [])
    assert reply.header(b"Link") == [b'</next>; rel="next"']


@pytest.mark.parametrize(
    ("target", "field"),
    [
        (b"/api/v9/users/7", b"X: y"),
        (b"/api/users/7", b"API-Version: 9"),
        (b"/api/users/7", b"Accept: application/vnd.acme.v9+json"),
        (b"/api/users/7?version=9", b"X: y"),
    ],
)
def test_a_version_that_there_is_not(gateway: Gateway, target: bytes, field: bytes) -> None:
    reply = ask(gateway, target, field)
    assert (reply.status, reply.header(b"Content-Type")) == (404, [b"application/problem+json"])
    found = json.loads(reply.body)
    assert (found["code"], found["supported"]) == ("unknown_version", ["v1", "v2", "v3"])


def test_bodies_are_each_versions_own(gateway: Gateway, two: ScriptedUpstream) -> None:
    for target, sent, answered in (
        (b"/api/v1/users", b'{"client_id":7}', {"client_id": 7}),
        (b"/api/v2/users", b'{"clientId":7}', {"clientId": 7}),
    ):
        head = [b"POST " + target + b" HTTP/1.1", b"Host: api.example"]
        head += [b"Content-Type: application/json", b"Content-Length: %d" % len(sent)]
        reply = exchange(gateway.address, b"\r\n".join([*head, b"", sent]))
        assert json.loads(reply.body) == answered
    assert reply.header(b"Location") == [b"/api/v2/users/8"]
    assert two.requests[-1].body == b'{"clientId":7}'


def test_limits_and_guards_of_views_are_those_of_all_versions(gateway: Gateway) -> None:
    statuses = [
        ask(gateway, target).status
        for target in (b"/api/users/limited", b"/api/v2/users/limited", b"/api/v1/users/limited")
    ]
    assert statuses == [200, 200, 429]
    for prefix in (b"/api/users", b"/api/v1/users", b"/api/v2/users"):
        assert ask(gateway, prefix + b"/7/keys", method=b"DELETE").status == 401
        assert ask(gateway, prefix + b"/7/keys").status == 405


def test_kept_answers_are_each_versions_own(gateway: Gateway) -> None:
    first = {name: ask(gateway, b"/api/users/kept", b"API-Version: " + name) for name in VERSIONS}
    again = {name: ask(gateway, b"/api/users/kept", b"API-Version: " + name) for name in VERSIONS}
    for name, reply in again.items():
        assert (first[name].header(b"X-Cache"), reply.header(b"X-Cache")) == ([b"MISS"], [b"HIT"])
        assert (reply.body, reply.header(b"API-Version")) == (first[name].body, [name])
        assert reply.header(b"Deprecation") == ([b"@1688169599"] if name == b"v1" else [])
    assert first[b"v1"].body != first[b"v2"].body


VERSIONS = (b"v1", b"v2")


def test_a_version_that_is_down_is_down_alone(gateway: Gateway) -> None:
    codes = []
    for _ in range(3):
        reply = ask(gateway, b"/api/v3/users/7", b"X-Request-ID: down-and-told")
        codes.append(json.loads(reply.body)["code"])
        assert reply.header(b"API-Version") == [b"v3"]
    assert codes == ["connection_refused", "connection_refused", "circuit_open"]
    for target in (b"/api/users/7", b"/api/v1/users/7", b"/api/v2/users/7"):
        assert ask(gateway, target).status == 200


def test_the_access_log_tells_service_and_version(gateway: Gateway) -> None:
    ask(gateway, b"/api/users/7", b"API-Version: 2", b"X-Request-ID: a-versioned-one")
    line = gateway.line_of("a-versioned-one")
    assert (line["service"], line["version"], line["status"]) == ("users", "v2", 200)
