"""A probe on the wire: what an instance is asked, over which connection, and for how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from gateway import HealthCheck
from gateway.errors import ClientGone, UpstreamError
from gateway.exchange import UpstreamRequest
from gateway.state import MemoryState
from gateway.testing import Close, Hang, Reset, ScriptedUpstream, Send, Wait
from gateway.testing_stub import StubTransport
from gateway.transport.handler import connections_of
from gateway.transport.probe import make_ask
from gateway.transport.session import make_session
from gateway.upstreams import Node, UpstreamPool, parse_targets
from gateway.upstreams.probing import Ask
from tests.support.gunicorn import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def first(nodes: Sequence[Node], request: UpstreamRequest) -> Node:
    return nodes[0]


def make_pool(url: str, size: int = 1) -> UpstreamPool:
    """The pool of a service."""
    return UpstreamPool(
        "things",
        parse_targets(url),
        state=MemoryState(),
        chooser=first,
        connections=connections_of(make_session(size)),
    )


def asker(pool: UpstreamPool, check: HealthCheck | None = None) -> Ask:
    return make_ask(pool, check or HealthCheck(), ca_file="", session=None)


def status(url: str, check: HealthCheck | None = None) -> int:
    """What one probe came to."""
    pool = make_pool(url)
    return asker(pool, check)(pool.nodes[0].target, threading.Event())


def test_what_is_asked(upstream: ScriptedUpstream) -> None:
    assert status(upstream.url) == 200
    (request,) = upstream.requests
    assert request.head.split(b"\r\n") == [
        b"GET /health HTTP/1.1",
        b"Host: 127.0.0.1:%d" % upstream.port,
        b"User-Agent: gatehouse-health",
        b"Accept: */*",
        b"Connection: close",
        b"",
        b"",
    ]


def test_what_else_may_be_asked(upstream: ScriptedUpstream) -> None:
    check = HealthCheck(
        path="/status?deep=1",
        host="things.example",
        headers={"user-agent": "probe/1", "X-Token": "a b"},
    )
    assert status(f"{upstream.url}/v1/", check) == 200
    (request,) = upstream.requests
    assert request.target == b"/status?deep=1"
    assert request.header(b"Host") == [b"things.example"]
    assert request.header(b"User-Agent") == [b"probe/1"]
    assert request.header(b"X-Token") == [b"a b"]


def test_every_probe_has_a_connection_of_its_own(upstream: ScriptedUpstream) -> None:
    pool = make_pool(upstream.url)
    ask = asker(pool)
    for _ in range(3):
        assert ask(pool.nodes[0].target, threading.Event()) == 200
    assert upstream.connections == 3
    assert upstream.wait_until(lambda: len(upstream.closed) == 3)


def test_it_takes_no_place_of_a_request(upstream: ScriptedUpstream) -> None:
    pool = make_pool(upstream.url, size=1)
    seen = threading.Event()
    upstream.script([Wait(0.2), Send(OK)])
    ask = asker(pool)

    def probe() -> None:
        assert ask(pool.nodes[0].target, threading.Event()) == 200
        seen.set()

    threading.Thread(target=probe).start()
    assert upstream.wait_until(lambda: len(upstream.requests) == 1)
    assert pool.nodes[0].in_flight() == 0
    assert seen.wait(5)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", 301),
        (b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 503),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", 200),
    ],
)
def test_the_head_decides(upstream: ScriptedUpstream, answer: bytes, expected: int) -> None:
    upstream.script([Send(answer), Close()])
    assert status(upstream.url) == expected


def test_a_large_body_is_not_read_to_its_end(upstream: ScriptedUpstream) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"
    upstream.script([Send(head), Send(bytes(100_000), times=1000)])
    assert status(upstream.url) == 200
    assert upstream.wait_closed()


def test_a_body_that_never_ends_holds_it_up_for_no_longer_than_the_timeout(
    upstream: ScriptedUpstream,
) -> None:
    upstream.script([Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), Hang()])
    began = time.monotonic()
    assert status(upstream.url, HealthCheck(timeout=0.3)) == 200
    assert time.monotonic() - began < 3


def reason(url: str, check: HealthCheck | None = None) -> str:
    with pytest.raises(UpstreamError) as caught:
        status(url, check)
    assert caught.value.party == "upstream"
    return caught.value.reason


def test_the_reasons_of_failures(upstream: ScriptedUpstream) -> None:
    check = HealthCheck(timeout=0.3)
    upstream.script([Hang()])
    assert reason(upstream.url, check) == "http_response_timeout"
    upstream.script([Reset()])
    assert reason(upstream.url) == "connection_terminated"
    upstream.script([Send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")])
    assert reason(upstream.url) == "http_protocol_error"
    assert reason(f"http://127.0.0.1:{free_port()}") == "connection_refused"


def test_bytes_that_trickle_do_not_stretch_the_timeout(upstream: ScriptedUpstream) -> None:
    upstream.script([Send(b"HTTP/1.1 200 OK\r\n"), *[Send(b"X: y\r\n"), Wait(0.1)] * 100])
    began = time.monotonic()
    assert reason(upstream.url, HealthCheck(timeout=0.5)) == "http_response_timeout"
    assert time.monotonic() - began < 4


def test_it_ends_soon_when_the_office_is_lost(upstream: ScriptedUpstream) -> None:
    upstream.script([Hang()])
    pool = make_pool(upstream.url)
    over = threading.Event()
    threading.Timer(0.2, over.set).start()
    began = time.monotonic()
    with pytest.raises(ClientGone):
        asker(pool, HealthCheck(interval=30, timeout=30))(pool.nodes[0].target, over)
    assert time.monotonic() - began < 5


def test_a_session_of_the_services_own_carries_the_probes() -> None:
    stub = StubTransport(lambda *asked: (299, {}, b""))
    pool = make_pool("http://reached.only.so/base")
    ask = make_ask(pool, HealthCheck(), ca_file="", session=stub.session())
    assert ask(pool.nodes[0].target, threading.Event()) == 299
    assert [request.url for request in stub.requests] == ["http://reached.only.so/health"]
