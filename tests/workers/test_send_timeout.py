"""Clients that take nothing of the answer that waits for them."""

from __future__ import annotations

import socket
import time

from gateway.testing import ScriptedUpstream, Send
from tests.support.gunicorn import wait_for
from tests.support.messages import request_head, response
from tests.workers.conftest import Start

# More than the buffers of all sockets on the way take.
LARGE = bytes(16 * 1024 * 1024)


def test_a_client_that_does_not_read_is_given_up(start: Start, upstream: ScriptedUpstream) -> None:
    upstream.script([Send(response(b"200 OK", body=LARGE))])
    with start(workers=1, SEND_TIMEOUT="1") as gateway, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", gateway.address))
        client.sendall(request_head(b"/plain/large"))

        def given_up() -> bool:
            told = [line for line in gateway.stdout_lines() if line["path"] == "/plain/large"]
            return [(line["party"], line["reason"]) for line in told] == [("client", "client_gone")]

        assert wait_for(given_up, 20)


def test_a_client_that_reads_slowly_is_not(start: Start, upstream: ScriptedUpstream) -> None:
    upstream.script([Send(response(b"200 OK", body=LARGE))])
    with start(workers=1, SEND_TIMEOUT="2") as gateway, socket.socket() as client:
        client.settimeout(15)
        client.connect(("127.0.0.1", gateway.address))
        client.sendall(request_head(b"/plain/large"))
        received = 0
        while received < len(LARGE):  # longer in all than SEND_TIMEOUT
            received += len(client.recv(1024 * 1024, socket.MSG_WAITALL))
            time.sleep(0.2)
        assert received >= len(LARGE)
