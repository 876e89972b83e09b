"""All contenders side by side on one backend, loaded in turn."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

import duties
from contenders import (
    Contender,
    backend_command,
    base_environment,
    bearer,
    fastapi,
    gatehouse,
    hello,
    new_secret,
    resilient,
)
from measuring import Bench, Run, Summary, summarize
from processes import free_ports, running


def compare(
    options: argparse.Namespace, names: Collection[str], folder: Path
) -> dict[str, Summary]:
    """Start the backend and the named contenders, measure them round by round, end them all."""
    secret = new_secret()
    backend_port, *ports = free_ports(5)
    everyone = _contenders(ports, f"http://127.0.0.1:{backend_port}", secret, options, folder)
    bench = Bench(options.seconds, options.connections, bearer(secret))
    with ExitStack() as stack:
        try:
            command = backend_command(backend_port)
            stack.enter_context(running(command, backend_port, base_environment(), folder))
            pids = {}
            for one in (each for each in everyone if each.name in names):
                server = running(one.command, one.port, one.environment, folder)
                pids[one] = stack.enter_context(server)
                duties.check(one, bench.authorization)
            return _rounds(bench, pids, options.rounds)
        finally:
            # A second Ctrl-C must not leave processes behind while they are being ended.
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _contenders(
    ports: list[int], backend: str, secret: str, options: argparse.Namespace, folder: Path
) -> list[Contender]:
    state = folder / "state"
    state.mkdir()
    (folder / "resilient").mkdir()
    return [
        hello(ports[0], options.worker_class),
        gatehouse(ports[1], options.worker_class, backend, secret, state),
        resilient(ports[2], options.worker_class, backend, secret, folder / "resilient"),
        fastapi(ports[3], backend, secret),
    ]


def _rounds(bench: Bench, pids: dict[Contender, int], rounds: int) -> dict[str, Summary]:
    for one in pids:
        bench.warm_up(one)
    runs: dict[str, list[Run]] = {one.name: [] for one in pids}
    for number in range(1, rounds + 1):
        for one, pid in pids.items():
            run = bench.run(one, pid)
            runs[one.name].append(run)
            print(f"round {number}: {one.name} {run.cpu:.0f} µs CPU", file=sys.stderr, flush=True)
    return {name: summarize(each) for name, each in runs.items()}
