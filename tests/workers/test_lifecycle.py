"""How a gateway stops and reloads, seen from outside: no request is lost by it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from signal import SIGCONT, SIGHUP, SIGINT, SIGSTOP, SIGTERM

import pytest

from gateway.testing import Hang, ScriptedUpstream, Send, Step, Until, Wait
from tests.support.client import Address, Connection, exchange
from tests.support.gunicorn import Gateway, wait_for
from tests.support.messages import request, request_head, response
from tests.workers.conftest import Start
from tests.workers.load import load

OK = response(b"200 OK", body=b"ok")
SLOWLY: list[Step] = [Wait(0.05), Send(OK)]
CLIENTS = 8


def status(address: Address, path: bytes) -> int:
    """The status of a GET on a fresh connection."""
    return exchange(address, request(path)).status


def refuses(address: Address) -> bool:
    """Whether nobody listens any more."""
    try:
        Connection(address).close()
    except ConnectionRefusedError:
        return True
    return False


def listens(port: int) -> bool:
    """Whether any process has a listening socket at a port: it also has one a moment after nobody
    can connect any more, while workers go on as before."""
    fields = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(
        int(local.partition(":")[2], 16) == port and state == "0A"  # TCP_LISTEN
        for _, local, _, state, *_ in fields
    )


def went_well(gateway: Gateway) -> bool:
    """Whether nothing was written to stderr besides gunicorn's ordinary messages."""
    return all(" [INFO] " in line for line in gateway.stderr_text().splitlines())


def serves(pid: int) -> bool:
    """Whether a worker has a connection besides its listener."""
    found = 0
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found += str(fd.readlink()).startswith("socket:")
    return found > 1


def told(pid: int, number: int) -> bool:
    """Whether a signal waits for a stopped process, or one of its threads stopped with it in hand:
    it is blocked there until the handler has run."""
    return any(
        int(line.split()[1], 16) & 1 << (number - 1)
        for status in Path(f"/proc/{pid}/task").glob("*/status")
        for line in status.read_text().splitlines()
        if line.startswith(("ShdPnd:", "SigBlk:"))
    )


def test_drain_says_no_first_and_serves_on(start: Start, upstream: ScriptedUpstream) -> None:
    with start(DRAIN_SECONDS="2") as gateway, Connection(gateway.address) as kept:
        kept.send(request_head(b"/plain/first"))
        assert kept.read_reply().status == 200
        assert status(gateway.address, b"/readyz") == 200
        gateway.signal(SIGTERM)
        assert wait_for(lambda: status(gateway.address, b"/readyz") == 503)
        assert status(gateway.address, b"/healthz") == 200
        assert status(gateway.address, b"/plain/fresh") == 200
        kept.send(request_head(b"/plain/kept"))
        reply = kept.read_reply()
        assert (reply.status, reply.header(b"Connection")) == (200, [b"keep-alive"])
        kept.close()
        assert wait_for(lambda: refuses(gateway.address))
        assert gateway.process.wait(20) == 0


def test_request_in_flight_outlives_the_listener(start: Start, upstream: ScriptedUpstream) -> None:
    go = threading.Event()
    upstream.script([Until(go, 30), Send(OK)])
    with start(DRAIN_SECONDS="1") as gateway, Connection(gateway.address) as connection:
        connection.send(request_head(b"/plain/x"))
        assert upstream.wait_until(lambda: bool(upstream.requests))
        gateway.signal(SIGTERM)
        assert wait_for(lambda: refuses(gateway.address))
        assert gateway.process.poll() is None
        go.set()
        reply = connection.read_reply()
        assert (reply.status, reply.body) == (200, b"ok")
        assert gateway.process.wait(20) == 0


def test_connection_taken_last_may_still_ask(start: Start, upstream: ScriptedUpstream) -> None:
    with start(workers=1) as gateway, Connection(gateway.address) as connection:
        assert listens(gateway.port)
        gateway.signal(SIGTERM)
        assert wait_for(lambda: not listens(gateway.port))
        connection.send(request_head(b"/plain/x"))
        reply = connection.read_reply()
        assert (reply.status, reply.header(b"Connection")) == (200, [b"close"])


