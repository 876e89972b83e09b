"""Processes of the bench: started, watched, their CPU time read, and ended by their pid."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

START_SECONDS = 20.0
STOP_SECONDS = 5.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """The bench cannot give a result; the text says why."""


@contextmanager
def running(
    command: Sequence[str], port: int, environment: Mapping[str, str], folder: Path
) -> Iterator[int]:
    """Run a server until the block ends; gives its pid once it listens on `port`.

    Its standard output is thrown away, as a log collector's end of it would be free to the
    server; its standard error is kept in `folder` to explain a failed start.
    """
    errors = folder / f"{port}.err"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            # Its own session: Ctrl-C reaches the bench alone, which then ends all in order.
            start_new_session=True,
        )
    try:
        _wait_until_listening(process, port, errors)
        yield process.pid
    finally:
        stop(process)


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, errors: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            tail = "\n".join(errors.read_text(errors="replace").splitlines()[-15:])
            raise BenchError(f"a server of the bench did not start:\n{tail}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise BenchError(f"nothing listens on port {port} after {START_SECONDS:.0f} seconds")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children: politely first, by force after a few seconds."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for pid in [*descendants(process.pid), process.pid]:
            with_force(pid)
        process.wait()


def with_force(pid: int) -> None:
    """End the process `pid`; one that is gone already is fine."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on; all are held until all are known, so none comes twice."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def descendants(pid: int) -> list[int]:
    """The children of a process, their children, and so on."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = list(children.get(pid, ()))
    for child in found:
        found += children.get(child, ())
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time that the processes have used so far; BenchError when one is gone."""
    ticks = 0
    for pid in pids:
        fields = _stat(pid)
        if not fields:
            raise BenchError(f"process {pid} ended during the measurement")
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_PER_SECOND


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the command name, which may hold spaces."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
