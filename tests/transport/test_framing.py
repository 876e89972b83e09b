"""Response heads: a doubt about where the body ends is a violation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ProtocolViolation
from gateway.transport.framing import CHUNKED, UNTIL_CLOSE, parse_head

reproducible = settings(derandomize=True, max_examples=300, deadline=None)


def _head(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([status, *lines])


def test_head_is_read() -> None:
    data = _head(b"Set-Cookie: a", b"X-E:", b"set-cookie:\t b \t", b"Content-Length: 5")
    head = parse_head(data, "GET")
    assert (head.status, head.reason, head.framing, head.keep_alive) == (200, "OK", 5, True)
    assert head.version == "1.1"
    assert head.headers[:3] == [("Set-Cookie", "a"), ("X-E", ""), ("set-cookie", "b")]


@pytest.mark.parametrize(
    "line", [b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.0 404 Not \xe9", b"HTTP/1.1 599 a\tb"]
)
def test_status_line_is_accepted(line: bytes) -> None:
    assert parse_head(line, "GET").status in (200, 404, 599)


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"",
            b"\r\n",
            b"HTTP/2 200 OK",
            b"HTTP/1.2 200 OK",
            b"HTTP/1.1  200 OK",
            b"HTTP/1.1 20 OK",
        ),
        *(b"HTTP/1.1 2000 OK", b"HTTP/1.1 600 X", b"HTTP/1.1 099 X", b"http/1.1 200 OK"),
        *(b"HTTP/1.1 200OK", b" HTTP/1.1 200 OK", b"HTTP/1.1\t200 OK", b"HTTP/1.1 200 a\x00b"),
        *(b"HTTP/1.1 200 a\nb", b"HTTP/1.1 200 a\rb", b"ICY 200 OK", b"HTTP/1.1 \xb2\xb2\xb2 X"),
    ],
)
def test_garbage_status_line_is_a_violation(line: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        parse_head(line, "GET")


@pytest.mark.parametrize(
    "line",
    [
        *(b"X", b": x", b" X: y", b"X : y", b"X\t: y", b"X: a\x00", b"X: a\rb", b"X: a\nY: b"),
        *(b"X: a\r\n folded", b"(X): y", b"X\xe9: y", b"X: \x7f", b"X: a\r\n\tb", b"X: a\x0bb"),
    ],
)
def test_malformed_field_is_a_violation(line: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        parse_head(_head(line, b"Content-Length: 0"), "GET")


@pytest.mark.parametrize(
    ("fields", "framing"),
    [
        ([], UNTIL_CLOSE),
        ([b"Content-Length: 0"], 0),
        ([b"content-length: 007"], 7),
        ([b"Transfer-Encoding: chunked"], CHUNKED),
        ([b"TRANSFER-ENCODING:  Chunked "], CHUNKED),
    ],
)
def test_framing(fields: list[bytes], framing: int) -> None:
    assert parse_head(_head(*fields), "GET").framing == framing


@pytest.mark.parametrize(
    "fields",
    [
        [b"Content-Length: 1", b"Content-Length: 1"],
        [b"Content-Length: 1, 1"],
        [b"Content-Length: +1"],
        [b"Content-Length: -1"],
        [b"Content-Length: 0x1"],
        [b"Content-Length: 1 2"],
        [b"Content-Length:"],
        [b"Content-Length: \xb2"],
        [b"Content-Length: 1_0"],
        [b"Content-Length: " + b"9" * 19],
        [b"Content-Length: 1", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked, identity"],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding: chunked;q=1"],
        [b"Transfer-Encoding:"],
        [b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: \x0bchunked"],
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_doubtful_framing_is_a_violation(fields: list[bytes], method: str) -> None:
    with pytest.raises(ProtocolViolation):
        parse_head(_head(*fields), method)


def test_chunks_from_an_old_server_are_a_violation() -> None:
    with pytest.raises(ProtocolViolation):
        parse_head(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked", "GET")


@pytest.mark.parametrize(
    ("status", "method"), [(b"204", "GET"), (b"304", "GET"), (b"100", "GET"), (b"200", "HEAD")]
)
@pytest.mark.parametrize("field", [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"X: y"])
def test_answers_without_a_body(status: bytes, method: str, field: bytes) -> None:
    head = parse_head(_head(field, status=b"HTTP/1.1 " + status + b" X"), method)
    assert head.framing == 0
    assert head.keep_alive is (status != b"204" or field == b"X: y")


@pytest.mark.parametrize(
    ("line", "connection", "keep_alive"),
    [
        (b"HTTP/1.1 200 OK", b"", True),
        (b"HTTP/1.1 200 OK", b"close", False),
        (b"HTTP/1.1 200 OK", b"Keep-Alive, CLOSE", False),
        (b"HTTP/1.1 200 OK", b"closed", True),
        (b"HTTP/1.0 200 OK", b"", False),
        (b"HTTP/1.0 200 OK", b"keep-alive", True),
        (b"HTTP/1.0 200 OK", b"keep-alive, close", False),
    ],
)
def test_keep_alive(line: bytes, connection: bytes, keep_alive: bool) -> None:
    head = parse_head(_head(b"Connection: " + connection, status=line), "GET")
    assert head.keep_alive is keep_alive


@reproducible
@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_a_violation(data: bytes) -> None:
    for candidate in (data, _head(data), _head(b"X: " + data)):
        try:
            head = parse_head(candidate, "GET")
        except ProtocolViolation:
            continue
        assert not any("\r" in part or "\n" in part for pair in head.headers for part in pair)
