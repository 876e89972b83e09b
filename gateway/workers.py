"""gunicorn's workers with what a gateway needs: one error body, and stops that lose nothing.

Loaded by the master: it imports gunicorn and the standard library only. The worker with greenlets
is in `gevent_worker.py`: importing gevent starts to set a process up for it.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import select
import selectors
import signal
import socket
import sys
import time
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import _DEFER
from gunicorn.workers.gthread import ThreadWorker as _ThreadWorker

from gateway import lifecycle
from gateway.response_writer import use_for_all_responses

_STATUS = (
    (errors.LimitRequestLine, 414, "URI Too Long"),
    (errors.LimitRequestHeaders, 431, "Request Header Fields Too Large"),
    (errors.ExpectationFailed, 417, "Expectation Failed"),
    (errors.UnsupportedTransferCoding, 501, "Not Implemented"),
    (errors.InvalidResponseHeader, 500, "Internal Server Error"),
    (errors.InvalidResponseHeaderName, 500, "Internal Server Error"),
    (errors.ParseException, 400, "Bad Request"),
)
# How long a worker goes on after a signal that may have been sent to every process at once, as
# platforms do, until it knows whether the master wants to drain first.
_GRACE = 1.0
# How long a stopping worker keeps idle client connections: a request may be on its way.
LINGER = 2.0
# How long a thread waits for the first byte on a new connection. gunicorn's five seconds would let
# a few silent clients, such as browsers that connect ahead, take all threads.
_PATIENCE = 0.1


def refused_with(exc: BaseException) -> tuple[int, str]:
    """Status and reason of the answer to a request that cannot be read."""
    return next(
        ((code, text) for kind, code, text in _STATUS if isinstance(exc, kind)),
        (500, "Internal Server Error"),
    )


def arrived(sock: Any) -> bool:
    """Whether something can be read from a socket: bytes, or their end."""
    try:
        sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True  # an end, too
    return True


class GatewayWorker(Worker):
    """Common to both workers."""

    _asked_at: float | None = None  # when SIGTERM came first
    #: Whether client connections are; set in every worker by gateway.server.
    keeps_alive = True

    def init_process(self) -> None:
        """As gunicorn does, with responses of our own."""
        use_for_all_responses()
        super().init_process()

    def init_signals(self) -> None:
        """As gunicorn does, which gives signals their default action first: a SIGTERM just then
        would end the worker, and with the last one all who wait at the listener."""
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, self.SIGNALS)
        try:
            super().init_signals()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that never reached the application."""
        status, reason = refused_with(exc)
        request_id = os.urandom(16).hex()
        if status >= 500 and status != 501:
            self.log.error("%s: error handling request", request_id, exc_info=exc)
        else:
            self.log.warning("%s: malformed request: %s", request_id, type(exc).__name__)
        with contextlib.suppress(OSError):
            util.write_nonblock(client, _refusal(status, reason, request_id))
            util.close_graceful(client, timeout=LINGER)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM. Stop, unless the gateway as a whole is about to drain first."""
        if lifecycle.phase() == lifecycle.STOPPING:
            super().handle_exit(sig, frame)
        elif self._asked_at is None:
            self._asked_at = time.monotonic()

    def notify(self) -> None:
        """Called every second at least by the worker's loop: look again what SIGTERM meant, and
        whether it was missed, as by a worker that had just been forked."""
        super().notify()
        phase = lifecycle.phase()
        if phase == lifecycle.DRAINING:
            # No more replacements: at the end of draining every worker is up, and takes in who
            # is connected already. Without one, they would be reset.
            self.max_requests = sys.maxsize
        if self.alive and self._is_over(phase):
            super().handle_exit(signal.SIGTERM, None)

    def _is_over(self, phase: int) -> bool:
        if phase == lifecycle.STOPPING:
            return True
        if self._asked_at is None or phase == lifecycle.DRAINING:
            return False  # while draining, the master will say when
        # The signal was for this worker: a reload, or one worker too many.
        return time.monotonic() > self._asked_at + _GRACE


def _refusal(status: int, reason: str, request_id: str) -> bytes:
    body = json.dumps(
        {
            "type": "about:blank",
            "title": reason,
            "status": status,
            "detail": "The request is not valid HTTP, or larger than is taken.",
            "code": "malformed_request",
            "request_id": request_id,
        }
    ).encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nX-Request-ID: {request_id}\r\n"
        f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("latin-1") + body


class ThreadWorker(GatewayWorker, _ThreadWorker):
    """Threads: each serves one request."""

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Serve one request; it is the last one if connections are not kept alive."""
        if not self.keeps_alive:
            req.force_close()
        return super().handle_request(req, conn)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Once stopping, also serve who is connected already and be gone for who comes later: a
        connection left waiting at an open listener would be reset in the end."""
        super().set_accept_enabled(enabled)
        if not (enabled or self.alive):
            for listener in self.sockets:
                waiting = select.poll()
                waiting.register(listener, select.POLLIN)
                # No file may be left for one more: the others are still served.
                with contextlib.suppress(OSError):
                    while waiting.poll(0):
                        self.accept(listener)
                listener.close()

    def handle(self, conn: Any) -> Any:
        """Serve a request. A new connection on which nothing is sent soon gives its thread back,
        and is looked at again when something is."""
        fresh = not (conn.initialized or conn.data_ready)
        if fresh and self.cfg.keepalive and not conn.wait_for_data(_PATIENCE):
            return _DEFER
        keep = super().handle(conn)
        if not (keep or _aborted(conn)):
            # Here, as gunicorn waits for the client in the loop that accepts everybody else.
            util.close_graceful(conn.sock, LINGER)
            conn.close = lambda graceful=False: util.close(conn.sock)
        return keep

    def murder_keepalived(self, force: bool = False) -> None:
        """End idle connections whose time is over, unless a request has just come."""
        now = time.monotonic()
        expired = itertools.takewhile(lambda conn: conn.timeout <= now, self.keepalived_conns)
        for conn in [] if force else list(expired):
            if arrived(conn.sock):
                self.on_client_socket_readable(conn, conn.sock)
        super().murder_keepalived(force)

    def murder_pending(self) -> None:
        """End silent connections whose time is over, and the oldest where no other could be taken:
        nobody could ask whether the worker lives."""
        surplus = max(0, self.nr_conns - self.worker_connections + 1)
        for conn in itertools.islice(self.pending_conns, surplus):
            conn.timeout = 0.0
        if not self.alive:
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, time.monotonic() + LINGER)
        super().murder_pending()

    def finish_request(self, conn: Any, fs: Any) -> None:
        """End a connection whose response was aborted at once: a graceful close would first say
        that all was sent. Keep one that was silent so far also when stopping, as long as any."""
        if not (self.alive or fs.cancelled() or fs.exception()) and fs.result() is _DEFER:
            self._await_first(conn)
            return
        if _aborted(conn):
            conn.close = lambda graceful=False: util.close(conn.sock)
        super().finish_request(conn, fs)

    def _await_first(self, conn: Any) -> None:
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + LINGER
        self.pending_conns.append(conn)
        readable = functools.partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, readable)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """SIGINT, SIGQUIT. Leave at once: a plain exit waits for every thread's request, and
        shutting the pool down takes a lock that the interrupted code may hold."""
        self.cfg.worker_int(self)
        os._exit(0)


def _aborted(conn: Any) -> bool:
    return bool(getattr(getattr(conn.parser, "mesg", None), "aborted", False))
