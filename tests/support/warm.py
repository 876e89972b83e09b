"""Python programs that start warm: forked from a process that has loaded their libraries.

Most of what a command or a gateway's master does at its start is imports. Run as a script, this is
the process that has done them; it loads nothing of ours, and nothing that was not asked for.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import IO

#: What our commands load, besides the gateway.
COMMANDS = (
    "alembic.command",
    "cachetools",
    "flask_limiter",
    "gunicorn.http",
    "jwt",
    "lmdb",
    "orjson",
    "pydantic_settings",
    "redis",
    "requests",
)
_LONGEST = 1 << 18


@dataclass(frozen=True, slots=True)
class Program:
    """A script, or a module as `python -m` runs it; its words, folder and environment.

    brief: its process ends without taking its memory apart, which it would have to copy first.
    """

    name: str
    words: Sequence[str]
    folder: str
    environ: Mapping[str, str]
    brief: bool = False


class Process:
    """A program that was started, or has ended: what we use of subprocess.Popen. It leads a group
    of processes of its own."""

    def __init__(self, told: socket.socket) -> None:
        self._told = told
        self._lines = told.makefile("r")
        first = self._lines.readline()
        assert first, "the program was not started"
        self.pid = int(first)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, if it has ended; of one that was killed, the negative signal."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, awaited; subprocess.TimeoutExpired if it does not end in time."""
        if self.returncode is None:
            ready, _, _ = select.select([self._told], [], [], timeout)
            if not ready:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            self.returncode = int(self._lines.readline())
            self._lines.close()
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class Starter:
    """The process that has loaded libraries; it is alone with them, without our environment."""

    def __init__(self, libraries: Sequence[str]) -> None:
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(other.fileno()), *libraries],
                env={"PATH": os.environ["PATH"]},
                pass_fds=[other.fileno()],
            )

    def start(self, program: Program, stdout: IO[bytes], stderr: IO[bytes]) -> Process:
        """Start a program whose stdin is empty."""
        ours, other = socket.socketpair()
        with other, Path(os.devnull).open("rb") as nothing:
            data = json.dumps(asdict(program)).encode()
            assert len(data) < _LONGEST
            files = [one.fileno() for one in (other, nothing, stdout, stderr)]
            socket.send_fds(self._control, [data], files)
        return Process(ours)

    def end(self) -> None:
        """Start no more. What was started goes on."""
        self._control.close()
        self._process.wait(20)


_starters: dict[tuple[str, ...], Starter] = {}


def starter(*libraries: str) -> Starter:
    """The process that has loaded these; one for all tests of this process."""
    if libraries not in _starters:
        _starters[libraries] = Starter(libraries)
    return _starters[libraries]


def run_command(
    script: Path, words: Sequence[str], folder: Path, environ: Mapping[str, str]
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command, such as `flask`."""
    # What Python reads as it starts, it has read.
    assert not [name for name in environ if name.startswith("PYTHON") and name != "PYTHONPATH"]
    program = Program(str(script), words, str(folder), environ, brief=True)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = starter(*COMMANDS).start(program, out, err)
        try:
            code = process.wait(60)
        finally:
            process.kill()
            process.wait(20)
        out.seek(0)
        err.seek(0)
        return code, out.read().decode(), err.read().decode()


def end_starters() -> None:
    """End those that there are."""
    while _starters:
        _starters.popitem()[1].end()


def _serve(control: socket.socket) -> None:
    """Start what is asked for and tell how it ends, until nobody is there to ask."""
    running: dict[int, tuple[int, int]] = {}
    polled = select.poll()
    polled.register(control, select.POLLIN)
    while True:
        for ready, _ in polled.poll():
            if ready != control.fileno():
                pid, told = running.pop(ready)
                polled.unregister(ready)
                os.close(ready)
                _tell(told, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                os.close(told)
                continue
            data, files, _, _ = socket.recv_fds(control, _LONGEST, 4)
            if not data:
                return
            told, *files = files
            pid = os.fork()
            if pid == 0:
                control.detach()
                _become(Program(**json.loads(data)), files)
            for one in files:
                os.close(one)
            _tell(told, pid)
            watched = os.pidfd_open(pid)
            running[watched] = pid, told
            polled.register(watched, select.POLLIN)


def _tell(told: int, number: int) -> None:
    with contextlib.suppress(OSError):  # nobody wants to know any more
        os.write(told, b"%d\n" % number)


def _become(program: Program, files: list[int]) -> None:
    """Be this program, as if Python had been started with it; ends the process."""
    os.setpgid(0, 0)
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.closerange(3, 4096)
    os.chdir(program.folder)
    os.environ.clear()
    os.environ.update(program.environ)
    sys.stdin = open(0)  # noqa: SIM115  for as long as the process
    script = program.name.endswith(".py") or os.sep in program.name
    place = os.path.dirname(program.name) if script else program.folder  # noqa: PTH120
    more = program.environ.get("PYTHONPATH", "")
    sys.path[:0] = [place, *filter(None, more.split(os.pathsep))]
    sys.argv = [program.name, *program.words]
    if program.brief:
        gc.disable()
        with _brief():
            _run(program.name, script)
    _run(program.name, script)


def _run(name: str, script: bool) -> None:
    if script:
        runpy.run_path(name, run_name="__main__")
    else:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    sys.exit()


@contextlib.contextmanager
def _brief() -> Iterator[None]:
    """Leave the process at once when all has been done that is done at the end of a program."""
    _codes[os.getpid()] = 1
    try:
        yield
    except SystemExit as end:
        if not isinstance(end.code, str):
            _codes[os.getpid()] = end.code or 0
        raise


_codes: dict[int, int] = {}


def _leave() -> None:
    if os.getpid() in _codes:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_codes[os.getpid()])


if __name__ == "__main__":
    del sys.path[0]  # our own folder, which has a gunicorn.py
    atexit.register(_leave)  # what is registered first comes last
    for library in sys.argv[2:]:
        import_module(library)
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        _serve(asked)
