"""One forward and an aggregation of four legs, on one gateway and one backend."""

from __future__ import annotations

import argparse
import signal
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from contenders import backend_command, base_environment, bearer, gatehouse, new_secret
from measuring import Bench
from processes import free_ports, running
from ratios import Compared, Targets, compared, rounds

TARGETS: Targets = {"four": ("forward", 3.0)}


def compare(chosen: argparse.Namespace, folder: Path) -> dict[str, Compared]:
    """Start the backend and the gateway, measure both kinds of request, end them all."""
    secret = new_secret()
    backend, port = free_ports(2)
    state = folder / "state"
    state.mkdir()
    plain = gatehouse(port, chosen.worker_class, f"http://127.0.0.1:{backend}", secret, state)
    command = tuple(
        part.replace("gateway_app:app", "aggregation_app:app") for part in plain.command
    )
    forward = replace(plain, name="forward", command=command)
    four = replace(forward, name="four", path="/four")
    bench = Bench(chosen.seconds, chosen.connections, bearer(secret))
    # Each answer must have all of its parts.
    whole = replace(bench, marker="X-Gateway-Completed: true")
    with ExitStack() as stack:
        try:
            stack.enter_context(
                running(backend_command(backend), backend, base_environment(), folder)
            )
            pid = stack.enter_context(running(command, port, forward.environment, folder))
            loaded = {"forward": (forward, pid, bench), "four": (four, pid, whole)}
            for one, _, way in loaded.values():
                way.warm_up(one)
            return compared(rounds(loaded, chosen.rounds), TARGETS)
        finally:
            # A second Ctrl-C must not leave processes behind while they are being ended.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
