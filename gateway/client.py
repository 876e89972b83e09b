"""The connection a client's request came on: who is at its other end, whether it still is."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import time
from typing import Any

# Where poll cannot tell that the peer stopped sending (not Linux), only a reset is seen.
_GONE = getattr(select, "POLLRDHUP", 0)
_LINGER_NONE = struct.pack("ii", 1, 0)
_DRAIN_BYTES = 256 * 1024
_DRAIN_SECONDS = 1.0


def plain_poll() -> Any:
    """A `poll` object that never switches greenlets, also where gevent replaced the module's."""
    if "gevent.monkey" in sys.modules:
        from gevent.monkey import get_original  # only there under gevent

        return get_original("select", "poll")()
    return select.poll()


class ClientConnection:
    """What the WSGI server lets us know of the client's connection; nothing under other servers."""

    __slots__ = ("_framed_by_close", "_message", "_poll", "socket")

    def __init__(self, environ: dict[str, Any]) -> None:
        self._framed_by_close = environ.get("SERVER_PROTOCOL") == "HTTP/1.0"
        self.socket: Any = environ.get("gunicorn.socket")
        self._message: Any = getattr(environ["wsgi.input"], "message", None)
        self._poll: Any = None

    def abandoned(self) -> bool:
        """Whether the client has left. Asked only while an upstream keeps us waiting.

        A client that closes its sending half counts as gone, as it does in nginx.
        """
        if self.socket is None:
            return False
        if self._poll is None:
            self._poll = plain_poll()
            try:
                self._poll.register(self.socket.fileno(), _GONE)
            except (OSError, ValueError):
                return True
        return bool(self._poll.poll(0))

    def close_after_response(self) -> None:
        """Have the server say `Connection: close` and read no further request here."""
        if self._message is not None:
            self._message.force_close()

    @property
    def closing(self) -> bool:
        """Whether the server will close the connection after this response."""
        return self._message is not None and bool(self._message.should_close())

    def linger(self) -> None:
        """After the response: let a client that is still sending read it before the close.

        Closing with unread bytes makes the kernel send a reset, which can overtake the response
        (RFC 9112 section 9.6). Bounded in bytes and time.
        """
        if self.socket is None:
            return
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
            end = time.monotonic() + _DRAIN_SECONDS
            drained = 0
            while drained < _DRAIN_BYTES and (left := end - time.monotonic()) > 0:
                self.socket.settimeout(left)
                data = self.socket.recv(65536)
                if not data:
                    break
                drained += len(data)

    def abort(self) -> None:
        """Make the coming close a reset where a body framed by the close could look complete."""
        if self.socket is not None and self._framed_by_close:
            if self._message is not None:
                self._message.aborted = True  # gateway.workers: no orderly end for this one
            with contextlib.suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
