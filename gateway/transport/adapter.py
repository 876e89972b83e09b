"""The adapter mounted on a service's Session: one HTTP/1.1 exchange over a pooled connection.

It keeps `requests`' own seam (`BaseAdapter.send`), and leaves out what a gateway must not do:
no URL is requoted, no header invented or merged, no body decoded, nothing followed or kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from gateway.bodies import RequestBody
from gateway.errors import HeadFailed, HeadTimeout, ProtocolViolation, SendFailed
from gateway.exchange import Headers
from gateway.transport.connection import Connection, connect
from gateway.transport.framing import MAX_HEAD, Head, parse_head
from gateway.transport.pool import ConnectionPool
from gateway.transport.response import FieldPairs, PooledBody
from gateway.urls import Origin

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
_MOST_INTERIM = 16
_BODYLESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})


def _never() -> bool:
    return False


class WireRequest(requests.PreparedRequest):
    """A prepared request filled by hand: the target and the fields go out as they stand.

    Only the attributes below and `requests`' five are set; nothing is copied or normalised.
    """

    def __init__(self, method: str, origin: str, target: str, host: str, headers: Headers) -> None:
        self.method = method
        self.url = origin + target
        self.origin = origin
        self.target = target
        self.host = host
        self.headers = FieldPairs(headers)  # type: ignore[assignment]  # repeated fields kept
        self.body = None
        self.hooks = {}
        self.stream: RequestBody | None = None
        self.deadline = 0.0
        self.abandoned: Callable[[], bool] = _never


class WireResponse(requests.Response):
    """A response that builds its dictionary of headers and its cookie jar only when asked."""

    def __init__(self, head: Head, body: PooledBody, request: WireRequest) -> None:
        self._content: Any = False  # requests' own mark for a body not yet read
        self._content_consumed = False
        self._next = None
        self.status_code = head.status
        self.reason = head.reason
        self.raw = body
        self.url = request.url or ""
        self.encoding = None
        self.history = []
        self.request = request
        self.version = head.version

    @property
    def headers(self) -> CaseInsensitiveDict[str]:  # type: ignore[override]
        """The fields with repeated ones joined; `raw.headers` has them apart."""
        merged: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        for name, value in self.raw.headers.items():
            merged[name] = f"{merged[name]}, {value}" if name in merged else value
        return merged

    @property
    def cookies(self) -> requests.cookies.RequestsCookieJar:  # type: ignore[override]
        """Always empty: cookies belong to the client."""
        return requests.cookies.RequestsCookieJar()


class PooledAdapter(BaseAdapter):
    """Sends requests over pooled connections, one pool for each upstream instance.

    size: most connections to one instance. idle_seconds: how long an idle one is kept. ca_file:
    trusted authorities for https, empty for certifi's. Pools are this worker's own.
    """

    def __init__(self, size: int = 10, idle_seconds: float = 30, ca_file: str = "") -> None:
        super().__init__()
        self._size = size
        self._idle_seconds = idle_seconds
        self._ca_file = ca_file
        self._pools: dict[str, ConnectionPool] = {}

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """One exchange. Raises UpstreamError, ClientBodyError or ClientGone.

        `timeout` is (connect, read) in seconds. A reused connection that turns out to be closed
        is replaced once, where sending again cannot do the work twice.
        """
        wire = request if isinstance(request, WireRequest) else _converted(request)
        connect_seconds, idle = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        exchange = _WireExchange(wire, idle or 60.0)
        deadline = wire.deadline or time.monotonic() + (idle or 60.0)
        pool = self._pool(wire.origin)
        fresh = False
        while True:
            connection = pool.checkout(connect_seconds or 60.0, deadline, fresh=fresh)
            try:
                head, rest = exchange.run(connection, deadline)
            except _StaleConnectionError:
                pool.discard(connection)
                fresh = True
                continue
            except BaseException:
                pool.discard(connection)
                raise
            if exchange.interrupted:
                head.keep_alive = False
            body = PooledBody(connection, pool, head, rest, idle or 60.0, wire.abandoned)
            return WireResponse(head, body, wire)

    def _pool(self, origin: str) -> ConnectionPool:
        pool = self._pools.get(origin)
        if pool is None:
            address = Origin.parse(origin)

            def dial(seconds: float) -> Connection:
                return connect(address, seconds, self._ca_file)

            pool = self._pools.setdefault(
                origin, ConnectionPool(dial, self._size, self._idle_seconds)
            )
        return pool

    def close(self) -> None:
        """Close all idle connections."""
        for pool in self._pools.values():
            pool.close()


class _StaleConnectionError(Exception):
    """A reused connection was closed by the upstream before it read this request."""


class _WireExchange:
    """Writes one request and reads the head of its response, on up to two connections."""

    def __init__(self, request: WireRequest, idle: float) -> None:
        self._request = request
        self._idle = idle
        self._body = request.stream
        self._first: bytes | None = None
        self._streamed = False  # bytes beyond the first piece were taken: they are gone
        self.interrupted = False  # the upstream answered before it had the whole body

    def run(self, connection: Connection, deadline: float) -> tuple[Head, bytes]:
        self._send(connection, deadline)
        return self._read_head(connection, deadline)

    def _send(self, connection: Connection, deadline: float) -> None:
        body = self._body
        if body is not None and self._first is None:
            # Read before anything is sent: a body that is broken from the start reaches nobody,
            # and a small one goes out with its head in one packet.
            self._first = body.next_piece(deadline)
        head = self._head()
        chunked = body is not None and body.length is None
        first = self._first or b""
        try:
            connection.send(
                head + (_chunk(first) if chunked and first else first),
                self._idle,
                self._request.abandoned,
            )
        except TimeoutError:
            raise HeadTimeout("the upstream does not read") from None
        except OSError as error:
            if connection.reused and (not connection.wrote or self._replayable()):
                raise _StaleConnectionError from None
            raise SendFailed(str(error), retry_safe=not connection.wrote) from None
        if body is not None and first:
            self._send_rest(connection, body, chunked, deadline)

    def _send_rest(
        self, connection: Connection, body: RequestBody, chunked: bool, deadline: float
    ) -> None:
        while not body.finished:
            if connection.readable():  # an early answer, or the end
                self.interrupted = True
                return
            piece = body.next_piece(deadline)
            self._streamed = self._streamed or bool(piece)
            data = (_chunk(piece) if piece else b"0\r\n\r\n") if chunked else piece
            try:
                connection.send(data, self._idle, self._request.abandoned)
            except TimeoutError:
                raise HeadTimeout("the upstream does not read") from None
            except OSError:
                # It may have answered before it closed: the head decides.
                self.interrupted = True
                return

    def _head(self) -> bytes:
        request = self._request
        lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {request.host}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
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
            raise ValueError("a line break inside a header field")
        return head.encode("latin-1")

    def _read_head(self, connection: Connection, deadline: float) -> tuple[Head, bytes]:
        data = b""
        for _ in range(_MOST_INTERIM):
            raw, data = self._read_block(connection, data, deadline)
            head = parse_head(raw, self._request.method or "GET")
            if head.status == 101:
                raise ProtocolViolation("switched protocols unasked")
            if head.status >= 200:
                return head, data
        raise ProtocolViolation("too many interim responses")

    def _read_block(
        self, connection: Connection, data: bytes, deadline: float
    ) -> tuple[bytes, bytes]:
        """The bytes up to the next empty line, and those after it."""
        while True:
            end = data.find(b"\r\n\r\n")
            if end >= 0:
                return data[:end], data[end + 4 :]
            if len(data) > MAX_HEAD:
                raise ProtocolViolation("response head too large")
            if data and not _begins_well(data):
                raise ProtocolViolation("not an HTTP/1.1 response head")
            data += self._receive(connection, bool(data), deadline)

    def _receive(self, connection: Connection, begun: bool, deadline: float) -> bytes:
        limit = min(time.monotonic() + self._idle, deadline)
        try:
            received = connection.receive(limit, self._request.abandoned)
        except TimeoutError:
            raise HeadTimeout("no response head in time") from None
        except OSError:
            received = b""
        if received:
            return received
        if not begun and connection.reused and self._replayable():
            raise _StaleConnectionError
        if self.interrupted:
            raise SendFailed("closed while the body was sent")
        raise HeadFailed("closed before a response head")

    def _replayable(self) -> bool:
        return self._request.method in IDEMPOTENT and not self._streamed


def _begins_well(data: bytes) -> bool:
    return b"HTTP/1.".startswith(data[:7]) and data.count(b"\n") == data.count(b"\r\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class _Bytes(RequestBody):
    """A body that is already in memory, for requests made by code instead of a client."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        super().__init__(None, len(data))
        self._data = data

    def _read(self) -> bytes:
        return self._data


def _converted(request: requests.PreparedRequest) -> WireRequest:
    """What `Session.request` prepared, for calls that a view makes by itself."""
    parts = urlsplit(request.url or "")
    origin = Origin.parse(f"{parts.scheme}://{parts.netloc}")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    given: dict[str, Any] = dict(request.headers or {})
    fields = [
        (name, str(value))
        for name, value in given.items()
        if name.lower() not in ("content-length", "transfer-encoding", "host")
    ]
    host = given.get("Host") or origin.authority
    wire = WireRequest(request.method or "GET", origin.url, target, str(host), fields)
    body = request.body
    if isinstance(body, str):
        body = body.encode()
    if isinstance(body, bytes):
        wire.stream = _Bytes(body)
    elif body is not None:
        raise TypeError("the gateway's Session sends bodies of bytes or str")
    return wire
