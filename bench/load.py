"""The load generator: keep-alive connections in a closed loop, in a process of its own.

Each connection sends its next request when the answer to the last one is complete. The run ends
after `--seconds` or `--requests`, whichever comes first; requests under way are then completed,
so that every request the server worked on is counted. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import time
from collections import Counter
from collections.abc import Sequence

from answers import Answer, IncompleteError, parse_answer

DRAIN_SECONDS = 10.0
POLL_SECONDS = 0.1
# Many paths are asked for in an order that is no order, each as often as any other: a prime.
STRIDE = 7919


class Connection:
    """One client connection and the answer it waits for."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        """Send the whole request; it is far smaller than a socket's buffer."""
        self.received = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> Answer | None:
        """The answer once it is complete, else None; OSError when the peer closes too early."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionResetError("closed in the middle of an answer")
        self.received += data
        try:
            return parse_answer(self.received)
        except IncompleteError:
            return None


class Load:
    """One run against one server."""

    def __init__(self, port: int, requests: Sequence[bytes], limit: int, marker: bytes) -> None:
        self.port, self.requests, self.limit, self.marker = port, requests, limit, marker
        self.selector = selectors.DefaultSelector()
        self.waiting = 0
        self.started = 0
        self.latencies: list[float] = []
        self.errors: Counter[str] = Counter()

    def run(self, connections: int, seconds: float) -> dict[str, object]:
        """Keep all connections busy for that long, then drain and sum up."""
        begin = time.perf_counter()
        end = begin + seconds
        for _ in range(connections):
            self._open(end)
        while self.waiting and time.perf_counter() < end + DRAIN_SECONDS:
            for key, _ in self.selector.select(POLL_SECONDS):
                self._ready(key.data, end)
        if self.waiting:
            self.errors["unanswered"] += self.waiting
        return self._summary(time.perf_counter() - begin)

    def _open(self, end: float) -> None:
        try:
            connection = Connection(self.port)
        except OSError as error:
            self.errors[f"connect: {error}"] += 1
            return
        self.selector.register(connection.socket, selectors.EVENT_READ, connection)
        self._next(connection, end)

    def _next(self, connection: Connection, end: float) -> None:
        if time.perf_counter() >= end or self.started >= self.limit:
            self._close(connection)
            return
        request = self.requests[self.started * STRIDE % len(self.requests)]
        self.started += 1
        self.waiting += 1
        connection.send(request)

    def _ready(self, connection: Connection, end: float) -> None:
        try:
            answer = connection.receive()
            if answer is None:
                return
            self._record(connection, answer)
            self._next(connection, end) if answer.keep_alive else self._replace(connection, end)
        except (OSError, ValueError) as error:
            self.errors[str(error)] += 1
            self.waiting -= 1
            self._replace(connection, end)

    def _record(self, connection: Connection, answer: Answer) -> None:
        self.waiting -= 1
        self.latencies.append(time.perf_counter() - connection.sent_at)
        if answer.status != 200:
            self.errors[f"status {answer.status}"] += 1
        elif self.marker not in connection.received:
            self.errors[f"without {self.marker.decode()}"] += 1

    def _replace(self, connection: Connection, end: float) -> None:
        self._close(connection)
        self._open(end)

    def _close(self, connection: Connection) -> None:
        self.selector.unregister(connection.socket)
        connection.socket.close()

    def _summary(self, seconds: float) -> dict[str, object]:
        ordered = sorted(self.latencies) or [0.0]
        return {
            "requests": len(self.latencies),
            "seconds": seconds,
            "p50": ordered[len(ordered) // 2],
            "p99": ordered[len(ordered) * 99 // 100],
            "errors": dict(self.errors),
        }


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True, help="`{}` is the number of one of --paths")
    parser.add_argument("--paths", type=int, default=1)
    parser.add_argument("--marker", default="", help="every answer must have this somewhere")
    parser.add_argument("--header", action="append", default=[], help="Name: value")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, required=True)
    options = parser.parse_args()
    headers = [f"Host: 127.0.0.1:{options.port}", "Accept: application/json", *options.header]
    rest = "\r\n".join([" HTTP/1.1", *headers, "", ""])
    paths = [options.path.replace("{}", str(number)) for number in range(options.paths)]
    requests = [f"GET {path}{rest}".encode() for path in paths]
    load = Load(options.port, requests, options.requests, options.marker.encode())
    print(json.dumps(load.run(options.connections, options.seconds)))


if __name__ == "__main__":
    main()
