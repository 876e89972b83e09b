"""The body of a request, by Content-Length or chunked (RFC 9112, sections 6 and 7.1)."""

import re
from email.message import Message
from typing import Protocol

from examples.backend import Refusal

MOST = 1024 * 1024
"""The largest body read, in bytes."""

_LINE = 4096


class Readable(Protocol):
    """A buffered byte source, such as a socket's makefile("rb")."""

    def read(self, size: int, /) -> bytes:
        """Exactly `size` bytes, or fewer at the end of the stream."""

    def readline(self, size: int, /) -> bytes:
        """A line with its end, at most `size` bytes of it."""


def read_body(source: Readable, headers: Message) -> bytes:
    """The whole body, empty when none is announced.

    Raises Refusal (400, 413, 501). The connection must then be closed: its framing is lost.
    """
    coding = headers.get("Transfer-Encoding")
    lengths = set(headers.get_all("Content-Length", []))
    if coding is None:
        return _exactly(source, _length(lengths)) if lengths else b""
    if lengths:
        raise Refusal(400, "Both Transfer-Encoding and Content-Length were sent.")
    if coding.strip().lower() != "chunked":
        raise Refusal(501, "Only the chunked transfer coding is known here.")
    return _chunked(source)


def _length(lengths: set[str]) -> int:
    text = lengths.pop().strip()
    if lengths or not re.fullmatch("[0-9]{1,18}", text):
        raise Refusal(400, "Content-Length is not one whole number.")
    return int(text)


def _exactly(source: Readable, size: int) -> bytes:
    if size > MOST:
        raise Refusal(413, f"A body may have {MOST} bytes at the most.")
    data = source.read(size)
    if len(data) < size:
        raise Refusal(400, "The body ended too early.")
    return data


def _chunked(source: Readable) -> bytes:
    body = bytearray()
    while size := _chunk_size(source.readline(_LINE)):
        # Counted before it is read, so that many small chunks cannot pass the limit either.
        body += _exactly(source, size if len(body) + size <= MOST else MOST + 1)
        if source.readline(_LINE) not in (b"\r\n", b"\n"):
            raise Refusal(400, "A chunk is longer than it says.")
    _skip_trailers(source)
    return bytes(body)


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not (line.endswith(b"\n") and re.fullmatch(rb"[0-9A-Fa-f]{1,15}", digits)):
        raise Refusal(400, "A chunk has no valid size.")
    return int(digits, 16)


def _skip_trailers(source: Readable) -> None:
    for _ in range(100):
        line = source.readline(_LINE)
        if line in (b"\r\n", b"\n"):
            return
        if not line.endswith(b"\n"):
            break
    raise Refusal(400, "The trailers do not end.")
