"""A gateway in its own processes: gunicorn, started as it is in production and always ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.client import Address, Ended, exchange
from tests.support.warm import Process, Program, starter

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a secret of tests, longer than thirty-two bytes"
#: What gunicorn's master has loaded before it reads the application, and with threads (see
#: gateway/server.py) as well.
MASTER = ("gunicorn.app.wsgiapp", "gunicorn.arbiter", "limits", "pydantic_settings")
THREADS = ("cachetools", "flask", "flask_limiter", "jwt", "lmdb", "orjson", "requests")
_START = 30.0
_STOP = 8.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway: where it listens, its processes, and what it has written."""

    address: Address
    folder: Path
    process: subprocess.Popen[bytes] | Process

    @property
    def port(self) -> int:
        """The port it listens on; only for a gateway that has one."""
        assert isinstance(self.address, int)
        return self.address

    @property
    def pid(self) -> int:
        """The process id of gunicorn's arbiter."""
        return self.process.pid

    def worker_pids(self) -> list[int]:
        """The arbiter's children, lowest id first."""
        return sorted(pid for pid, parent in _parents() if parent == self.pid)

    def stdout_lines(self) -> list[dict[str, Any]]:
        """The access log: one object per request answered so far."""
        return [line for line in self._lines() if "event" not in line]

    def events(self, request_id: str) -> list[dict[str, Any]]:
        """The security log's lines of one request; they are written before its response."""
        return [x for x in self._lines() if "event" in x and x["request_id"] == request_id]

    def line_of(self, request_id: str) -> dict[str, Any]:
        """The access log's line of one request; it is written just after the response."""
        found: list[dict[str, Any]] = []

        def written() -> bool:
            found[:] = [one for one in self.stdout_lines() if one["request_id"] == request_id]
            return bool(found)

        if not wait_for(written):
            raise AssertionError(f"no line of {request_id} in the access log")
        return found[0]

    def _lines(self) -> list[dict[str, Any]]:
        whole, _, _half = (self.folder / "stdout").read_text().rpartition("\n")
        return [json.loads(line) for line in whole.split("\n") if line.startswith("{")]

    def stderr_text(self) -> str:
        """What it has written to stderr."""
        return (self.folder / "stderr").read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the arbiter."""
        self.process.send_signal(number)


@contextlib.contextmanager
def start_gateway(
    app: str = "tests.wire.app:app",
    *,
    worker_class: str = "gevent",
    workers: int = 1,
    env: Mapping[str, str] | None = None,
    unix: bool = False,
) -> Iterator[Gateway]:
    """A gateway that is ready, on a free port or a unix socket; ended with the block.

    Its environment is `env`, what a test needs to be deterministic, and nothing of ours besides
    PATH and HOME. AssertionError with its stderr when it does not get ready.
    """
    with tempfile.TemporaryDirectory(prefix="gw-") as name:
        folder = Path(name)
        address: Address = str(folder / "gateway.sock") if unix else free_port()
        settings = {
            **{key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ},
            "JWT_SECRET": SECRET,
            "RATE_LIMIT_DEFAULT": "",
            "RATE_LIMIT_FAILED_LOGINS": "",
            "STATE_URL": f"lmdb://{folder / 'state'}",
            "WEB_CONCURRENCY": str(workers),
            "WORKER_CLASS": worker_class,
            "DRAIN_SECONDS": "0",
            "GRACEFUL_TIMEOUT": "3",
            **({"BIND": f"unix:{address}"} if unix else {"PORT": str(address)}),
            **(env or {}),
        }
        gateway = Gateway(address, folder, _run(app, folder, settings))
        try:
            _wait_until_ready(gateway)
            yield gateway
        finally:
            _end(gateway.process)


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(condition: Callable[[], object], timeout: float = 10.0) -> bool:
    """Whether a condition came true in time, looked at every few milliseconds."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def suspend(process: subprocess.Popen[bytes]) -> None:
    """Stop a process without ending it; on a busy machine it may go on for a moment."""
    process.send_signal(signal.SIGSTOP)

    def stopped() -> bool:
        threads = Path(f"/proc/{process.pid}/task").glob("*/stat")
        return all(one.read_text().rpartition(")")[2].split()[0] == "T" for one in threads)

    assert wait_for(stopped)


def _run(app: str, folder: Path, settings: Mapping[str, str]) -> subprocess.Popen[bytes] | Process:
    words = ["-c", "python:gateway.server", app]
    # Files and not pipes: a pipe that nobody empties would stop the gateway once it is full.
    with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
        if not any(name.startswith("PYTHON") for name in settings):
            libraries = MASTER + THREADS if settings["WORKER_CLASS"] == "gthread" else MASTER
            program = Program("gunicorn", words, str(ROOT), settings)
            return starter(*libraries).start(program, stdout, stderr)
        return subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *words],
            cwd=ROOT,
            env=dict(settings),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            process_group=0,
        )


def _wait_until_ready(gateway: Gateway) -> None:
    def over() -> bool:
        return gateway.process.poll() is not None or _ready(gateway.address)

    if not wait_for(over, _START) or gateway.process.poll() is not None:
        raise AssertionError(f"the gateway did not get ready:\n{gateway.stderr_text()}")


def _ready(address: Address) -> bool:
    try:
        reply = exchange(address, b"GET /readyz HTTP/1.1\r\nHost: probe\r\n\r\n", timeout=5)
    except (OSError, Ended):
        return False
    return reply.status == 200


def _end(process: subprocess.Popen[bytes] | Process) -> None:
    """Ask it to stop, and make it stop if it takes long; its workers go with it."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(_STOP)


def _parents() -> Iterator[tuple[int, int]]:
    """Every process and its parent. The name before the state may hold spaces and brackets."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            yield int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])
