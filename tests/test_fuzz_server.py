"""Whatever bytes reach gunicorn: a well-formed answer that is not 500, or the end."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.gunicorn import Gateway, start_gateway
from tests.support.messages import chunks

fuzzed = settings(
    derandomize=True,
    max_examples=1200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
SEEDS = [
    b"GET /things/x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /things/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /things/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunks(b"a", b"bc"),
    b"PUT /guarded/a%2Fb?q HTTP/1.0\r\nAuthorization: Bearer a.b.c\r\n\r\n",
    b"GET http://h/s/x HTTP/1.1\r\nHost: h\r\nX-Version: 2\r\nConnection: close\r\n\r\n",
    b"GET /things/1 HTTP/1.1\r\nHost: a\r\n\r\nGET /things/2 HTTP/1.1\r\nHost: a\r\n\r\n",
]
PIECES = [
    *(b"\r\n", b"\n", b"\r", b" ", b"\t", b"\x00", b"\xff", b":", b"0\r\n\r\n", b"%2e", b"//"),
    *(b"HTTP/1.1", b"HTTP/2.0", b"HTTP/0.9", b"Host: b\r\n", b"Content-Length: 5\r\n", b"#"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: x\r\n", b"Expect: 100-continue\r\n"),
    *(b"X_User_Id: 1\r\n", b" folded\r\n", b"A" * 9000, b"X: y\r\n" * 101, b"-1", b"ffffffffff"),
]
edits = st.tuples(st.integers(0, 400), st.integers(0, 6), st.sampled_from(PIECES))


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """A gateway of one worker, which must survive it all without a word of surprise."""
    with start_gateway("tests.support.fuzz_server:app", worker_class=request.param) as running:
        workers = running.worker_pids()
        yield running
        assert running.worker_pids() == workers
        assert "Traceback" not in running.stderr_text()


def _mutate(seed: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for place, removed, piece in changes:
        place %= len(seed) + 1
        seed = seed[:place] + piece + seed[place + removed :]
    return seed


def _everything(port: int, data: bytes) -> bytes:
    """All that is answered to these bytes, after which nothing more comes from us."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        with contextlib.suppress(OSError):  # it may have closed already
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while piece := sock.recv(65536):
                answer += piece
    return answer


def _check(answer: bytes) -> None:
    """A sequence of well-formed responses, of which only the last may be cut by a reset."""
    while answer:
        head, mark, rest = answer.partition(b"\r\n\r\n")
        status = re.match(rb"HTTP/1\.[01] (\d{3}) [ -~]+", head)
        assert status is not None, answer
        assert status[1] != b"500", answer
        if not mark:
            return
        answer = rest if status[1].startswith(b"1") else _after_body(head, rest)


def _after_body(head: bytes, rest: bytes) -> bytes:
    fields = head.lower()
    length = re.search(rb"\r\ncontent-length: (\d+)", fields)
    if length:
        return rest[int(length[1]) :]
    if b"\r\ntransfer-encoding: chunked" in fields:
        _, _, after = rest.partition(b"0\r\n\r\n")
        return after
    return b""


@fuzzed
@given(st.sampled_from(SEEDS), st.lists(edits, max_size=3))
@example(SEEDS[0], [])
@example(SEEDS[5], [])
def test_mutated_requests(
    gateway: Gateway, seed: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    data = _mutate(seed, changes)
    answer = _everything(gateway.port, data)
    _check(answer)
    if not changes:
        assert re.match(rb"HTTP/1\.[01] (200|401) ", answer)


@fuzzed
@given(st.binary(max_size=300), st.booleans())
def test_random_bytes(gateway: Gateway, data: bytes, line: bool) -> None:
    start = b"GET /things/x HTTP/1.1\r\nHost: a\r\n" if line else b""
    answer = _everything(gateway.port, start + data + b"\r\n\r\n")
    _check(answer)


def test_gateway_still_serves(gateway: Gateway) -> None:
    assert b" 200 " in _everything(gateway.port, SEEDS[0]).partition(b"\r\n")[0]
