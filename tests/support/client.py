"""A raw-socket HTTP client: sends exactly the bytes given, and shows exactly what came back."""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass, field

TIMEOUT = 15.0
#: A port of 127.0.0.1, or the path of a unix socket.
Address = int | str


@dataclass(slots=True)
class Reply:
    """One response, as it was on the wire.

    `clean_end` tells whether the body came to the end its framing promised, which is what a
    client goes by; a body that lasts until the connection closes ends cleanly unless it is reset.
    """

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    #: Heads of the 1xx responses that came before.
    interim: list[bytes] = field(default_factory=list)
    body: bytes = b""
    #: Length of the body, also when it was not kept.
    size: int = 0
    #: Every byte of the response, framing included.
    raw: bytes = b""
    clean_end: bool = False

    def header(self, name: bytes) -> list[bytes]:
        """All values of one header, in order; names compare without case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def framing(self) -> str:
        """How the end of the body is told: chunked, length or close."""
        if self.header(b"Transfer-Encoding"):
            return "chunked"
        return "length" if self.header(b"Content-Length") else "close"


class Ended(Exception):
    """The gateway ended the connection, in an orderly way or by a reset."""

    def __init__(self, reset: bool) -> None:
        super().__init__("reset" if reset else "end of stream")
        self.reset = reset


class Connection:
    """A connection to the gateway, driven step by step; a context manager."""

    def __init__(self, address: Address, timeout: float = TIMEOUT) -> None:
        if isinstance(address, int):
            self._sock = socket.create_connection(("127.0.0.1", address), timeout)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self._sock = socket.socket(socket.AF_UNIX)
            self._sock.settimeout(timeout)
            try:
                self._sock.connect(address)
            except OSError:
                self._sock.close()
                raise
        self._unread = bytearray()
        self._taken = bytearray()

    def send(self, data: bytes) -> None:
        """Send these bytes."""
        self._sock.sendall(data)

    def read_reply(self, *, to_head: bool = False, keep_body: bool = True) -> Reply:
        """The next final response. `to_head`: it answers HEAD, so it has no body."""
        reply = self.read_head()
        try:
            if to_head or reply.status in (101, 204, 304):
                pass
            elif reply.framing == "chunked":
                while piece := self.read_chunk():
                    self._add(reply, piece, keep_body)
            elif reply.framing == "length":
                length = int(reply.header(b"Content-Length")[0])
                while reply.size < length:
                    self._add(reply, self.read_some(length - reply.size), keep_body)
            else:
                self._add(reply, self.read_to_end(), keep_body)
            reply.clean_end = True
        except Ended:
            pass
        reply.raw = bytes(self._taken)
        return reply

    def read_head(self) -> Reply:
        """The next final response's head; its body is left to read."""
        self._taken.clear()
        interim: list[bytes] = []
        while True:
            head = self._until(b"\r\n\r\n")
            lines = head.split(b"\r\n")[:-2]
            _, status, reason = (lines[0] + b" ").split(b" ", 2)
            if int(status) >= 200 or int(status) == 101:
                break
            interim.append(head)
        pairs = (line.partition(b":") for line in lines[1:])
        headers = [(name, value.removeprefix(b" ")) for name, _, value in pairs]
        return Reply(int(status), reason.removesuffix(b" "), headers, interim)

    def read_chunk(self) -> bytes:
        """The data of the next chunk; empty for the last one, whose end is read too."""
        size = int(self._until(b"\r\n").split(b";")[0], 16)
        data = self.read_exactly(size)
        if self._until(b"\r\n") != b"\r\n":
            raise AssertionError("a chunk's data is followed by an empty line")
        return data

    def read_some(self, limit: int) -> bytes:
        """What has come of the next bytes, at least one and at most `limit`."""
        if not self._unread:
            self._more()
        return self._take(min(limit, len(self._unread)))

    def read_exactly(self, size: int) -> bytes:
        """So many bytes, whatever they are."""
        while len(self._unread) < size:
            self._more()
        return self._take(size)

    def read_to_end(self) -> bytes:
        """Everything up to an orderly end of the connection; `Ended` when it is reset."""
        try:
            while True:
                self._more()
        except Ended as end:
            if end.reset:
                raise
        return self._take(len(self._unread))

    def ended(self, timeout: float = 5.0) -> bool:
        """Whether the gateway ends the connection in time, without a further byte."""
        if self._unread:
            return False
        self._sock.settimeout(timeout)
        try:
            self._more()
        except Ended:
            return True
        except TimeoutError:
            pass
        return False

    def finish_sending(self) -> None:
        """Half-close: the gateway sees the end of the stream, answers can still be read."""
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Leave in an orderly way."""
        self._sock.close()

    def reset(self) -> None:
        """Leave with a TCP reset."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _add(self, reply: Reply, piece: bytes, keep_body: bool) -> None:
        reply.size += len(piece)
        if keep_body:
            reply.body += piece
        else:
            self._taken.clear()

    def _until(self, mark: bytes) -> bytes:
        while (end := self._unread.find(mark)) < 0:
            self._more()
        return self._take(end + len(mark))

    def _take(self, size: int) -> bytes:
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        self._taken += taken
        return taken

    def _more(self) -> None:
        try:
            piece = self._sock.recv(1 << 18)
        except ConnectionError:
            raise Ended(reset=True) from None
        if not piece:
            raise Ended(reset=False)
        self._unread += piece


def exchange(address: Address, request: bytes, *, timeout: float = TIMEOUT) -> Reply:
    """Send one request on a fresh connection and read its response.

    The response may come, and the connection close, before all of the request is sent.
    """
    with Connection(address, timeout) as connection:
        with contextlib.suppress(ConnectionError):
            connection.send(request)
        return connection.read_reply(to_head=request.startswith(b"HEAD "))
