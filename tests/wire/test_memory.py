"""Large bodies: they pass through a worker, which holds no more than a few pieces of them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.testing import Hang, ScriptedUpstream, Send
from tests.support.client import Connection
from tests.support.gunicorn import Gateway
from tests.support.messages import chunk, request_head, response, response_head

SIZE = 512 << 20
PIECE = bytes(1 << 20)
PIECES = SIZE // len(PIECE)
ALLOWED_GROWTH = SIZE >> 5
LENGTH = b"Content-Length: %d" % SIZE
CHUNKED = b"Transfer-Encoding: chunked"


def resident(pid: int, field: str) -> int:
    """A process's resident memory in bytes: VmRSS now, or VmHWM at its highest."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {field} in the status of {pid}")


class Growth:
    """How far the gateway's workers grow at most within a `with` block, in bytes."""

    def __init__(self, gateway: Gateway) -> None:
        self._pids = gateway.worker_pids()
        self.bytes = 0

    def __enter__(self) -> Growth:
        for pid in self._pids:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the high-water mark starts anew
        self._before = [resident(pid, "VmRSS") for pid in self._pids]
        return self

    def __exit__(self, *_error: object) -> None:
        peaks = [resident(pid, "VmHWM") for pid in self._pids]
        self.bytes = max(peak - before for peak, before in zip(peaks, self._before, strict=True))


def framed(framing: bytes) -> tuple[bytes, bytes]:
    """A piece of the body in this framing, and what ends the body."""
    return (chunk(PIECE), b"0\r\n\r\n") if framing == CHUNKED else (PIECE, b"")


@pytest.mark.parametrize("framing", [LENGTH, CHUNKED], ids=["length", "chunked"])
def test_large_download(gateway: Gateway, upstream: ScriptedUpstream, framing: bytes) -> None:
    piece, end = framed(framing)
    upstream.script([Send(response_head(b"200 OK", framing)), Send(piece, times=PIECES), Send(end)])
    with Growth(gateway) as growth, Connection(gateway.port) as connection:
        connection.send(request_head(b"/big/x"))
        reply = connection.read_reply(keep_body=False)
    assert (reply.size, reply.clean_end) == (SIZE, True)
    assert growth.bytes <= ALLOWED_GROWTH


@pytest.mark.parametrize("framing", [LENGTH, CHUNKED], ids=["length", "chunked"])
def test_large_upload(gateway: Gateway, upstream: ScriptedUpstream, framing: bytes) -> None:
    piece, end = framed(framing)
    upstream.script([Send(response(b"200 OK", body=b"taken"))], keep_bodies=False)
    with Growth(gateway) as growth, Connection(gateway.port, timeout=60) as connection:
        connection.send(request_head(b"/big/x", framing, method=b"PUT"))
        for _ in range(PIECES):
            connection.send(piece)
        connection.send(end)
        assert connection.read_reply().body == b"taken"
    assert upstream.requests[0].size == SIZE
    assert growth.bytes <= ALLOWED_GROWTH


def test_client_that_does_not_read(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.script([Send(response_head(b"200 OK", LENGTH)), Send(PIECE, times=PIECES)])
    with Growth(gateway) as growth, Connection(gateway.port) as connection:
        connection.send(request_head(b"/big/x"))
        connection.read_head()
        time.sleep(0.5)
    assert growth.bytes <= ALLOWED_GROWTH


def test_upstream_that_does_not_read(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.script([Hang()], early=True)
    with Growth(gateway) as growth, Connection(gateway.port, timeout=0.5) as connection:
        connection.send(request_head(b"/big/x", LENGTH, method=b"PUT"))
        with pytest.raises(TimeoutError):  # all buffers in between are full
            for _ in range(PIECES):
                connection.send(PIECE)
    assert growth.bytes <= ALLOWED_GROWTH
