"""gunicorn's workers with what a gateway needs: one error body, and stops that lose nothing.

Loaded by the master: it imports gunicorn and the standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import ThreadWorker as _ThreadWorker

from gateway import lifecycle

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
_LINGER = 2.0


class _GatewayWorker(Worker):
    """Common to both workers."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that never reached the application."""
        status, reason = next(
            ((code, text) for kind, code, text in _STATUS if isinstance(exc, kind)),
            (500, "Internal Server Error"),
        )
        if status >= 500 and status != 501:
            self.log.error("Error handling request", exc_info=exc)
        else:
            self.log.warning("Refused a malformed request: %s", type(exc).__name__)
        with contextlib.suppress(OSError):
            util.write_nonblock(client, _refusal(status, reason))
            util.close_graceful(client, timeout=_LINGER)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM. Stop, unless the gateway as a whole is about to drain first."""
        if lifecycle.phase() == lifecycle.STOPPING:
            super().handle_exit(sig, frame)
        else:
            timer = threading.Timer(_GRACE, self._exit_unless_draining, (sig,))
            timer.daemon = True
            timer.start()

    def _exit_unless_draining(self, sig: int) -> None:
        if lifecycle.phase() != lifecycle.DRAINING:  # else the master will say when
            super().handle_exit(sig, None)


def _refusal(status: int, reason: str) -> bytes:
    request_id = os.urandom(16).hex()
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


class ThreadWorker(_GatewayWorker, _ThreadWorker):
    """Threads: each serves one request."""


def __getattr__(name: str) -> Any:
    """GeventWorker, where gevent is wanted: importing it starts to set the process up for it."""
    if name != "GeventWorker":
        raise AttributeError(name)
    import gevent
    from gunicorn.workers.ggevent import GeventWorker as _GeventWorker

    class GeventWorker(_GatewayWorker, _GeventWorker):
        """Greenlets: each serves one connection."""

        def init_process(self) -> None:
            self._clients: dict[Any, Any] = {}
            self._idle: set[Any] = set()
            super().init_process()

        def run(self) -> None:
            gevent.spawn(self._close_idle)
            super().run()

        def handle(self, listener: Any, client: Any, addr: Any) -> None:
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
            self._idle.add(greenlet)
            try:
                with gevent.Timeout(self.cfg.keepalive or None, False):
                    yield
            finally:
                self._idle.discard(greenlet)

        def _close_idle(self) -> None:
            """Once stopping, end connections nobody sends on: gunicorn would wait for them."""
            while self.alive:
                gevent.sleep(0.5)
            gevent.sleep(_LINGER)
            while True:
                for greenlet in list(self._idle):
                    with contextlib.suppress(OSError):
                        # Bytes already received are still read: no request is lost.
                        self._clients[greenlet].shutdown(socket.SHUT_RD)
                gevent.sleep(0.5)

    globals()[name] = GeventWorker
    return GeventWorker
