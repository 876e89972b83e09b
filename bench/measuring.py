"""One measured run of one contender, and the summary of all its runs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from contenders import HERE, Contender, base_environment
from processes import BenchError, cpu_seconds, descendants

WARM_UP_SECONDS = 1.5
SPARE_SECONDS = 30.0
FILL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run: CPU and latency in microseconds, rate in requests per second."""

    requests: int
    cpu: float
    rate: float
    p50: float
    p99: float
    errors: dict[str, int]


@dataclass(frozen=True, slots=True)
class Summary:
    """The medians of a contender's runs, and its errors of all runs together."""

    cpu: float
    cpu_least: float
    cpu_most: float
    rate: float
    p50: float
    p99: float
    requests: int
    errors: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """The summary as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Bench:
    """How the load is made: the same for every contender."""

    seconds: float
    connections: int
    authorization: str
    #: How many paths a `{}` in a contender's stands for, and what every answer must have in it.
    paths: int = 1
    marker: str = ""

    def warm_up(self, contender: Contender) -> None:
        """Open pools, fill caches; what it costs is not counted."""
        self._load(contender, WARM_UP_SECONDS)

    def ask_each(self, contender: Contender) -> None:
        """Ask for every path once."""
        asked = replace(self, marker="")
        load = asked._load(contender, FILL_SECONDS, "--requests", str(self.paths))
        if load["errors"] or load["requests"] < self.paths:
            raise BenchError(f"{contender.name} could not be filled: {load['errors']}")

    def run(self, contender: Contender, pid: int) -> Run:
        """Load the contender once and relate its CPU time to the requests it answered."""
        pids = descendants(pid) if contender.master else [pid, *descendants(pid)]
        before = cpu_seconds(pids)
        load = self._load(contender, self.seconds)
        used = cpu_seconds(pids) - before
        requests = load["requests"]
        if not requests:
            raise BenchError(f"{contender.name} answered nothing: {load['errors']}")
        return Run(
            requests=requests,
            cpu=used / requests * 1e6,
            rate=requests / load["seconds"],
            p50=load["p50"] * 1e6,
            p99=load["p99"] * 1e6,
            errors=load["errors"],
        )

    def _load(self, contender: Contender, seconds: float, *options: str) -> dict[str, Any]:
        command = [
            sys.executable, str(HERE / "load.py"), "--port", str(contender.port),
            "--path", contender.path, "--header", self.authorization,
            "--seconds", str(seconds), "--connections", str(self.connections),
            "--paths", str(self.paths), "--marker", self.marker, *options,
        ]  # fmt: skip
        done = subprocess.run(
            command,
            env=base_environment(),
            stdout=subprocess.PIPE,
            timeout=seconds + SPARE_SECONDS,
            start_new_session=True,
            check=True,
        )
        result: dict[str, Any] = json.loads(done.stdout)
        return result


def summarize(runs: Sequence[Run]) -> Summary:
    """The median of each figure: one disturbed round does not decide."""

    def median(figure: Callable[[Run], float]) -> float:
        return statistics.median(figure(run) for run in runs)

    errors: Counter[str] = Counter()
    for run in runs:
        errors.update(run.errors)
    return Summary(
        cpu=median(lambda run: run.cpu),
        cpu_least=min(run.cpu for run in runs),
        cpu_most=max(run.cpu for run in runs),
        rate=median(lambda run: run.rate),
        p50=median(lambda run: run.p50),
        p99=median(lambda run: run.p99),
        requests=sum(run.requests for run in runs),
        errors=dict(errors),
    )
