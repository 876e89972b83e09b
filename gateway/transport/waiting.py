"""Waiting for whichever comes first: more of the client's body, or word from the upstream."""

from __future__ import annotations

import select

from gateway.exchange import BodySource
from gateway.transport.connection import Connection


def either_readable(body: BodySource, connection: Connection, seconds: float) -> bool:
    """Wait until one of the two has something, at most `seconds`. False: only the client has, or
    nobody, or the server in front of us shows no socket to wait on."""
    client = body.fileno()
    if client is None:
        return False
    # Looked up at each call: under gevent this is the one that lets other greenlets run.
    poll = select.poll()
    poll.register(client, select.POLLIN)
    poll.register(connection.fileno(), select.POLLIN)
    ready = {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
    return connection.fileno() in ready
