"""A partner: a real HTTP server that checks signatures by itself, and answers as it is told."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "whsec_" + base64.b64encode(b"the secret of a partner in tests").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of it, a newer one").decode()


@dataclass(frozen=True, slots=True)
class Received:
    """One webhook as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def signed_by(self, secret: str) -> bool:
        """Whether one of its signatures is of this secret: written from the specification, with
        nothing of the gateway's."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        head = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode()
        digest = hmac.new(key, head + self.body, hashlib.sha256).digest()
        wanted = "v1," + base64.b64encode(digest).decode()
        given = self.headers["webhook-signature"].split(" ")
        return any(hmac.compare_digest(one, wanted) for one in given)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. wait: an event to wait for before it, such as one that a test sets."""

    status: int = 200
    fields: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    wait: threading.Event | None = None


class Receiver:
    """Listens on a port of 127.0.0.1. replies: the next ones, then 200 for good."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[Received] = []
        self.replies: list[Reply] = []
        self.always: Reply | None = None
        self._open: list[socket.socket] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            """One connection."""

            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                """Note the connection."""
                receiver._open.append(self.request)
                super().setup()

            def do_POST(self) -> None:
                """Note what came, and answer."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                fields = {name.lower(): value for name, value in self.headers.items()}
                receiver.received.append(Received(self.path, fields, body))
                reply = receiver.always or Reply()
                with contextlib.suppress(IndexError):
                    reply = receiver.replies.pop(0)
                if reply.wait is not None:
                    reply.wait.wait(30)
                with contextlib.suppress(OSError):
                    self._answer(reply)

            def _answer(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in reply.fields.items():
                    self.send_header(name, value)
                if "Content-Length" not in reply.fields:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        class Server(ThreadingHTTPServer):
            """Silent about clients that leave."""

            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: Any) -> None:
                """Nothing."""

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def ids(self) -> list[str]:
        """Of the events that came, in order; repeated ones, too."""
        return [one.id for one in self.received]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A partner, ended with the block."""
    receiver = Receiver(port)
    try:
        yield receiver
    finally:
        receiver.close()


def webhooks(
    *partners: tuple[str, str], events: Sequence[str] = ("*",), secret: Any = SECRET
) -> dict[str, Any]:
    """What WEBHOOKS says of these partners with their URLs."""
    return {name: {"url": url, "secret": secret, "events": list(events)} for name, url in partners}
