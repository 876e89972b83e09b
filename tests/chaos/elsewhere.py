"""Clients in a process of their own, so that those who measure do not wait for them: hundreds of
threads would share one interpreter lock. `python -m tests.chaos.elsewhere PORT PATH CLIENTS PAUSE`
asks until its input is closed, and writes what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.chaos.clients import Crowd
from tests.support.gunicorn import ROOT


@dataclass(slots=True)
class Report:
    """What a crowd elsewhere was answered; filled when it is over."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0


@contextmanager
def crowd_elsewhere(port: int, path: str, clients: int, *, pause: float) -> Iterator[Report]:
    """A crowd at work, ended with the block."""
    report = Report()
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(port), path, str(clients), str(pause)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield report
        told, _ = process.communicate(timeout=60)
        statuses, report.slowest = json.loads(told)
        report.statuses.update({int(status): count for status, count in statuses.items()})
    finally:
        process.kill()
        process.wait(10)


if __name__ == "__main__":
    crowd = Crowd(int(sys.argv[1]), sys.argv[2], pause=float(sys.argv[4]))
    crowd.start(int(sys.argv[3]))
    sys.stdin.read()
    crowd.finish()
    json.dump([crowd.statuses(), max(one.seconds for one in crowd.outcomes)], sys.stdout)
