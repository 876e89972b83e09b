"""Other `requests` adapters on a service's Session: the gateway's is one of many."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter

from gateway import Service, UpstreamRequest, public
from gateway.exchange import Handler, UpstreamResponse
from gateway.testing import Close, ScriptedUpstream, Send
from gateway.testing_stub import StubTransport
from gateway.transport.session import make_session
from tests.support.gunicorn import free_port
from tests.support.messages import response
from tests.support.wsgi import Answer, answer_ok, call, make_app, stubbed


class Recording(BaseAdapter):
    """Delegates to another adapter, as adapters that sign or trace do."""

    def __init__(self, inner: BaseAdapter) -> None:
        super().__init__()
        self.inner = inner
        self.options: dict[str, Any] = {}

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        """Note the options, and add a field."""
        self.options = options
        request.headers["X-Signed"] = "yes"
        return self.inner.send(request, **options)

    def close(self) -> None:
        """Close what is inside."""
        self.inner.close()


def _app(url: str, session: requests.Session, **options: Any) -> Any:
    service = Service("a", __name__, url_prefix="/a", upstream=url, session=session, **options)
    return make_app(public(service))


def _through(
    upstream: ScriptedUpstream, adapter: BaseAdapter, *args: Any, **options: Any
) -> Answer:
    with requests.Session() as session:
        session.mount("http://", adapter)
        return call(_app(upstream.url, session), "/a/x", *args, **options)


def test_requests_own_adapter_forwards(upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"201 Made", b"Set-Cookie: a", b"Set-Cookie: b", body=b"body"))
    answer = _through(upstream, HTTPAdapter(), "GET", [("X-A", "1"), ("Cookie", "c=1")])
    assert (answer.status, answer.body) == (201, b"body")
    assert answer.header("Set-Cookie") == ["a", "b"]
    (received,) = upstream.requests
    assert received.header(b"X-A") == [b"1"]
    assert received.header(b"X-Forwarded-For") == [b"192.0.2.1"]
    assert received.header(b"Host") == [f"127.0.0.1:{upstream.port}".encode()]


@pytest.mark.parametrize("chunked", [False, True])
def test_requests_own_adapter_sends_the_body(upstream: ScriptedUpstream, chunked: bool) -> None:
    data = bytes(range(256)) * 1000
    coding = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""} if chunked else {}
    assert _through(upstream, HTTPAdapter(), "POST", body=data, **coding).body == b"ok"
    (received,) = upstream.requests
    assert received.body == data
    assert bool(received.header(b"Transfer-Encoding")) is chunked
    assert bool(received.header(b"Content-Length")) is not chunked


def test_broken_body_is_refused_through_any_adapter(upstream: ScriptedUpstream) -> None:
    answer = _through(upstream, HTTPAdapter(), "POST", CONTENT_LENGTH="5")
    assert (answer.status, answer.code) == (400, "bad_body")
    assert upstream.wait_closed(0)  # or it would be accepted during the next test


def test_preserved_host_passes(upstream: ScriptedUpstream) -> None:
    with requests.Session() as session:
        call(_app(upstream.url, session, preserve_host=True), "/a/x")
    assert upstream.requests[0].header(b"Host") == [b"gateway.example"]


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"])
def test_folded_field_breaks_nothing(upstream: ScriptedUpstream, data: bytes) -> None:
    upstream.respond(data)
    assert _through(upstream, HTTPAdapter()).status in (200, 502)


def test_body_that_is_cut_short_is_aborted(upstream: ScriptedUpstream) -> None:
    upstream.script([Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), Close()])
    with pytest.raises(ConnectionResetError):
        _through(upstream, HTTPAdapter())


def test_errors_of_requests_have_a_status() -> None:
    with requests.Session() as session:
        answer = call(_app(f"http://127.0.0.1:{free_port()}", session), "/a/x")
    assert (answer.status, answer.code) == (502, "connection_refused")


def test_adapter_may_delegate(upstream: ScriptedUpstream) -> None:
    assert _through(upstream, Recording(HTTPAdapter())).status == 200
    assert upstream.requests[0].header(b"X-Signed") == [b"yes"]


def test_options_of_the_session_reach_its_adapter() -> None:
    adapter = Recording(StubTransport(answer_ok))
    with requests.Session() as session:
        session.mount("http://", adapter)
        session.verify, session.cert = "own.pem", "client.pem"
        assert call(_app("http://b", session), "/a/x").status == 200
    assert (adapter.options["verify"], adapter.options["cert"]) == ("own.pem", "client.pem")
    assert adapter.options["timeout"] == (1, 10)


@pytest.mark.parametrize(
    ("error", "status"),
    [(OSError("no such file"), 502), (TimeoutError(), 504), (requests.Timeout(), 504)],
)
def test_errors_of_an_adapter_have_a_status(error: Exception, status: int) -> None:
    def failing(*_asked: object) -> Any:
        raise error

    service, _ = stubbed(backend=failing)
    assert call(make_app(public(service)), "/things/x").status == status


def test_adapter_around_the_gateways_own(upstream: ScriptedUpstream) -> None:
    with make_session(1) as session:
        session.mount("http://", Recording(session.get_adapter("http://")))
        app = _app(upstream.url, session)
        assert call(app, "/a/x", "POST", body=b"abc").body == b"ok"
        assert call(app, "/a/x").body == b"ok"
    assert upstream.requests[0].body == b"abc"
    assert upstream.connections == 1


class Breaking(io.BytesIO):
    """A raw body that fails with an error of its own."""

    def read(self, *_size: Any) -> bytes:
        raise OSError("the tape is torn")


def test_odd_failure_inside_the_body_is_aborted() -> None:
    def torn(_method: str, *_rest: object) -> Any:
        return 200, {}, b""

    service, stub = stubbed(backend=torn)
    original = stub.send

    def send(*args: Any, **options: Any) -> requests.Response:
        answer = original(*args, **options)
        answer.raw._fp = Breaking()
        return answer

    stub.send = send  # type: ignore[method-assign]
    with pytest.raises(ConnectionResetError):
        call(make_app(public(service)), "/things/x")


def _dropping(_following: Handler) -> Handler:
    """A policy that asks, and then answers by itself without closing what it got."""

    def drop(request: UpstreamRequest) -> UpstreamResponse:
        dropped = _following(request)
        return UpstreamResponse(299, "", [], _Closed(dropped))

    return drop


class _Closed:
    def __init__(self, _dropped: UpstreamResponse) -> None:
        pass

    def __iter__(self) -> Any:
        return iter([b"own"])

    def close(self) -> None:
        pass


@pytest.mark.parametrize("policy", [_dropping])
def test_policy_that_drops_a_response_keeps_no_connection(
    upstream: ScriptedUpstream, policy: Callable[[Handler], Handler]
) -> None:
    upstream.respond(response(b"200 OK", body=bytes(500_000)))
    with make_session(1) as session:
        app = _app(upstream.url, session, policies=[policy])
        answers = [call(app, "/a/x", REMOTE_ADDR="192.0.2.1") for _ in range(3)]
    assert [(answer.status, answer.body) for answer in answers] == [(299, b"own")] * 3
