"""A response body as it arrives on a pooled connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from gateway.errors import BodyFailed, ClientGone, ProtocolViolation
from gateway.exchange import Headers
from gateway.transport.connection import Connection
from gateway.transport.framing import CHUNKED, UNTIL_CLOSE, ChunkedDecoder, Head
from gateway.transport.pool import ConnectionPool


class FieldPairs:
    """Fields in order, repeated ones apart, in the shape urllib3 gives them."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Headers) -> None:
        self.pairs = pairs

    def items(self) -> Headers:
        """All fields as (name, value)."""
        return self.pairs


class PooledBody:
    """Yields body bytes as they come; gives the connection back when, and only when, all came.

    `ready` says that nothing has to be waited for: the body, or its first bytes, came with the
    head. Also has the part of urllib3's response that `requests.Response` reads from.
    """

    def __init__(
        self,
        connection: Connection,
        pool: ConnectionPool,
        head: Head,
        first: bytes,
        idle: float,
        abandoned: Callable[[], bool],
    ) -> None:
        self._connection: Connection | None = connection
        self._pool = pool
        #: Seconds to wait for the next byte; may be changed on the way.
        self.idle = idle
        self._abandoned = abandoned
        #: Told whether the body was whole, when the upstream has sent its end or broken off.
        self.on_end: Callable[[bool], None] | None = None
        self._missing = head.framing
        self._reusable = head.keep_alive and head.framing != UNTIL_CLOSE
        self._decoder = ChunkedDecoder() if head.framing == CHUNKED else None
        self.headers = FieldPairs(head.headers)
        self._first = b""
        if head.framing == 0:
            self._finish(first)
        elif first:
            self._first = self._take(first)
        self.ready = bool(self._first) or self._connection is None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._first:
            data, self._first = self._first, b""
            return data
        while self._connection is not None:
            data = self._receive(self._connection)
            if data:
                return data
        raise StopIteration

    def _receive(self, connection: Connection) -> bytes:
        try:
            data = connection.receive(time.monotonic() + self.idle, self._abandoned)
            if data:
                return self._take(data)
        except ClientGone:
            self.close()
            raise
        except TimeoutError:
            raise self._broken("silent inside the body") from None
        except (OSError, ProtocolViolation) as error:
            raise self._broken(str(error)) from None
        if self._missing != UNTIL_CLOSE:
            raise self._broken("closed before the end of the body")
        self.close()
        if self.on_end is not None:
            self.on_end(True)
        return b""

    def _broken(self, how: str) -> BodyFailed:
        self.close()
        if self.on_end is not None:
            self.on_end(False)
        return BodyFailed(how)

    @property
    def whole(self) -> bool:
        """Whether all of the body is here already."""
        return self._connection is None

    def _take(self, data: bytes) -> bytes:
        if self._decoder is not None:
            data = self._decoder.feed(data)
            if self._decoder.finished:
                self._finish(self._decoder.leftover)
        elif self._missing != UNTIL_CLOSE:
            extra = data[self._missing :]
            data = data[: self._missing]
            self._missing -= len(data)
            if not self._missing:
                self._finish(extra)
        return data

    def _finish(self, extra: bytes) -> None:
        """The body is whole. Bytes beyond it make the connection unfit for another response."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._reusable and not extra:
            self._pool.give_back(connection)
        else:
            self._pool.discard(connection)
        if self.on_end is not None:
            self.on_end(True)

    def close(self) -> None:
        """End the transfer; a connection with unread body is closed, not reused."""
        connection, self._connection = self._connection, None
        self._first = b""
        if connection is not None:
            self._pool.discard(connection)

    def stream(self, amt: int = 65536, decode_content: bool = False) -> Iterator[bytes]:
        """All pieces as they come, for `requests.Response`; sizes are the network's."""
        return iter(self)

    def release_conn(self) -> None:
        """For `requests.Response.close`."""
        self.close()
