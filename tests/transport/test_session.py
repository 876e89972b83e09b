"""The Session: it carries nothing from one client to the next, and adds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from requests.adapters import HTTPAdapter

from gateway.testing import ScriptedUpstream
from gateway.transport.adapter import PooledAdapter
from gateway.transport.session import make_session
from tests.support.messages import response


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A Session that is closed in the end."""
    with make_session(2) as made:
        yield made


def test_no_cookie_is_kept(session: requests.Session, upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"200 OK", b"Set-Cookie: a=1; Path=/", body=b"ok"))
    answer = session.get(upstream.url)
    assert answer.headers["Set-Cookie"] == "a=1; Path=/"
    assert not answer.cookies
    session.get(upstream.url)
    assert not session.cookies
    assert not upstream.requests[1].header(b"Cookie")


def test_no_cookie_is_kept_by_other_adapters_either(
    session: requests.Session, upstream: ScriptedUpstream
) -> None:
    upstream.respond(response(b"200 OK", b"Set-Cookie: a=1; Path=/", body=b"ok"))
    session.mount("http://", HTTPAdapter())
    session.get(upstream.url)
    session.get(upstream.url)
    assert not session.cookies
    assert not upstream.requests[1].header(b"Cookie")


def test_environment_is_ignored(
    session: requests.Session,
    upstream: ScriptedUpstream,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    assert session.get(upstream.url).status_code == 200
    assert not upstream.requests[0].header(b"Authorization")


def test_no_header_is_added(session: requests.Session, upstream: ScriptedUpstream) -> None:
    session.get(f"{upstream.url}/x?y", headers={"X-Own": "1"})
    (received,) = upstream.requests
    assert received.head == (
        b"GET /x?y HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-Own: 1\r\n\r\n" % upstream.port
    )


@pytest.mark.parametrize(("data", "sent"), [(b"bytes", b"bytes"), ("tëxt", "tëxt".encode())])
def test_body_of_a_call_is_sent(
    session: requests.Session, upstream: ScriptedUpstream, data: bytes | str, sent: bytes
) -> None:
    assert session.post(upstream.url, data=data).text == "ok"
    (received,) = upstream.requests
    assert received.body == sent
    assert received.header(b"Content-Length") == [str(len(sent)).encode()]


def test_stream_of_a_call_is_refused(session: requests.Session, upstream: ScriptedUpstream) -> None:
    with pytest.raises(TypeError, match="bytes or str"):
        session.post(upstream.url, data=iter([b"a"]))
    assert not upstream.requests


def test_connection_is_reused_between_calls(
    session: requests.Session, upstream: ScriptedUpstream
) -> None:
    for _ in range(3):
        assert session.get(upstream.url).content == b"ok"
    assert upstream.connections == 1


def test_nothing_is_decoded(session: requests.Session, upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"200 OK", b"Content-Encoding: gzip", body=b"not gzip at all"))
    assert session.get(upstream.url).content == b"not gzip at all"


def test_both_schemes_go_through_the_adapter(session: requests.Session) -> None:
    for url in ("http://a", "https://a", "HTTP://A"):
        assert isinstance(session.get_adapter(url), PooledAdapter)


def test_defaults_of_requests_are_gone(session: requests.Session) -> None:
    assert not session.headers
    assert not session.trust_env
