"""Minutes of mixed traffic and reloads: nothing is lost, nothing piles up. Run by `make soak`."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.support.gunicorn import Gateway
from tests.workers.conftest import Start
from tests.workers.load import Load, load

pytestmark = pytest.mark.soak

SECONDS = 120.0
EVERY = 20.0


def leave_early(port: int, over: threading.Event) -> None:
    """Clients that leave in the middle: of a head, of a body, or before the answer."""
    for count, part in enumerate(_parts()):
        if over.wait(0.05):
            return
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as one:
            one.sendall(part[: 5 + count % len(part)])


def _parts() -> list[bytes]:
    get = b"GET /plain/x HTTP/1.1\r\nHost: soak\r\n\r\n"
    post = b"POST /plain/x HTTP/1.1\r\nHost: soak\r\nContent-Length: 900\r\n\r\n" + b"x" * 900
    return [get, post] * 100_000


def descriptors(gateway: Gateway) -> int:
    """The most open files of a worker."""
    return max(sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()) for pid in gateway.worker_pids())


def resident(gateway: Gateway) -> int:
    """The most memory of a worker, in KiB."""
    found = []
    for pid in gateway.worker_pids():
        status = Path(f"/proc/{pid}/status").read_text()
        found.append(int(status.partition("VmRSS:")[2].split()[0]))
    return max(found)


def watch(gateway: Gateway, working: Load) -> tuple[list[int], list[int]]:
    """Memory and files while the load goes on, after each interval; one reload on the way."""
    memory, files = [], []
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        time.sleep(EVERY)
        assert not working.lost
        memory.append(resident(gateway))
        files.append(descriptors(gateway))
        if len(memory) == 1:
            gateway.signal(signal.SIGHUP)
    return memory, files


def test_nothing_is_lost_and_nothing_piles_up(start: Start) -> None:
    over = threading.Event()
    with start(RATE_LIMIT_DEFAULT="", ACCESS_LOG="false") as gateway:
        leaver = threading.Thread(target=leave_early, args=(gateway.port, over), daemon=True)
        leaver.start()
        with load(gateway.address, clients=8) as working:
            memory, files = watch(gateway, working)
        over.set()
        leaver.join(10)
        assert not working.lost
        assert working.answered
        # From the second interval on the workers are the reloaded ones, and warm.
        assert memory[-1] - memory[2] < 16 * 1024
        assert files[-1] < files[2] + 32
        assert "Traceback" not in gateway.stderr_text()
