"""Starting, telling and killing misbehaving backends."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.gunicorn import ROOT, free_port, wait_for
from tests.support.warm import Process, Program, starter


@dataclass(slots=True)
class Instance:
    """One backend process; it can be killed and started again at the same address."""

    name: str
    folder: Path
    port: int = field(default_factory=free_port)
    control: int = field(default_factory=free_port)
    process: Process | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Run, and be ready."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            program = Program(
                "tests.chaos.backend",
                [str(self.port), str(self.control), self.name],
                str(ROOT),
                {"PATH": os.environ["PATH"]},
            )
            self.process = starter("gevent.server").start(program, log, log)

        def answers() -> bool:
            with contextlib.suppress(OSError):
                return bool(self.seen())
            return False

        assert wait_for(answers, 20), "the backend did not start"

    def kill(self) -> None:
        """End at once, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def mode(self, mode: str) -> None:
        """Behave like this from now on."""
        self._tell(f"mode {mode}")

    def seen(self) -> dict[str, int]:
        """What came so far: `requests`, `probes`; and `open` connections now."""
        return self._tell("seen")

    def _tell(self, line: str) -> dict[str, int]:
        with socket.create_connection(("127.0.0.1", self.control), 5) as sock:
            sock.sendall(line.encode() + b"\n")
            answer: dict[str, int] = json.loads(sock.makefile().readline())
            return answer


@contextlib.contextmanager
def instances(folder: Path, *names: str) -> Iterator[list[Instance]]:
    """Backends that run, ended with the block."""
    started = [Instance(name, folder) for name in names]
    try:
        for one in started:
            one.start()
        yield started
    finally:
        for one in started:
            one.kill()
