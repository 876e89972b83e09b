"""One exchange on the wire: the request written, the head of its response read (RFC 9112)."""

from __future__ import annotations

import re
import time

from gateway.errors import HeadFailed, HeadTimeout, ProtocolViolation, Refusal, SendFailed
from gateway.exchange import IDEMPOTENT, BodySource
from gateway.transport.connection import Connection
from gateway.transport.framing import MAX_HEAD, Head, parse_head
from gateway.transport.messages import WireRequest
from gateway.transport.waiting import either_readable

_MOST_INTERIM = 16
_LAST_CHUNK = b"0\r\n\r\n"
_BODYLESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})
_INTERIM = re.compile(rb"HTTP/1\.[01] 1")


class StaleConnection(Exception):
    """A reused connection was closed by the upstream before it read this request."""


class WireExchange:
    """Writes one request and reads the head of its response, on up to two connections."""

    def __init__(self, request: WireRequest, idle: float) -> None:
        self._request = request
        self._idle = idle
        self._body = request.stream
        self._first = b""
        self._streamed = False  # bytes beyond the first piece were taken: they are gone
        self._heard = False  # the upstream has begun to answer
        self._data = b""  # what it said that is not read yet
        self._interim = 0
        self.interrupted = False  # the upstream answered before it had the whole body

    def take_first_piece(self, deadline: float) -> None:
        """Read the beginning of the body: one that is broken from the start reaches nobody, and
        a small one goes out with its head in one packet."""
        if self._body is not None:
            self._first = self._body.next_piece(deadline)

    def run(self, connection: Connection, deadline: float) -> tuple[Head, bytes]:
        """Returns the head of the final response and the bytes that came after it."""
        self.interrupted = False
        self._send(connection, deadline)
        return self._read_head(connection, deadline)

    def _send(self, connection: Connection, deadline: float) -> None:
        body = self._body
        chunked = body is not None and body.length is None
        first = self._first
        data = self._head() + (_chunk(first) if chunked and first else first)
        if chunked and first and body is not None and body.finished:
            data += _LAST_CHUNK  # a replay: its end was taken from the client before
        try:
            connection.send(data, self._idle, deadline, self._request.abandoned)
        except TimeoutError:
            raise HeadTimeout("the upstream does not read") from None
        except OSError as error:
            if connection.reused and (not connection.wrote or self._replayable()):
                raise StaleConnection from None
            raise SendFailed(str(error), retry_safe=not connection.wrote) from None
        if body is not None and first:
            self._send_rest(connection, body, chunked, deadline)

    def _send_rest(
        self, connection: Connection, body: BodySource, chunked: bool, deadline: float
    ) -> None:
        while not body.finished:
            limit = deadline if body.idle is None else min(time.monotonic() + body.idle, deadline)
            if self._answered_early(connection, body, limit):
                self.interrupted = True
                return
            piece = body.next_piece(limit)
            self._streamed = self._streamed or bool(piece)
            data = (_chunk(piece) if piece else _LAST_CHUNK) if chunked else piece
            try:
                connection.send(data, self._idle, deadline, self._request.abandoned)
            except TimeoutError:
                raise HeadTimeout("the upstream does not read") from None
            except OSError:
                # It may have answered before it closed: the head decides.
                self.interrupted = True
                return
            # One that reads slowly never lets the time between two bytes pass.
            if not body.finished and time.monotonic() >= deadline:
                raise HeadTimeout("the upstream did not read the request in time")

    def _answered_early(self, connection: Connection, body: BodySource, limit: float) -> bool:
        """Wait until the client has sent more; True if the upstream answered, or left, before."""
        while True:
            if connection.readable() and self._listen(connection, limit):
                return True
            left = limit - time.monotonic()
            if body.at_hand or left <= 0 or not either_readable(body, connection, left):
                return False

    def _listen(self, connection: Connection, limit: float) -> bool:
        """Take in what the upstream says meanwhile; False while it is interim (RFC 9110, 15.2)."""
        try:
            received = connection.receive(limit, self._request.abandoned)
        except OSError:
            return True
        if not received:
            return True
        self._heard = True
        self._data += received
        while _INTERIM.match(self._data) and b"\r\n\r\n" in self._data:
            raw, _, self._data = self._data.partition(b"\r\n\r\n")
            self._skip_interim(raw)
        return not (_INTERIM.match(self._data) or b"HTTP/1.1 1".startswith(self._data))

    def _head(self) -> bytes:
        request = self._request
        lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {request.host}"]
        lines += [f"{name}: {value}" for name, value in request.fields]
        body = self._body
        if body is not None:
            if body.length is not None:
                lines.append(f"Content-Length: {body.length}")
            elif self._first:
                lines.append("Transfer-Encoding: chunked")
            elif request.method not in _BODYLESS:  # chunked, and empty
                lines.append("Content-Length: 0")
        head = "\r\n".join(lines) + "\r\n\r\n"
        if head.count("\n") != len(lines) + 1 or head.count("\r") != len(lines) + 1:
            raise Refusal("The request has a line break inside a field.")
        return head.encode("latin-1")

    def _read_head(self, connection: Connection, deadline: float) -> tuple[Head, bytes]:
        while True:
            raw = self._read_block(connection, deadline)
            head = parse_head(raw, self._request.method or "GET")
            if head.status >= 200:
                return head, self._data
            self._skip_interim(raw)

    def _skip_interim(self, raw: bytes) -> None:
        self._interim += 1
        if self._interim > _MOST_INTERIM:
            raise ProtocolViolation("too many interim responses")
        if parse_head(raw, "GET").status == 101:
            raise ProtocolViolation("switched protocols unasked")

    def _read_block(self, connection: Connection, deadline: float) -> bytes:
        """The bytes up to the next empty line; those after it stay for later."""
        while True:
            data = self._data
            end = data.find(b"\r\n\r\n")
            if end >= 0:
                self._data = data[end + 4 :]
                return data[:end]
            if len(data) > MAX_HEAD:
                raise ProtocolViolation("response head too large")
            if data and not _begins_well(data):
                raise ProtocolViolation("not an HTTP/1.1 response head")
            self._data += self._receive(connection, deadline)

    def _receive(self, connection: Connection, deadline: float) -> bytes:
        limit = min(time.monotonic() + self._idle, deadline)
        try:
            received = connection.receive(limit, self._request.abandoned)
        except TimeoutError:
            raise HeadTimeout("no response head in time") from None
        except OSError:
            received = b""
        if received:
            self._heard = True
            return received
        if not self._heard and connection.reused and self._replayable():
            raise StaleConnection
        if self.interrupted:
            raise SendFailed("closed while the body was sent")
        raise HeadFailed("closed before a response head")

    def _replayable(self) -> bool:
        return self._request.method in IDEMPOTENT and not self._streamed


def _begins_well(data: bytes) -> bool:
    return b"HTTP/1.".startswith(data[:7]) and data.count(b"\n") == data.count(b"\r\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
