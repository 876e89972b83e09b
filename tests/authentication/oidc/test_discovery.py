"""Asking an issuer for its keys over real sockets: what is believed, and how long it may take."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from gateway.authentication.oidc.discovery import LARGEST, FetchFailed, KeySource
from gateway.authentication.oidc.issuer import parse_issuer
from gateway.testing import Hang, ScriptedUpstream, Send, Wait
from tests.authentication.oidc.support import IssuerServer, jwk
from tests.support.messages import response


def source(url: str, *options: str, **more: Any) -> KeySource:
    """The source of an issuer's keys."""
    return KeySource(parse_issuer(";".join([url, "audience=api", *options])), **more)


def failure(url: str, *options: str) -> str:
    """Why the keys cannot be had."""
    with pytest.raises(FetchFailed) as caught:
        source(url, *options)()
    return str(caught.value)


def test_discovery_tells_where_the_keys_are(issuer: IssuerServer) -> None:
    keys, others = source(issuer.url)()
    assert ([key["kid"] for key in keys], others) == (["RS256-0"], 0)
    assert [(call.path, call.query) for call in issuer.calls] == [
        ((".well-known", "openid-configuration"), {}),
        (("keys",), {"of": "all"}),
    ]
    assert "application/jwk-set+json" in issuer.calls[0].headers["accept"]


def test_a_place_that_was_told_needs_no_discovery(issuer: IssuerServer) -> None:
    keys, _ = source("https://id.example", f"jwks_uri={issuer.url}/keys?a=b")()
    assert len(keys) == 1
    assert [(call.path, call.query) for call in issuer.calls] == [(("keys",), {"a": "b"})]


class Realms(IssuerServer):
    """An issuer with a path."""

    def answer(self, call: Any) -> Any:
        if call.path[0] == "realms":
            call = type(call)(
                **{**{n: getattr(call, n) for n in call.__slots__}, "path": call.path[2:]}
            )
        return super().answer(call)


@pytest.mark.parametrize("end", ["", "/"])
def test_an_issuer_with_a_path_has_its_document_below_it(end: str) -> None:
    with Realms(jwk()) as server:
        url = f"{server.url}/realms/shop{end}"
        server.told = {"issuer": url}
        assert len(source(url)()[0]) == 1
        assert server.calls[0].path == ("realms", "shop", ".well-known", "openid-configuration")


def test_the_document_of_another_issuer_is_not_believed(issuer: IssuerServer) -> None:
    for other in ("https://evil.test", f"{issuer.url}/", None, 7, "x" * 9000):
        issuer.told = {"issuer": other}
        told = failure(issuer.url)
        assert told.startswith("the discovery document is of ")
        assert len(told) < 300
    assert issuer.fetches == 0


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        (None, "has no jwks_uri"),
        (7, "has no jwks_uri"),
        ("keys", "must be http(s)://"),
        ("file:///etc/passwd", "must be http(s)://"),
        ("http://203.0.113.1/keys", "must be https"),
        ("http://a:b@127.0.0.1/keys", "must be http(s)://"),
        ("http://127.0.0.1:1/a b", "has a path that is none"),
    ],
)
def test_where_keys_are_not_fetched_from(issuer: IssuerServer, uri: object, said: str) -> None:
    issuer.told = {"jwks_uri": uri}
    assert said in failure(issuer.url)
    assert issuer.fetches == 0


def test_an_issuer_with_tls_has_its_keys_behind_tls(
    monkeypatch: pytest.MonkeyPatch, issuer: IssuerServer
) -> None:
    document = {"issuer": "https://id.example", "jwks_uri": f"{issuer.url}/keys"}
    asked = source("https://id.example")
    monkeypatch.setattr(asked, "_get", lambda *_: orjson.dumps(document))
    with pytest.raises(FetchFailed, match="without TLS"):
        asked()
    assert issuer.calls == []


def test_a_certificate_of_nobody_is_refused(upstream: ScriptedUpstream) -> None:
    assert f"127.0.0.1:{upstream.port}" in failure(f"https://127.0.0.1:{upstream.port}")


@pytest.mark.parametrize("status", [b"204 No Content", b"302 Found", b"404 Not Found", b"500 No"])
def test_any_answer_but_200_is_none(upstream: ScriptedUpstream, status: bytes) -> None:
    body = orjson.dumps({"issuer": upstream.url, "jwks_uri": f"{upstream.url}/keys"})
    upstream.respond(
        response(status, b"Location: /elsewhere", body=body if status[0] > 50 else b"")
    )
    assert failure(upstream.url) == f"127.0.0.1:{upstream.port} answers {status[:3].decode()}"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    "raw",
    [b"", b"<html>", b"[]", b"\xff", b'{"issuer":1,"issuer":2}', b"[" * 100_000, b'"' * 9, b"null"],
)
def test_what_is_no_document(issuer: IssuerServer, raw: bytes) -> None:
    issuer.raw = raw
    assert failure(issuer.url) == "the discovery document is no JSON object"
    told = failure("https://id.example", f"jwks_uri={issuer.url}/keys")
    assert told.startswith("the key document ")
    assert len(told) < 100


def test_a_document_that_is_too_large(issuer: IssuerServer) -> None:
    issuer.told = {"more": "x" * LARGEST}
    assert "answers with more than" in failure(issuer.url)


def test_no_usable_key_is_a_failure(issuer: IssuerServer) -> None:
    issuer.keys = [jwk(use="enc"), {"kty": "oct", "k": "c2VjcmV0"}, 7]
    assert failure(issuer.url) == "none of the 3 keys can be used"
    issuer.keys = []
    assert failure(issuer.url) == "none of the 0 keys can be used"


def test_nobody_there(issuer: IssuerServer) -> None:
    issuer.outage = True
    assert failure(issuer.url).startswith(issuer.authority)
    assert "127.0.0.1:1" in failure("http://127.0.0.1:1")


def test_both_documents_together_take_a_second_and_a_half_at_most(
    upstream: ScriptedUpstream,
) -> None:
    """Silent, or a byte at a time; and the second has what the first left."""
    document = orjson.dumps({"issuer": upstream.url, "jwks_uri": f"{upstream.url}/keys"})
    first = [Wait(1.0), Send(response(b"200 OK", body=document))]
    begun = Send(b"HTTP/1.1 200 OK\r\nX: ")
    drip = [begun, *(step for _ in range(100) for step in (Send(b"x"), Wait(0.1)))]
    for scripts in ([[Hang()]], [first, [Hang()]], [drip]):
        upstream.reset()
        upstream.script(*scripts)
        began = time.monotonic()
        failure(upstream.url)
        assert 1.0 < time.monotonic() - began < 4.0


def test_no_time_left_for_the_second() -> None:
    now = [0.0, 0.1, 1.6]
    with IssuerServer(jwk()) as server:
        with pytest.raises(FetchFailed, match="no time left"):
            source(server.url, monotonic=lambda: now.pop(0) if len(now) > 1 else now[0])()
        assert server.fetches == 0
