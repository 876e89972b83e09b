"""The backend of the bench: a keep-alive HTTP/1.1 server with one fixed answer.

It knows requests without a body only, and answers each with the same JSON. A request whose
target contains `bench-echo` gets its own head back, so that the bench can see what a gateway
really forwarded; one that contains `bench-kept` gets 4 KiB that may be kept for an hour.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from email.utils import formatdate

HEAD_END = b"\r\n\r\n"
BODY = (
    b'{"id":7,"status":"shipped","currency":"EUR","customer":{"id":42,"name":"Ada Lovelace",'
    b'"email":"ada@example.org"},"items":[{"sku":"A-100","quantity":2,"price":"19.90"},'
    b'{"sku":"B-220","quantity":1,"price":"149.00"}],"shipping":{"carrier":"post","tracking":'
    b'"RR123456789XX","street":"12 Example Street","city":"London","postcode":"EC1A 1BB"},'
    b'"note":"leave at the door","total":"188.80"}'
)


KEPT = BODY.ljust(4096)


def response(
    body: bytes, content_type: str, now: float, control: str = "private, max-age=0"
) -> bytes:
    """One complete answer with the headers an ordinary backend sends."""
    head = (
        f"HTTP/1.1 200 OK\r\nServer: bench\r\nDate: {formatdate(now, usegmt=True)}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f'ETag: "5f2d-7"\r\nCache-Control: {control}\r\n\r\n'
    )
    return head.encode() + body


class Backend:
    """A single-threaded server on one listening socket."""

    def __init__(self, port: int) -> None:
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.unfinished: dict[socket.socket, bytes] = {}
        self.answer, self.answer_until = b"", 0.0

    def serve(self) -> None:
        """Serve until the process is ended."""
        while True:
            events = self.selector.select()
            self._refresh()
            for key, _ in events:
                if key.fileobj is self.listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._read(key.fileobj)

    def _refresh(self) -> None:
        # The Date header changes once per second; building it per request would be waste.
        now = time.time()
        if now >= self.answer_until:
            self.answer, self.answer_until = response(BODY, "application/json", now), now + 1

    def _accept(self) -> None:
        connection, _ = self.listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        try:
            data = self.unfinished.pop(connection, b"") + self._received(connection)
            *requests, rest = data.split(HEAD_END)
            if rest:
                self.unfinished[connection] = rest
            for head in requests:
                connection.sendall(self._answer_to(head))
        except OSError:
            self.unfinished.pop(connection, None)
            self.selector.unregister(connection)
            connection.close()

    def _received(self, connection: socket.socket) -> bytes:
        data = connection.recv(65536)
        if not data:
            raise ConnectionResetError("closed by the client")
        return data

    def _answer_to(self, head: bytes) -> bytes:
        if b"bench-echo" in head:
            return response(head, "text/plain", time.time())
        if b"bench-kept" in head:
            return response(KEPT, "application/json", time.time(), "max-age=3600")
        return self.answer


if __name__ == "__main__":
    Backend(int(sys.argv[1])).serve()
