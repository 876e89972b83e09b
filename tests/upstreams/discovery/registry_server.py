"""What the played registries have in common: a real HTTP server, whose answers are functions."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was received. path: segments, decoded; headers: names in lower case."""

    at: float
    method: str
    path: tuple[str, ...]
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered. A body that is no bytes is sent as JSON."""

    status: int
    body: Any = b""
    headers: tuple[tuple[str, str], ...] = ()


class RegistryServer:
    """A server on a free port of 127.0.0.1, running inside a `with` block.

    outage: connections are closed without an answer. raw: these bytes are the body of every
    answer. calls: what was received, also during an outage.
    """

    def __init__(self) -> None:
        self.outage = False
        self.raw: bytes | None = None
        self.calls: list[Call] = []
        self.changed = threading.Condition()
        self.closing = False
        handler = type("Handler", (_Handler,), {"registry": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.port = self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing = True
        with self.changed:
            self.changed.notify_all()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def authority(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def of(self, method: str, *path: str) -> list[Call]:
        """The calls of a method whose path begins so."""
        return [
            call
            for call in list(self.calls)
            if call.method == method and call.path[: len(path)] == path
        ]

    def answer(self, call: Call) -> Reply:
        """What to answer; runs in a thread of its own for each connection."""
        raise NotImplementedError


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    registry: ClassVar[RegistryServer]

    def _serve(self) -> None:
        registry = self.registry
        parts = urlsplit(self.path)
        call = Call(
            time.monotonic(),
            self.command,
            tuple(unquote(part) for part in parts.path.split("/")[1:]),
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(self.headers.get("Content-Length", "0"))),
        )
        registry.calls.append(call)
        reply = Reply(0) if registry.outage else registry.answer(call)
        if registry.outage or registry.closing:
            self.close_connection = True
            return
        body = reply.body if isinstance(reply.body, bytes) else orjson.dumps(reply.body)
        if registry.raw is not None:
            body = registry.raw
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815

    def handle(self) -> None:
        """As usual; a client that leaves in the middle is nothing to tell."""
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""
