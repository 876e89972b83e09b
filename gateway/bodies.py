"""A client's request body: read piece by piece as it comes, counted, never held whole."""

from __future__ import annotations

import time
from typing import Any

from gunicorn.http.errors import NoMoreData, ParseException

from gateway.body_input import PIECE, open_input
from gateway.errors import ClientBodyError, ClientGone


class RequestBody:
    """The body of one request, read once.

    `length` is the declared length in bytes, None when chunked. `limit` is the most bytes that
    are taken, None for any number. `idle` is how long, in seconds, to wait for the next byte.
    `started` says whether a byte was taken: a body that was not can be sent to another upstream.
    """

    __slots__ = (
        "_input",
        "_remaining",
        "_socket",
        "_stream",
        "finished",
        "idle",
        "length",
        "limit",
        "received",
        "started",
    )

    def __init__(
        self,
        stream: Any,
        length: int | None,
        *,
        limit: int | None = None,
        idle: float | None = None,
        socket: Any = None,
    ) -> None:
        self._stream = stream
        self._socket = socket
        self._input = open_input(stream, chunked=length is None)
        self._remaining = length
        self.length = length
        self.limit = limit
        self.idle = idle
        self.received = 0
        self.started = False
        self.finished = length == 0
        if limit is not None and length is not None and length > limit:
            raise _too_large(limit)

    def next_piece(self, deadline: float | None = None) -> bytes:
        """The next bytes, as many as are there; empty at the end.

        Raises ClientBodyError if the body is malformed, cut short, over the limit, or slower than
        `idle` and `deadline` (a monotonic time) allow; ClientGone if the client reset.
        """
        if self.finished:
            return b""
        self.started = True
        self._bound_wait(deadline)
        try:
            piece = self._read()
        except TimeoutError:
            self._spoil()
            raise ClientBodyError(
                "The request body came too slowly.", status=408, slug="slow_body"
            ) from None
        except (NoMoreData, ParseException):
            self._spoil()
            raise ClientBodyError("The request body is malformed or cut short.") from None
        except OSError as error:
            self._spoil()
            raise ClientGone(str(error)) from None
        finally:
            self._unbound_wait()
        self._account(piece)
        return piece

    def _read(self) -> bytes:
        return self._input.read(PIECE if self._remaining is None else min(PIECE, self._remaining))

    @property
    def at_hand(self) -> bool:
        """Whether the next piece need not be waited for."""
        return self._input.at_hand

    def fileno(self) -> int | None:
        """The descriptor of the client's connection; None if the server does not show it."""
        return None if self._socket is None else int(self._socket.fileno())

    def _account(self, piece: bytes) -> None:
        self.received += len(piece)
        if self.limit is not None and self.received > self.limit:
            self._spoil()
            raise _too_large(self.limit)
        if self._remaining is not None:
            self._remaining -= len(piece)
            if not piece:
                self._spoil()
                raise ClientBodyError("The request body is shorter than its Content-Length.")
            self.finished = self._remaining == 0
        elif not piece:
            self.finished = True

    def _bound_wait(self, deadline: float | None) -> None:
        if self._socket is None:
            return
        wait = self.idle
        if deadline is not None:
            left = deadline - time.monotonic()
            wait = left if wait is None else min(wait, left)
        if wait is not None:
            self._socket.settimeout(max(wait, 0.001))

    def _unbound_wait(self) -> None:
        if self._socket is not None:
            self._socket.settimeout(None)

    def _spoil(self) -> None:
        """Where the next request would begin is unknown now: the connection must end."""
        self.finished = True
        if hasattr(self._stream, "failed"):
            self._stream.failed = True


def _too_large(limit: int) -> ClientBodyError:
    return ClientBodyError(
        f"The request body is larger than {limit} bytes.", status=413, slug="body_too_large"
    )


class BytesBody:
    """A request body that is here already: nothing has to be waited for, and it can be sent again
    whatever its size, at no cost."""

    __slots__ = ("_data", "finished", "idle", "length")

    #: As of ReplayableBody: nothing more is to come.
    arrived = at_hand = True

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length: int | None = len(data)
        self.idle: float | None = None
        self.finished = not data

    def next_piece(self, deadline: float | None = None) -> bytes:
        """All of it, once."""
        if self.finished:
            return b""
        self.finished = True
        return self._data

    def rewound(self) -> BytesBody:
        """The same body from its beginning; the bytes are not copied."""
        return BytesBody(self._data)

    def whole(self) -> bytes:
        """All of it, sent or not."""
        return self._data

    def fetch(self, deadline: float | None = None) -> None:
        """Nothing is to come."""

    def fileno(self) -> int | None:
        """There is nothing to wait on."""
        return None
