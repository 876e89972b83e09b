"""What a gevent worker does with connections it has not accepted yet when it is told to stop."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import gevent
from gevent.pool import Pool
from gevent.server import StreamServer

from gateway.gevent_worker import _accept_rest, _busy


def listening(stack: contextlib.ExitStack) -> Any:
    """A socket as the worker has it: one of gevent's."""
    listener = stack.enter_context(gevent.socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener


def test_connections_in_the_queue_are_served() -> None:
    with contextlib.ExitStack() as stack:
        listener = listening(stack)
        pool = Pool(100)
        server = StreamServer(listener, handle=lambda sock, _: sock.sendall(b"served"), spawn=pool)
        server.max_accept = 1
        server.start()
        address = listener.getsockname()
        clients = [stack.enter_context(socket.create_connection(address)) for _ in range(10)]
        _accept_rest(server)  # the loop did not run yet: all of them are in the queue
        server.close()
        assert _busy([server])  # though no greenlet has begun yet
        pool.join(10)
        for client in clients:
            client.settimeout(10)
            assert client.recv(10) == b"served"
        assert not _busy([server])


def test_full_worker_leaves_the_rest_to_others() -> None:
    with contextlib.ExitStack() as stack:
        listener = listening(stack)
        server = StreamServer(listener, handle=lambda *_: gevent.sleep(60), spawn=Pool(2))
        server.start()
        address = listener.getsockname()
        for _ in range(4):
            stack.enter_context(socket.create_connection(address))
        with gevent.Timeout(10):
            _accept_rest(server)
        assert server.full()
        server.stop(timeout=0)