def test_who_is_connected_already_is_served(start: Start, upstream: ScriptedUpstream) -> None:
    with start() as gateway, contextlib.ExitStack() as stack:
        with load(gateway.address):
            assert wait_for(lambda: sum(map(serves, gateway.worker_pids())) == 2)
        workers = gateway.worker_pids()
        for pid in workers:
            os.kill(pid, SIGSTOP)
        waiting = [stack.enter_context(Connection(gateway.address)) for _ in range(10)]
        for connection in waiting:
            connection.send(request_head(b"/plain/x"))
        gateway.signal(SIGTERM)
        assert wait_for(lambda: all(told(pid, SIGTERM) for pid in workers))
        for pid in workers:
            os.kill(pid, SIGCONT)
        assert [connection.read_reply().status for connection in waiting] == [200] * 10


@pytest.mark.parametrize("to_all", [False, True], ids=["to the master", "to all processes"])
def test_sigterm_under_load_loses_nothing(
    start: Start, upstream: ScriptedUpstream, to_all: bool
) -> None:
    upstream.script(SLOWLY)
    with start(DRAIN_SECONDS="2") as gateway:
        with load(gateway.address, CLIENTS) as clients:
            assert wait_for(lambda: len(clients.answered) > 50)
            for pid in gateway.worker_pids() if to_all else []:
                os.kill(pid, SIGTERM)
            gateway.signal(SIGTERM)
            asked = time.monotonic()
            assert gateway.process.wait(30) == 0
        assert clients.lost == []
        assert clients.refused == CLIENTS  # nothing else ended a client
        assert clients.answered_since(asked + 1.5) > 0
        assert len(gateway.stdout_lines()) == len(clients.answered)
        assert gateway.stderr_text().count("Booting worker") == 2  # no worker left too early
        assert went_well(gateway)


def test_reload_under_load_loses_nothing(start: Start, upstream: ScriptedUpstream) -> None:
    upstream.script(SLOWLY)
    with start() as gateway, load(gateway.address, CLIENTS) as clients:
        assert wait_for(lambda: len(clients.answered) > 50)
        old = gateway.worker_pids()
        gateway.signal(SIGHUP)
        assert wait_for(lambda: not set(old) & set(gateway.worker_pids()), 30)
        assert len(gateway.worker_pids()) == 2
        renewed = time.monotonic()
        assert wait_for(lambda: clients.answered_since(renewed) > 50)
        clients.finish()
        assert (clients.lost, clients.refused) == ([], 0)
        assert went_well(gateway)


def test_reload_of_what_cannot_start_changes_nothing(start: Start, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k" * 32)
    with start(workers=1, JWT_KEYS=f"HS256:file:{key}") as gateway:
        old = gateway.worker_pids()
        key.write_text("short")
        gateway.signal(SIGHUP)
        assert wait_for(lambda: "Not reloaded" in gateway.stderr_text())
        assert "cannot start:\n- JWT_KEYS" in gateway.stderr_text()
        assert status(gateway.address, b"/plain/x") == 200
        assert gateway.worker_pids() == old
        key.write_text("l" * 32)
        gateway.signal(SIGHUP)
        assert wait_for(lambda: not set(old) & set(gateway.worker_pids()), 30)


def test_worker_told_while_it_starts(start: Start) -> None:
    for delay in (0.0, 0.2):
        with start(workers=3) as gateway:  # the first of them serves, the others may not yet
            time.sleep(delay)
            gateway.signal(SIGTERM)
            assert gateway.process.wait(20) == 0
            assert went_well(gateway)


@pytest.mark.parametrize("draining", [False, True], ids=["serving", "draining"])
def test_sigint_ends_all_at_once(start: Start, upstream: ScriptedUpstream, draining: bool) -> None:
    upstream.script([Hang()])
    with start(DRAIN_SECONDS="60", GRACEFUL_TIMEOUT="60", READ_TIMEOUT="60") as gateway:
        with Connection(gateway.address) as connection:
            connection.send(request_head(b"/plain/x"))
            assert upstream.wait_until(lambda: bool(upstream.requests))
            workers = gateway.worker_pids()
            if draining:
                gateway.signal(SIGTERM)
                assert wait_for(lambda: status(gateway.address, b"/readyz") == 503)
            gateway.signal(SIGINT)
            assert gateway.process.wait(15) == 0
            assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_request_that_takes_too_long_is_cut_off(start: Start, upstream: ScriptedUpstream) -> None:
    upstream.script([Hang()])
    with start(GRACEFUL_TIMEOUT="2", READ_TIMEOUT="60") as gateway:
        with Connection(gateway.address) as connection:
            connection.send(request_head(b"/plain/x"))
            assert upstream.wait_until(lambda: bool(upstream.requests))
            gateway.signal(SIGTERM)
            assert gateway.process.wait(20) == 0
            assert connection.ended()
