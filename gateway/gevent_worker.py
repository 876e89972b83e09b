"""gunicorn's gevent worker with what a gateway needs; `workers.py` has what both have in common.

Loaded by the master where greenlets are wanted, and only there.
"""
# mypy: allow-subclassing-any

from __future__ import annotations

import contextlib
import functools
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.workers.ggevent import GeventWorker as _GeventWorker

from gateway.workers import LINGER, GatewayWorker

# Places for connections that are kept free by ending idle ones.
_SPARE = 16


class GeventWorker(GatewayWorker, _GeventWorker):
    """Greenlets: each serves one connection."""

    def init_process(self) -> None:
        """As gunicorn does; it ends when the worker does."""
        self._clients: dict[Any, Any] = {}
        self._idle: dict[Any, None] = {}  # in the order in which they became idle
        super().init_process()

    def run(self) -> None:
        """Serve until told to stop, then finish what was begun."""
        servers = [self._server(listener) for listener in self.sockets]
        while self.alive:
            self.notify()
            gevent.sleep(0.5)
        for server in servers:
            _accept_rest(server)
            server.close()
        self._finish(servers, time.monotonic())
        if _busy(servers):
            self.log.warning("Worker graceful timeout (pid:%s)", self.pid)
            for server in servers:
                server.stop(timeout=1)

    def _finish(self, servers: list[Any], stopped: float) -> None:
        while _busy(servers) and time.monotonic() < stopped + self.cfg.graceful_timeout:
            self.notify()
            if time.monotonic() > stopped + LINGER:
                self._close_idle()
            gevent.sleep(0.2)

    def _server(self, listener: Any) -> Any:
        listener.setblocking(1)
        serve = functools.partial(self.handle, _Named(listener.getsockname()))
        server = StreamServer(listener, handle=serve, spawn=Pool(self.worker_connections))
        if self.cfg.workers > 1:
            server.max_accept = 1  # leave some for the others
        server.start()
        return server

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection."""
        greenlet = gevent.getcurrent()
        self._clients[greenlet] = client
        try:
            super().handle(listener, client, addr)
        finally:
            del self._clients[greenlet]

    @contextlib.contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """Around the wait for a connection's next request."""
        greenlet = gevent.getcurrent()
        self._idle[greenlet] = None
        if len(self._clients) > self.worker_connections - _SPARE:
            self._make_room(greenlet)
        try:
            with gevent.Timeout(self.cfg.keepalive or None, False):
                yield
        finally:
            self._idle.pop(greenlet, None)

    def _make_room(self, newest: Any) -> None:
        """End the connection idle for longest: with all of them taken, nobody could ask whether
        the worker lives."""
        oldest = next(iter(self._idle))
        if oldest is not newest:
            del self._idle[oldest]
            self._end_input(oldest)

    def _close_idle(self) -> None:
        """End connections nobody sends on: their greenlets would wait for them."""
        for greenlet in list(self._idle):
            self._end_input(greenlet)

    def _end_input(self, greenlet: Any) -> None:
        with contextlib.suppress(OSError):
            # Bytes already received are still read: no request is lost. By the socket below
            # gevent's, whose own way ends the wait with an error instead of the input.
            self._clients[greenlet]._sock.shutdown(socket.SHUT_RD)


@dataclass(frozen=True, slots=True)
class _Named:
    """What a connection needs of its listener, which may be closed before it is served."""

    name: Any

    def getsockname(self) -> Any:
        """As of a socket."""
        return self.name


def _busy(servers: list[Any]) -> bool:
    """Whether a connection is served, or is about to be."""
    return any(len(server.pool) for server in servers)


def _accept_rest(server: Any) -> None:
    """Take who is connected already: closing the listener would reset them."""
    while not server.full() and (accepted := server.do_read()):
        server.do_handle(*accepted)
