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

from gateway import listening
from gateway.workers import LINGER, GatewayWorker, arrived

# Places for connections that are kept free by ending idle ones.
_SPARE = 16
# Seconds until a connection whose time was over, but that had sent something, is looked at again.
_AGAIN = 1.0


class GeventWorker(GatewayWorker, _GeventWorker):
    """Greenlets: each serves one connection."""

    def init_process(self) -> None:
        """As gunicorn does; it ends when the worker does."""
        self._clients: dict[Any, Any] = {}
        self._idle: dict[Any, float] = {}  # since when; in the order in which they became idle
        self._ended: set[Any] = set()  # whose input was ended
        super().init_process()

    def run(self) -> None:
        """Serve until told to stop, then finish what was begun."""
        servers = [self._server(listener) for listener in self.sockets]
        while self.alive:
            self.notify()
            gevent.sleep(0.5)
        self._finish(servers, time.monotonic())
        if _busy(servers):
            self.log.warning("Worker graceful timeout (pid:%s)", self.pid)
            for server in servers:
                server.stop(timeout=1)

    def _finish(self, servers: list[Any], stopped: float) -> None:
        while _unfinished(servers) and time.monotonic() < stopped + self.cfg.graceful_timeout:
            self.notify()
            self._close_idle(time.monotonic() - LINGER, stopped)
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
            self._ended.discard(greenlet)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Serve one request; it is the last one if no other could be read, or if connections are
        not kept alive."""
        if not self.keeps_alive or gevent.getcurrent() in self._ended:
            req.force_close()
        super().handle_request(listener_name, req, sock, addr)

    @contextlib.contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """Around the wait for a connection's next request. Its time may be over while the request
        waits to be read, as the loop looks at clocks first: then it is read."""
        greenlet = gevent.getcurrent()
        self._idle[greenlet] = time.monotonic()
        if len(self._clients) > self.worker_connections - _SPARE:
            self._make_room(greenlet)
        timer = gevent.get_hub().loop.timer(self.cfg.keepalive, _AGAIN)
        timer.start(self._end_input, greenlet)
        try:
            yield
        finally:
            timer.stop()
            timer.close()
            self._idle.pop(greenlet, None)

    def _make_room(self, newest: Any) -> None:
        """End the connection idle for longest: with all of them taken, nobody could ask whether
        the worker lives."""
        for oldest in self._idle:
            if oldest is not newest and self._end_input(oldest):
                del self._idle[oldest]
                break

    def _close_idle(self, since: float, stopped: float) -> None:
        """End connections nobody has sent on for long, in a worker that stops: their greenlets
        would wait for them."""
        for greenlet, began in list(self._idle.items()):
            if max(began, stopped) < since:
                self._end_input(greenlet)

    def _end_input(self, greenlet: Any) -> bool:
        """Have a greenlet find the end of its input; False if there is something to read first."""
        # The socket below gevent's, whose own way ends the wait with an error instead.
        client = self._clients[greenlet]._sock
        if arrived(client):
            return False
        # What comes before the greenlet sees it is still read, and its answer is the last.
        self._ended.add(greenlet)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RD)
        return True


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


def _unfinished(servers: list[Any]) -> bool:
    """Whether something is left to do for a worker that stops. It closes a listener once nobody
    waits there: they would be reset. A full worker does so later, but only where no newcomers keep
    it full; elsewhere others go on with the same listener."""
    for server in servers:
        if not server.closed:
            _accept_rest(server)
            if not (server.full() and listening.refuses_newcomers(server.socket)):
                server.close()
    return _busy(servers)


def _accept_rest(server: Any) -> None:
    """Take who is connected already, as far as there is room."""
    with contextlib.suppress(OSError):  # no file is left for one more: the others are still served
        while not server.full() and (accepted := server.do_read()):
            server.do_handle(*accepted)
