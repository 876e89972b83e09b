"""HTTP/1.1 responses on the wire: the head, and where the body ends (RFC 9112).

Strict on purpose: a response whose end two readers could place differently is refused, because
the bytes after it would be read as the next client's answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.errors import ProtocolViolation
from gateway.exchange import Headers

MAX_HEAD = 64 * 1024
_STATUS = re.compile(r"HTTP/(1)\.([01]) ([1-5]\d\d)(?: ([\t \x21-\x7e\x80-\xff]*))?")
_FIELDS = re.compile(
    r"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t \x21-\x7e\x80-\xff]*\r\n)*",
)
_LENGTH = re.compile(r"\d{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t \x21-\x7e\x80-\xff]*)?")

#: Body framings: a number of bytes, chunks, or everything until the connection closes.
CHUNKED = -1
UNTIL_CLOSE = -2


@dataclass(slots=True)
class Head:
    """A response head. `framing` is the body's length, CHUNKED or UNTIL_CLOSE."""

    status: int
    reason: str
    headers: Headers
    framing: int
    keep_alive: bool
    version: str


def parse_head(data: bytes, method: str) -> Head:
    """Read a whole head, its last empty line excluded, that answers a request of `method`.

    Raises ProtocolViolation for a garbage status line, a malformed field, or framing that is
    missing, doubled or contradictory.
    """
    text = data.decode("latin-1")
    line, _, block = text.partition("\r\n")
    match = _STATUS.fullmatch(line)
    if match is None:
        raise ProtocolViolation("malformed status line")
    if block:
        block += "\r\n"
        if _FIELDS.fullmatch(block) is None:
            raise ProtocolViolation("malformed header field")
    headers: Headers = []
    lengths: list[str] = []
    codings: list[str] = []
    connection = ""
    for field in block.split("\r\n")[:-1]:
        name, _, value = field.partition(":")
        value = value.strip(" \t")
        headers.append((name, value))
        lower = name.lower()
        if lower == "content-length":
            lengths.append(value)
        elif lower == "transfer-encoding":
            codings.append(value)
        elif lower == "connection":
            connection += "," + value.lower()
    status = int(match[3])
    persistent = _keep_alive(match[2], connection)
    framing = _framing(status, method, lengths, codings, match[2])
    if status == 204 and (codings or lengths not in ([], ["0"])):
        persistent = False  # a body may follow after all, to be read as the next answer
    return Head(status, match[4] or "", headers, framing, persistent, f"1.{match[2]}")


def _keep_alive(minor: str, connection: str) -> bool:
    options = {option.strip() for option in connection.split(",")}
    if "close" in options:
        return False
    return minor == "1" or "keep-alive" in options


def _framing(status: int, method: str, lengths: list[str], codings: list[str], minor: str) -> int:
    """Where the body ends, by RFC 9112 section 6.3; every doubt is a violation."""
    if len(lengths) > 1:
        raise ProtocolViolation("repeated Content-Length")
    if lengths and _LENGTH.fullmatch(lengths[0]) is None:
        raise ProtocolViolation("invalid Content-Length")
    if codings:
        if lengths:
            raise ProtocolViolation("both Content-Length and Transfer-Encoding")
        if minor == "0":
            raise ProtocolViolation("Transfer-Encoding in an HTTP/1.0 response")
        if ",".join(codings).strip(" \t").lower() != "chunked":
            raise ProtocolViolation("unsupported Transfer-Encoding")
    if method == "HEAD" or status in (204, 304) or status < 200:
        return 0
    if codings:
        return CHUNKED
    return int(lengths[0]) if lengths else UNTIL_CLOSE


class ChunkedDecoder:
    """Takes chunked bytes as they come, gives the body's bytes (RFC 9112 section 7.1).

    `finished` turns True with the last chunk's trailer section, which is read over and dropped;
    `leftover` then holds what came after it.
    """

    __slots__ = ("_at", "_buffer", "_missing", "_state", "finished", "leftover")

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0  # how far into the buffer has been decoded
        self._missing = 0
        self._state = "size"
        self.finished = False
        self.leftover = b""

    def feed(self, data: bytes) -> bytes:
        """The body bytes inside `data`; raises ProtocolViolation where it is malformed."""
        if self._state == "data" and len(data) <= self._missing:
            # The common case of a large chunk: nothing to cut, nothing to copy.
            self._advance(len(data))
            return data
        self._buffer = self._buffer[self._at :] + data
        self._at = 0
        out: list[bytes] = []
        while self._step(out):
            pass
        if self.finished:
            self.leftover = self._buffer[self._at :]
        return out[0] if len(out) == 1 else b"".join(out)

    def _advance(self, taken: int) -> None:
        self._missing -= taken
        if not self._missing:
            self._state = "end"

    def _step(self, out: list[bytes]) -> bool:
        """Decode one element; False when more bytes are needed or none are expected."""
        if self._state == "data":
            piece = self._buffer[self._at : self._at + self._missing]
            if piece:
                out.append(piece)
                self._at += len(piece)
                self._advance(len(piece))
            return bool(piece)
        line = self._take_line()
        if line is None:
            return False
        if self._state == "end":
            if line:
                raise ProtocolViolation("chunk longer than its size")
            self._state = "size"
        elif self._state == "size":
            self._take_size(line)
        else:
            self.finished = not line  # the empty line ends the trailer section
            self._missing += len(line)
            if self._missing > MAX_HEAD:
                raise ProtocolViolation("trailer section too large")
        return not self.finished

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._at)
        if end < 0:
            unread = len(self._buffer) - self._at
            if unread > MAX_HEAD or (self._state == "end" and unread > 1):
                raise ProtocolViolation("chunk or trailer without its end")
            return None
        line = self._buffer[self._at : end + 1]
        self._at = end + 1
        if line[-2:] != b"\r\n":
            raise ProtocolViolation("bare line feed in chunked body")
        return line[:-2]

    def _take_size(self, line: bytes) -> None:
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise ProtocolViolation("malformed chunk size")
        self._missing = int(match[1], 16)
        self._state = "data" if self._missing else "trailer"
