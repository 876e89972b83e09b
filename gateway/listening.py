"""The gateway's listening sockets: what the master asks of the kernel for them."""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import Any

_SO_BINDTOIFINDEX = 62  # asm-generic/socket.h
_NO_INTERFACE = 0x7FFF_FFFF


def bound_sending(server: Any, seconds: float) -> None:
    """Have the kernel end connections whose client takes nothing: who writes to one would wait for
    ever, and keep its place and its slots. Connections have it from the socket they come by.

    seconds: without any progress. 0: as long as the kernel's own way of giving up takes.
    """
    milliseconds = int(seconds * 1000)
    for listener in server.LISTENERS:
        if milliseconds and _is_tcp(listener.sock):
            listener.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def refuse_newcomers(server: Any) -> None:
    """Have the kernel refuse who connects from now on, while those it has let in still wait to be
    accepted. It would reset them when the last process closes the listener, and there always are
    some who come between the last look and the close.

    A listener bound to an interface that does not exist is found by no new connection; those in
    its queue, and handshakes under way, are past that point. It cannot be undone, so it is left
    alone where another process goes on with the same socket. A unix socket needs none of this: its
    path is removed before it is closed. Without Linux 5.7 or later nothing happens.
    """
    if not sys.platform.startswith("linux") or not _ours_alone(server):
        return
    for listener in server.LISTENERS:
        if _is_tcp(listener.sock):
            with contextlib.suppress(OSError):
                listener.sock.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, _NO_INTERFACE)


def refuses_newcomers(sock: Any) -> bool:
    """Whether that was done to this listening socket, in whatever process."""
    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX) == _NO_INTERFACE)
    except OSError:
        return False


def _ours_alone(server: Any) -> bool:
    """Whether nobody outside this gateway has its listeners: systemd (or another who opened them),
    or the gateway before or after this one (SIGUSR2)."""
    inherited = server.systemd or any(isinstance(one, int) for one in server.cfg.address)
    return not inherited and server.reexec_pid == 0 and server.master_pid == 0


def _is_tcp(sock: socket.socket) -> bool:
    return sock.family in (socket.AF_INET, socket.AF_INET6)
