"""One connection to an upstream: made, written, read, always against a limit of time."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import certifi

from gateway.client import plain_poll
from gateway.errors import ClientGone, ConnectFailed, ConnectTimeout
from gateway.urls import Origin

RECEIVE = 64 * 1024
# Every wait is cut into slices, after each of which the client is looked at: one that has left
# is noticed within a slice while the upstream is silent.
SLICE = 0.5


class Connection:
    """An open connection. Not shared: one exchange at a time."""

    __slots__ = ("_early", "_poll", "_wait", "idle_since", "reused", "sock", "wrote")

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self._early = b""  # taken from the socket before it was asked for
        self._wait = SLICE
        sock.settimeout(SLICE)
        self._poll: Any = None
        self.idle_since = 0.0
        self.reused = False
        self.wrote = False  # whether a byte of the present request was handed over

    def send(
        self, data: bytes, idle: float, deadline: float, abandoned: Callable[[], bool]
    ) -> None:
        """Write all of `data`; TimeoutError when `idle` seconds pass without progress, or when it
        is not done by `deadline`."""
        try:
            sent = self.sock.send(data)
        except TimeoutError:
            sent = 0
        else:
            self.wrote = True
        if sent == len(data):
            return
        view = memoryview(data)[sent:]
        limit = min(time.monotonic() + idle, deadline)
        while view:
            left = self._wait_until(limit)
            try:
                view = view[self.sock.send(view) :]
            except TimeoutError:
                self._still_worth_waiting(limit, abandoned, looked=left <= 0)
            else:
                self.wrote = True
                now = time.monotonic()
                if view and now >= deadline:
                    raise TimeoutError
                limit = min(now + idle, deadline)

    def receive(self, limit: float, abandoned: Callable[[], bool]) -> bytes:
        """The next bytes, empty at the end of the stream; TimeoutError after `limit`."""
        if self._early:
            data, self._early = self._early, b""
            return data
        while True:
            left = self._wait_until(limit)
            try:
                return bytes(self.sock.recv(RECEIVE))
            except TimeoutError:
                self._still_worth_waiting(limit, abandoned, looked=left <= 0)

    def _wait_until(self, limit: float) -> float:
        """Have the socket wait for a slice, or for what is left of it, which is returned."""
        left = limit - time.monotonic()
        wait = SLICE if left >= SLICE else max(left, 0.001)
        if wait != self._wait:
            self._wait = wait
            self.sock.settimeout(wait)
        return left

    def _still_worth_waiting(
        self, limit: float, abandoned: Callable[[], bool], *, looked: bool
    ) -> None:
        """Raise ClientGone or TimeoutError if it is not. looked: since time is over. That is done
        once: gevent's loop, when it is late, looks at clocks first, and what has come in time, or
        room for what is to be sent, would be lost."""
        if abandoned():
            raise ClientGone
        if looked and time.monotonic() >= limit:
            raise TimeoutError

    def readable(self) -> bool:
        """Whether bytes or the end of the stream are waiting. Mostly costs one system call."""
        if self._early:
            return True
        if self._poll is None:
            self._poll = plain_poll()
            self._poll.register(self.sock.fileno(), select.POLLIN)
        if not self._poll.poll(0):
            return False
        return not isinstance(self.sock, ssl.SSLSocket) or self._said_something()

    def _said_something(self) -> bool:
        """Whether there is more than TLS's own messages: session tickets are no answer."""
        self.sock.settimeout(0)
        try:
            self._early = self.sock.recv(RECEIVE)
        except ssl.SSLWantReadError:
            return False
        except OSError:
            pass  # the end, whichever it is
        finally:
            self.sock.settimeout(self._wait)
        return True

    def fileno(self) -> int:
        """The descriptor, to wait on."""
        return int(self.sock.fileno())

    def close(self) -> None:
        """Close; never fails."""
        with contextlib.suppress(OSError):
            self.sock.close()


def connect(origin: Origin, timeout: float, ca_file: str, address: str = "") -> Connection:
    """Open a connection within `timeout` seconds; https certificates are always verified.

    Raises ConnectTimeout or ConnectFailed: no byte was sent, so retrying is safe.
    """
    sock = _open(address or origin.host, origin.port, timeout)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if origin.scheme == "https":
            # A stream that ends without TLS's own end was cut: it must not look complete.
            sock = _tls(ca_file).wrap_socket(
                sock, server_hostname=origin.host, suppress_ragged_eofs=False
            )
    except TimeoutError as error:
        sock.close()
        raise ConnectTimeout(str(error)) from None
    except (OSError, ValueError) as error:
        sock.close()
        raise ConnectFailed(str(error)) from None
    return Connection(sock)


def _open(host: str, port: int, timeout: float) -> Any:
    """A connected socket: the first of the name's addresses that answers, all in `timeout`.

    Resolving the name is not bounded; under gevent it lets others run.
    """
    end = time.monotonic() + timeout
    failed = "resolving the name took too long"
    for family, address in _addresses(host, port):
        left = end - time.monotonic()
        if left <= 0:
            raise ConnectTimeout(failed)
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(left)
        try:
            sock.connect(address)
        except OSError as error:
            if isinstance(error, TimeoutError) and _is_connected(sock):
                return sock
            sock.close()
            failed = str(error)
            if isinstance(error, TimeoutError):
                raise ConnectTimeout(failed) from None
        else:
            return sock
    raise ConnectFailed(failed)


def _addresses(host: str, port: int) -> list[tuple[int, Any]]:
    """The families and addresses of a name. An address is its own: the resolver under gevent is a
    few threads, and a burst of requests would wait there for nothing. Raises ConnectFailed."""
    for family, rest in ((socket.AF_INET, ()), (socket.AF_INET6, (0, 0))):
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(family, host)
            return [(family, (host, port, *rest))]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # a name that IDNA cannot encode
        raise ConnectFailed(str(error)) from None
    return [(family, address) for family, _, _, _, address in found]


def _is_connected(sock: Any) -> bool:
    """Whether a connection has come about in time after all: gevent's loop, when it is late, looks
    at clocks first."""
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


@lru_cache(maxsize=8)
def _tls(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file or certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
