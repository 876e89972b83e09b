"""The adapter over real sockets: what goes out, what comes back, and what becomes of the slot."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time

import pytest

from gateway.bodies import RequestBody
from gateway.errors import (
    BodyFailed,
    ClientBodyError,
    ClientGone,
    ConnectFailed,
    ConnectTimeout,
    HeadFailed,
    HeadTimeout,
    ProtocolViolation,
    Refusal,
    UpstreamError,
)
from gateway.testing import Close, Hang, Reset, ScriptedUpstream, Send
from gateway.transport.adapter import PooledAdapter
from tests.support.backlog import full_backlog
from tests.support.gunicorn import free_port
from tests.support.messages import response
from tests.transport.conftest import Sender

OK = response(b"200 OK", body=b"ok")


def _chunked(data: bytes) -> RequestBody:
    return RequestBody(io.BytesIO(data), None)


def test_request_goes_out_as_it_stands(send: Sender, upstream: ScriptedUpstream) -> None:
    fields = [("X-A", "1"), ("x-b", " é"), ("X-A", "2")]
    send(upstream.url, "PATCH", target="/a%2Fb/./?", headers=fields)
    (received,) = upstream.requests
    assert received.target == b"/a%2Fb/./?"
    assert received.head.endswith(b"X-A: 1\r\nx-b:  \xe9\r\nX-A: 2\r\n\r\n")


@pytest.mark.parametrize(
    "field", [("X", "a\r\nY: b"), ("X", "a\n"), ("X\r\nY", "a"), ("X", "a\rb")]
)
def test_line_breaks_never_go_out(
    send: Sender, upstream: ScriptedUpstream, field: tuple[str, str]
) -> None:
    with pytest.raises(Refusal):
        send(upstream.url, headers=[field])
    with pytest.raises(Refusal):
        send(upstream.url, target="/a\r\nX: y")
    assert not upstream.requests
    assert send(upstream.url) == b"ok"


def test_response_is_read(send: Sender, upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"201 Made", b"Set-Cookie: a", b"set-cookie: b", body=b"body"))
    answer = send.open(upstream.url)
    assert (answer.status_code, answer.reason, answer.version) == (201, "Made", "1.1")
    assert [name for name, _ in answer.raw.headers.items()][-2:] == ["Set-Cookie", "set-cookie"]
    assert answer.headers["SET-COOKIE"] == "a, b"
    assert answer.content == b"body"


FAILING: list[tuple[bytes, type[UpstreamError]]] = [
    (b"", HeadFailed),
    (b"HTTP/1.1 200 OK\r\nContent-Le", HeadFailed),
    (b"SSH-2.0-x\r\n", ProtocolViolation),
    (b"HTTP/1.1 200 OK\nX: y\n\n", ProtocolViolation),
    (b"HTTP/1.1 101 X\r\n\r\n", ProtocolViolation),
    (b"HTTP/1.1 103 X\r\n\r\n" * 17, ProtocolViolation),
    (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, ProtocolViolation),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", ProtocolViolation),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ProtocolViolation),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", ProtocolViolation),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", BodyFailed),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", BodyFailed),
]


@pytest.mark.parametrize(("data", "kind"), FAILING)
def test_failing_response_frees_its_slot(
    send: Sender, upstream: ScriptedUpstream, data: bytes, kind: type[UpstreamError]
) -> None:
    upstream.script([Send(data), Close()], [Send(data), Close()], [Send(OK)])
    for _ in range(2):
        with pytest.raises(kind):
            send(upstream.url, "POST")
    assert send(upstream.url) == b"ok"


def test_reset_instead_of_an_answer(send: Sender, upstream: ScriptedUpstream) -> None:
    upstream.script([Reset()], [Send(OK)])
    with pytest.raises(HeadFailed):
        send(upstream.url, "POST")
    assert send(upstream.url) == b"ok"


def test_silence_before_and_inside_the_body(send: Sender, upstream: ScriptedUpstream) -> None:
    upstream.script([Hang()], [Send(OK[:-1]), Hang()], [Send(OK)])
    with pytest.raises(HeadTimeout):
        send(upstream.url, read=0.1)
    with pytest.raises(BodyFailed):
        send(upstream.url, read=0.1)
    assert send(upstream.url) == b"ok"


def test_client_that_left_ends_the_wait(send: Sender, upstream: ScriptedUpstream) -> None:
    upstream.script([Hang()], [Send(OK[:-1]), Hang()], [Send(OK)])
    began = time.monotonic()
    with pytest.raises(ClientGone):
        send(upstream.url, read=10.0, abandoned=lambda: True)
    with pytest.raises(ClientGone):
        send(upstream.url, read=10.0, abandoned=lambda: True)
    assert time.monotonic() - began < 3
    assert upstream.wait_closed(1)
    assert send(upstream.url) == b"ok"


def test_broken_request_body_reaches_nobody(send: Sender, upstream: ScriptedUpstream) -> None:
    with pytest.raises(ClientBodyError):
        send(upstream.url, "POST", body=RequestBody(io.BytesIO(b""), 5))
    assert not upstream.requests
    assert send(upstream.url) == b"ok"


def test_body_that_breaks_later_frees_the_slot(send: Sender, upstream: ScriptedUpstream) -> None:
    with pytest.raises(ClientBodyError):
        send(upstream.url, "POST", body=RequestBody(io.BytesIO(bytes(70_000)), 80_000))
    assert upstream.wait_closed(0)
    assert not upstream.requests[0].complete
    assert send(upstream.url) == b"ok"


def test_interim_responses_are_read_over(send: Sender, upstream: ScriptedUpstream) -> None:
    upstream.respond(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nLink: x\r\n\r\n" + OK)
    assert send(upstream.url) == b"ok"


@pytest.mark.parametrize(
    ("method", "body", "sent"),
    [
        ("POST", RequestBody(io.BytesIO(b"abc"), 3), b"Content-Length: 3\r\n\r\nabc"),
        ("POST", _chunked(b"abc"), b"chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        ("POST", _chunked(b""), b"Content-Length: 0\r\n\r\n"),
        ("GET", _chunked(b"abc"), b"chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    ],
)
def test_body_is_framed(
    send: Sender, upstream: ScriptedUpstream, method: str, body: RequestBody, sent: bytes
) -> None:
    send(upstream.url, method, body=body)
    assert upstream.requests[0].raw.endswith(sent)


def test_failing_to_connect() -> None:
    adapter_send = Sender(_adapter())
    with pytest.raises(ConnectFailed) as failed:
        adapter_send(f"http://127.0.0.1:{free_port()}")
    assert failed.value.retry_safe
    for host in ("a..b", "x" * 64, ".a", "nothing.invalid"):
        with pytest.raises(ConnectFailed):
            adapter_send(f"http://{host}")
    with full_backlog() as port, pytest.raises(ConnectTimeout):
        adapter_send(f"http://127.0.0.1:{port}", read=0.2)


def _adapter() -> PooledAdapter:
    return PooledAdapter(size=1)


def test_an_instance_taken_away_while_a_body_is_awaited_keeps_no_connection(
    send: Sender, upstream: ScriptedUpstream
) -> None:
    class Late(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            send.adapter.retire(upstream.url)
            return super().read(size)

    upstream.respond(OK)
    assert send(upstream.url, "POST", body=RequestBody(Late(b"abc"), 3)) == b"ok"
    assert upstream.wait_closed()


@pytest.mark.parametrize("length", [16_000_000, None])
def test_an_upstream_that_reads_slowly_has_until_the_deadline(
    send: Sender, length: int | None
) -> None:
    over = threading.Event()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def read_slowly() -> None:
            peer, _ = listener.accept()
            with peer, contextlib.suppress(ConnectionError):
                while peer.recv(16384) and not over.wait(0.05):
                    pass

        reader = threading.Thread(target=read_slowly)
        reader.start()
        body = RequestBody(io.BytesIO(bytes(16_000_000)), length)
        began = time.monotonic()
        try:
            with pytest.raises(HeadTimeout):
                send(f"http://127.0.0.1:{listener.getsockname()[1]}", "PUT", body=body, read=1.0)
        finally:
            over.set()
            reader.join(10)
        assert time.monotonic() - began < 10
        assert not body.finished
