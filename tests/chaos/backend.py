"""A backend that behaves as it is told, in a process of its own: `python -m tests.chaos.backend`.

Takes the port to serve and the port to be told things at, a line each time:

    mode NAME     how to answer from now on; NAME may be a list with weights, `ok*8,reset,storm`
    seen          how many requests came so far, probes apart, and how many connections are open
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.server import StreamServer

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b"
_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
_BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops"
_HALF_HEAD = b"HTTP/1.1 200 OK\r\nContent-Ty"
_LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 100
_RESET = struct.pack("ii", 1, 0)
_FOREVER = 120.0

Answer = Callable[["Backend", Any], bool]


class Backend:
    """What it does, and what it has seen."""

    def __init__(self, port: int, control: int, name: str) -> None:
        self.name = name
        self._port = port
        self._modes = ["ok"]
        self._since = time.monotonic()
        self._lots = random.Random(1)
        self.requests = 0
        self.probes = 0
        self._open: set[Any] = set()
        self._server: StreamServer | None = None
        self._listen()
        self._control = StreamServer(("127.0.0.1", control), self._told)

    def _listen(self) -> None:
        self._server = StreamServer(("127.0.0.1", self._port), self._serve, backlog=1024)
        self._server.start()

    def run(self) -> None:
        """Serve until the process is ended."""
        self._control.serve_forever()

    def _told(self, sock: Any, _address: object) -> None:
        with sock, sock.makefile("rw") as lines:
            for line in lines:
                word, _, rest = line.strip().partition(" ")
                if word == "mode":
                    self._enter(rest)
                seen = {"requests": self.requests, "probes": self.probes, "open": len(self._open)}
                lines.write(json.dumps(seen) + "\n")
                lines.flush()

    def _enter(self, mode: str) -> None:
        self._since = time.monotonic()
        self._modes = []
        for part in mode.split(","):
            name, _, times = part.partition("*")
            self._modes += [name] * int(times or 1)
        if "refuse" in self._modes and self._server is not None:
            self._server.close()
            self._server = None
            for sock in list(self._open):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        elif "refuse" not in self._modes and self._server is None:
            self._listen()

    def _serve(self, sock: Any, _address: object) -> None:
        self._open.add(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with contextlib.suppress(OSError):
                self._answer_all(sock)
        finally:
            self._open.discard(sock)
            sock.close()

    def _answer_all(self, sock: Any) -> None:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                received = sock.recv(65536)
                if not received:
                    return
                data += received
            head, _, data = data.partition(b"\r\n\r\n")
            data = _skip_body(head, data, sock)
            if head.startswith(b"GET /health "):
                self.probes += 1
            else:
                self.requests += 1
            if not _ANSWERS[self._lots.choice(self._modes)](self, sock):
                return

    def ok(self, sock: Any) -> bool:
        """As it should be."""
        body = self.name.encode()
        sock.sendall(_OK % (len(body), body))
        return True

    def paced(self, sock: Any) -> bool:
        """As it should be, after the time that real work takes."""
        gevent.sleep(0.03)
        return self.ok(sock)

    def slow_start(self, sock: Any) -> bool:
        """Slow at first, better with every second."""
        gevent.sleep(max(0.0, 0.5 - 0.1 * (time.monotonic() - self._since)))
        return self.ok(sock)

    def storm(self, sock: Any) -> bool:
        """503, at once."""
        sock.sendall(_UNAVAILABLE)
        return True

    def broken(self, sock: Any) -> bool:
        """500: a bug of one view, not an outage."""
        sock.sendall(_BROKEN)
        return True

    def reset(self, sock: Any) -> bool:
        """A TCP reset instead of an answer."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        return False

    def hang(self, sock: Any) -> bool:
        """Silence before the head, until the other side leaves."""
        return _silent(sock)

    def half_head(self, sock: Any) -> bool:
        """Silence inside the head."""
        sock.sendall(_HALF_HEAD)
        return _silent(sock)

    def drip(self, sock: Any) -> bool:
        """A body, byte by byte."""
        body = self.name.encode()
        sock.sendall(_OK % (len(body), b""))
        for byte in body:
            gevent.sleep(0.05)
            sock.sendall(bytes([byte]))
        return True

    def die(self, sock: Any) -> bool:
        """A body that breaks off in the middle."""
        sock.sendall(_LONG)
        gevent.sleep(0.01)
        return self.reset(sock)


def _skip_body(head: bytes, data: bytes, sock: Any) -> bytes:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            missing = int(line.partition(b":")[2])
            while len(data) < missing:
                data += sock.recv(65536)
            return data[missing:]
    return data


def _silent(sock: Any) -> bool:
    with gevent.Timeout(_FOREVER, False):
        sock.recv(1)  # the peer's leaving
    return False


_ANSWERS: dict[str, Answer] = {
    "ok": Backend.ok,
    "paced": Backend.paced,
    "slow_start": Backend.slow_start,
    "storm": Backend.storm,
    "broken": Backend.broken,
    "reset": Backend.reset,
    "hang": Backend.hang,
    "half_head": Backend.half_head,
    "drip": Backend.drip,
    "die": Backend.die,
    "refuse": Backend.ok,  # for whoever is connected still
}

if __name__ == "__main__":
    Backend(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]).run()
