"""A gateway that is expected not to start, or only to show its settings."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from tests.support.gunicorn import ROOT, SECRET, free_port

APP = "tests.workers.app:app"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a process ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def faults(self) -> list[str]:
        """The lines of the list of faults."""
        return [line for line in self.stderr.splitlines() if line.startswith("- ")]


def run_gunicorn(app: str = APP, *options: str, **settings: str) -> Outcome:
    """Run gunicorn to its end; if it serves instead it is killed, subprocess.TimeoutExpired."""
    environment = {
        **{key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ},
        "JWT_SECRET": SECRET,
        "PLAIN_URL": "http://127.0.0.1:1",
        "PORT": str(free_port()),
        **settings,
    }
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", "python:gateway.server", *options, app],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)
