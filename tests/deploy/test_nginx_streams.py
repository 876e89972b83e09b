"""Streams through nginx and the gateway: what comes is passed on, nothing is kept on the disk."""

from __future__ import annotations

import threading

import pytest

from gateway.testing import Hang, ScriptedUpstream, Send, Step, Until
from tests.deploy.nginx import NAME, Nginx
from tests.support.messages import chunk, request_head, response_head

HOST = b"Host: " + NAME.encode()
EVENTS = [b"data: %d\n\n" % number for number in range(4)]
STREAM = b"Content-Type: text/event-stream"
SIZE = 50 << 20
PIECE = bytes(1 << 20)


@pytest.mark.parametrize("path", [b"/plain/events", b"/plain/anywhere"])
def test_events_pass_one_by_one(nginx: Nginx, upstream: ScriptedUpstream, path: bytes) -> None:
    go = [threading.Event() for _ in EVENTS]
    steps: list[Step] = [Send(response_head(b"200 OK", STREAM, b"Transfer-Encoding: chunked"))]
    for signal, event in zip(go, EVENTS, strict=True):
        steps += [Until(signal), Send(chunk(event))]
    upstream.script([*steps, Hang()])
    with nginx.connect() as connection:
        connection.send(request_head(path, HOST))
        assert connection.read_head().header(b"Content-Type") == [b"text/event-stream"]
        for signal, event in zip(go, EVENTS, strict=True):
            signal.set()
            assert connection.read_chunk() == event  # the next one is not sent before
    assert upstream.wait_closed(0)  # the client left, and the backend learns of it


def test_large_upload_passes_as_it_comes(nginx: Nginx, upstream: ScriptedUpstream) -> None:
    upstream.script([Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")], keep_bodies=False)
    with nginx.connect() as connection:
        length = b"Content-Length: %d" % SIZE
        connection.send(request_head(b"/plain/uploads/x", HOST, length, method=b"PUT"))
        for sent in range(SIZE // len(PIECE)):
            connection.send(PIECE)
            if sent == 0:  # the rest is not sent before this has arrived
                assert upstream.wait_until(lambda: [r.size for r in upstream.requests] == [1 << 20])
        assert connection.read_reply().status == 200
    assert (upstream.requests[0].size, upstream.requests[0].complete) == (SIZE, True)
    assert not nginx.used_the_disk


def test_upload_of_unknown_length_passes_too(nginx: Nginx, upstream: ScriptedUpstream) -> None:
    with nginx.connect() as connection:
        coding = b"Transfer-Encoding: chunked"
        connection.send(request_head(b"/plain/uploads/x", HOST, coding, method=b"PUT"))
        connection.send(chunk(b"first"))
        assert upstream.wait_until(lambda: [r.body for r in upstream.requests] == [b"first"])
        connection.send(chunk(b"second") + chunk(b""))
        assert connection.read_reply().status == 200
    assert upstream.requests[0].body == b"firstsecond"


@pytest.mark.parametrize("path", [b"/plain/downloads/x", b"/plain/x"])
def test_large_download_waits_in_the_backend(
    nginx: Nginx, upstream: ScriptedUpstream, path: bytes
) -> None:
    head = response_head(b"200 OK", b"Content-Length: %d" % SIZE)
    upstream.script([Send(head), Send(PIECE, times=SIZE // len(PIECE))])
    with nginx.connect() as connection:
        connection.send(request_head(path, HOST))
        connection.read_head()
        for _ in range(SIZE // len(PIECE)):
            connection.read_exactly(len(PIECE))
    assert not nginx.used_the_disk


def test_body_that_breaks_off_is_seen_to(nginx: Nginx, upstream: ScriptedUpstream) -> None:
    chunked = response_head(b"200 OK", b"Transfer-Encoding: chunked")
    go = threading.Event()
    upstream.script([Send(chunked + chunk(b"half")), Until(go), Send(b"nonsense\r\n")])
    with nginx.connect() as connection:
        connection.send(request_head(b"/plain/events", HOST))
        threading.Timer(0.2, go.set).start()
        reply = connection.read_reply()
        assert (reply.status, reply.clean_end) == (200, False)
