"""Kept answers, measured beside hello-world, and many of them beside few."""

from __future__ import annotations

import argparse
import signal
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from contenders import (
    Contender,
    backend_command,
    base_environment,
    bearer,
    gatehouse,
    hello,
    new_secret,
)
from measuring import Bench
from processes import free_ports, running
from ratios import Compared, Targets, compared, rounds

FEW = 100
#: Room for the answers of the full gateway, with what keeps them in order, in bytes.
ROOM = 2 * 1024**3
#: What is compared with what, and its most CPU as a multiple. Few and many are both read from the
#: shared store, and may differ by what two equal servers differ by.
TARGETS: Targets = {
    "anonymous": ("hello", 1.15),
    "guarded": ("hello", 1.15),
    "many": ("stored", 1.05),
}


def compare(chosen: argparse.Namespace, folder: Path) -> dict[str, Compared]:
    """Start the backend, hello-world and the gateways, fill and measure them, end them all."""
    with ExitStack() as stack:
        try:
            runs = rounds(_started(chosen, folder, stack), chosen.rounds)
        finally:
            # A second Ctrl-C must not leave processes behind while they are being ended.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    return compared(runs, TARGETS)


def _started(
    chosen: argparse.Namespace, folder: Path, stack: ExitStack
) -> dict[str, tuple[Contender, int, Bench]]:
    """By name, what is loaded, its process, and how."""
    secret = new_secret()
    backend, *ports = free_ports(5)
    stack.enter_context(running(backend_command(backend), backend, base_environment(), folder))
    plain = Bench(chosen.seconds, chosen.connections, bearer(secret))
    kept = replace(plain, paths=FEW, marker="X-Cache: HIT")
    nobody = replace(kept, authorization="X-Nobody: asks")
    one = hello(ports[0], chosen.worker_class)
    where = f"http://127.0.0.1:{backend}"
    few, stored, full = (
        _gateway(port, chosen.worker_class, where, secret, folder / name)
        for port, name in zip(ports[1:], ("few", "stored", "full"), strict=True)
    )
    # Nothing is ready in the worker: every answer is read from the store, as most of many are.
    stored = replace(stored, environment={**stored.environment, "CACHE_WORKER_BYTES": "0"})
    pids = {
        each.port: stack.enter_context(running(each.command, each.port, each.environment, folder))
        for each in (one, few, stored, full)
    }
    asked = {
        "hello": (one, plain),
        "anonymous": (replace(few, name="anonymous", path="/anonymous/bench-kept/{}"), nobody),
        "guarded": (replace(few, name="guarded", path="/guarded/bench-kept/{}"), kept),
        "stored": (replace(stored, name="stored", path="/anonymous/bench-kept/{}"), nobody),
        "many": (
            replace(full, name="many", path="/anonymous/bench-kept/{}"),
            replace(nobody, paths=chosen.many),
        ),
    }
    for name, (contender, bench) in asked.items():
        if name != "hello":
            bench.ask_each(contender)
            bench.ask_each(contender)  # what a worker has seen once, it has mapped
        bench.warm_up(contender)
    return {name: (each, pids[each.port], bench) for name, (each, bench) in asked.items()}


def _gateway(port: int, worker_class: str, backend: str, secret: str, state: Path) -> Contender:
    state.mkdir()
    plain = gatehouse(port, worker_class, backend, secret, state)
    command = tuple(part.replace("gateway_app:app", "caching_app:app") for part in plain.command)
    more = {"ANONYMOUS_URL": backend, "GUARDED_URL": backend, "CACHE_BYTES": str(ROOM)}
    return replace(plain, command=command, environment={**plain.environment, **more})
