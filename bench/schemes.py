"""Every way to authenticate, measured beside no way at all, on one gateway."""

from __future__ import annotations

import argparse
import http.client
import signal
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypedDict

from contenders import HERE, Contender, backend_command, base_environment, gatehouse, new_secret
from credentials import Issuer, presented, settings
from measuring import Bench, Run
from processes import BenchError, free_ports, running

#: Most CPU of a request with a credential whose verdict is remembered, beside one without.
TARGET = 1.1
ROW = "{:<14} {:>9} {:>12} {:>7} {:>8} {:>7}"
# Without a credential, or let pass by what is asked about every request alike.
UNREFUSED = ("anonymous", "forward_auth")


class Compared(TypedDict):
    """The rounds of one scheme: CPU in microseconds, and its ratio to that without a credential.

    That of `anonymous` to itself tells how far the figures can be trusted.
    """

    cpu: float
    ratio: float
    least: float
    most: float
    requests: int
    errors: int


def compare(chosen: argparse.Namespace, folder: Path) -> dict[str, Compared]:
    """Start the backend, the authorities and the gateway, measure, end them all."""
    with ExitStack() as stack:
        try:
            pid, benches = _started(chosen, folder, stack)
            for bench, one in benches:
                bench.warm_up(one)
            runs = _rounds(pid, benches, chosen.rounds)
        finally:
            # A second Ctrl-C must not leave processes behind while they are being ended.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    return {name: _compared(each) for name, each in runs.items()}


def _rounds(
    pid: int, benches: Sequence[tuple[Bench, Contender]], rounds: int
) -> dict[str, list[tuple[Run, Run]]]:
    """For each scheme its runs, each with one without a credential just before it: what else the
    machine does changes from minute to minute."""
    without, nobody = benches[0]
    runs: dict[str, list[tuple[Run, Run]]] = {one.name: [] for _, one in benches}
    for number in range(1, rounds + 1):
        for bench, one in benches:
            pair = without.run(nobody, pid), bench.run(one, pid)
            runs[one.name].append(pair)
            told = f"round {number}: {one.name} {pair[1].cpu:.0f} beside {pair[0].cpu:.0f} µs CPU"
            print(told, file=sys.stderr, flush=True)
    return runs


def _started(
    chosen: argparse.Namespace, folder: Path, stack: ExitStack
) -> tuple[int, list[tuple[Bench, Contender]]]:
    """The gateway's process, and for each scheme how it is asked."""
    backend, authority, port = free_ports(3)
    issuer, secret = Issuer(f"http://127.0.0.1:{authority}"), new_secret()
    (folder / "jwks").write_text(issuer.key_document())
    (folder / "state").mkdir()
    where = f"http://127.0.0.1:{backend}"
    plain = gatehouse(port, chosen.worker_class, where, secret, folder / "state")
    environment = {
        **plain.environment,
        **{f"{name}_URL": where for name in ("ANONYMOUS", "GUARDED", "CERTIFIED", "FORWARD")},
        **settings(secret, issuer.url, folder / "keys.db"),
    }
    asked = (sys.executable, str(HERE / "authority.py"), str(authority), str(folder / "jwks"))
    for command, place in ((backend_command(backend), backend), (asked, authority)):
        stack.enter_context(running(command, place, base_environment(), folder))
    fields = presented(environment, secret, issuer)
    command = (*plain.command[:-1], "schemes_app:app")
    pid = stack.enter_context(running(command, port, environment, folder))
    benches = []
    for name, (path, field) in fields.items():
        one = Contender(name, command, port, path, environment, gateway=True, master=True)
        _check(one, field)
        benches.append((Bench(chosen.seconds, chosen.connections, field), one))
    return pid, benches


def _check(one: Contender, field: str) -> None:
    """Raise BenchError unless the credential is accepted, and nothing goes without one."""
    name, _, value = field.partition(": ")
    deadline = time.monotonic() + 20
    while (status := _status(one, {name: value})) != 200:
        if time.monotonic() > deadline:
            raise BenchError(f"{one.name}: answers {status}")
        time.sleep(0.1)
    if one.name not in UNREFUSED and _status(one, {}) != 401:
        raise BenchError(f"{one.name}: a request without a credential is not refused")


def _status(one: Contender, headers: Mapping[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=5)
    try:
        connection.request("GET", one.path, headers=dict(headers))
        response = connection.getresponse()
        response.read()
        return response.status
    except OSError:
        return 0
    finally:
        connection.close()


def _compared(pairs: Sequence[tuple[Run, Run]]) -> Compared:
    ratios = [one.cpu / other.cpu for other, one in pairs]
    return {
        "cpu": statistics.median(one.cpu for _, one in pairs),
        "ratio": statistics.median(ratios),
        "least": min(ratios),
        "most": max(ratios),
        "requests": sum(one.requests for _, one in pairs),
        "errors": sum(sum(one.errors.values()) for pair in pairs for one in pair),
    }


def passed(found: Mapping[str, Compared]) -> bool:
    """No error anywhere, and every ratio within the target."""
    return all(one["ratio"] <= TARGET and not one["errors"] for one in found.values())


def told(found: Mapping[str, Compared]) -> list[str]:
    """The report as text."""
    lines = [ROW.format("credential", "CPU µs", "least-most", "ratio", "target", "errors")]
    for name, one in found.items():
        spread = f"{one['least']:.2f}-{one['most']:.2f}"
        verdict = "met" if one["ratio"] <= TARGET else "MISSED"
        figures = (f"{one['cpu']:.0f}", spread, f"{one['ratio']:.2f}")
        shown = verdict
        lines.append(ROW.format(name, *figures, shown, one["errors"]))
    return lines
