"""Serving a backend over HTTP/1.1: keep-alive, one thread per connection, one write per reply."""

import argparse
import contextlib
import os
import socketserver
import sys
import threading
import traceback
from collections.abc import Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from examples.backend import Backend, Refusal, Reply, Request
from examples.bodies import read_body


class Server(ThreadingHTTPServer):
    """A listening socket on 127.0.0.1 with a backend behind it. Port 0 takes a free one."""

    request_queue_size = 128

    def __init__(self, backend: Backend, port: int = 0) -> None:
        self.backend = backend
        super().__init__(("127.0.0.1", port), Handler)
        self.origin = f"http://127.0.0.1:{self.server_port}"

    def server_bind(self) -> None:
        """Bind without HTTPServer's look-up of the host's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name = "127.0.0.1"
        self.server_port = self.socket.getsockname()[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong, except that a client hung up, which is its right."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection: reads requests, asks the backend, writes replies."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 75
    server: Server

    def exchange(self) -> None:
        """One request and its reply."""
        if self.request_version != "HTTP/1.1":
            self.close_connection = True
        self._send(self._reply())

    # http.server looks its methods up under these names.
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = exchange  # noqa: N815

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what http.server itself refuses (a bad request line, say), in JSON too."""
        self.close_connection = True
        self._send(Refusal(code, message or HTTPStatus(code).phrase).reply)

    def log_message(self, *args: Any) -> None:
        """Nothing: the gateway has the access log."""

    def _reply(self) -> Reply:
        try:
            return self.server.backend.answer(self._request())
        except Refusal as refusal:
            return refusal.reply
        except OSError:
            raise  # the connection is broken or silent: there is nobody to answer
        except Exception:  # noqa: BLE001 - a view failed, and the client is owed an answer
            traceback.print_exc()
            return Refusal(500, "The backend failed.").reply

    def _request(self) -> Request:
        path, _, query = self.path.partition("?")
        fields = dict(parse_qsl(query, keep_blank_values=True))
        return Request(self.command, path, fields, self.headers, self._body(), self.server.origin)

    def _body(self) -> bytes:
        try:
            return read_body(self.rfile, self.headers)
        except Refusal:
            self.close_connection = True
            raise

    def _send(self, reply: Reply) -> None:
        if reply.events is None:
            payload = reply.payload()
            entity = {"Content-Type": "application/json", "Content-Length": str(len(payload))}
            bodiless = reply.status in (204, 304)
            self._write(self._head(reply, {} if bodiless else entity), payload)
        else:
            self._stream(reply, reply.events)

    def _stream(self, reply: Reply, events: Iterable[bytes]) -> None:
        entity = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        chunked = self.request_version == "HTTP/1.1"
        if chunked:
            entity["Transfer-Encoding"] = "chunked"
        self._write(self._head(reply, entity), b"")
        if self.command == "HEAD":
            return
        for event in events:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event) if chunked else event)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _head(self, reply: Reply, entity: dict[str, str]) -> bytes:
        fields = {
            "Server": f"example-{self.server.backend.name}",
            "Date": self.date_time_string(),
            **entity,
            **reply.headers,
        }
        if self.close_connection:
            fields["Connection"] = "close"
        lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _write(self, head: bytes, payload: bytes) -> None:
        """Head and body in one segment where they fit: two writes can cost a delayed ACK."""
        self.wfile.write(head if self.command == "HEAD" else head + payload)


def main(backend: Backend) -> None:
    """Serve on the command line's port, say where on stdout, and end with Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description=f"The example backend for {backend.name}.")
    parser.add_argument("--port", type=int, default=0, help="default 0: any free port")
    parser.add_argument("--supervised", action="store_true", help="end when stdin closes")
    options = parser.parse_args()
    server = Server(backend, options.port)
    if options.supervised:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        print(server.origin, flush=True)
        server.serve_forever()


def _end_with_stdin() -> None:
    """The other end of the pipe is the supervisor: it closes however that ends, even by SIGKILL."""
    while os.read(0, 1024):
        pass
    os._exit(0)
