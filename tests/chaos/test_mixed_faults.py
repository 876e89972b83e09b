"""Every kind of trouble in turn: no 500, and nothing is left behind. Minutes of it: `make soak`."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.backends import Instance, instances
from tests.chaos.clients import Crowd, crowd
from tests.chaos.conftest import Start
from tests.support.client import exchange
from tests.support.gunicorn import Gateway, wait_for

CLIENTS = 16
MODES = (
    "ok*6,reset",
    "ok*3,storm",
    "ok*6,hang",
    "slow_start",
    "ok*6,die",
    "ok*3,drip",
    "ok*6,half_head",
    "ok*3,broken,storm,reset",
    "refuse",
)
#: Statuses that say what happened. A 500 is the backend's own, marked by its body.
HONEST = {200, 500, 502, 503, 504, 0}
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Held:
    """What one worker holds."""

    threads: int
    greenlets: int
    in_flight: int
    sockets: int
    memory: int  # KiB


def held(gateway: Gateway) -> dict[int, Held]:
    """What every worker holds, by its process id."""
    found: dict[int, Held] = {}

    def all_told() -> bool:
        raw = b"GET /calm/inside HTTP/1.1\r\nHost: chaos\r\nConnection: close\r\n\r\n"
        told = json.loads(exchange(gateway.port, raw).body)
        pid = told.pop("pid")
        found[pid] = Held(**told, sockets=_sockets(pid), memory=_memory(pid))
        return len(found) == WORKERS

    assert wait_for(all_told)
    return found


def _sockets(pid: int) -> int:
    count = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed at this moment
            count += str(entry.readlink()).startswith("socket:")
    return count


def _memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def trouble(backends: list[Instance], seconds: float, each: float) -> None:
    """Each backend misbehaves in its own way at a time, until the seconds are over."""
    until = time.monotonic() + seconds
    for turn in itertools.count():
        for number, backend in enumerate(backends):
            backend.mode(MODES[(turn + number * 3) % len(MODES)])
        time.sleep(each)
        if time.monotonic() > until:
            break
    for backend in backends:
        backend.mode("ok")


def recovered(gateway: Gateway) -> None:
    """After the trouble everything is answered well again."""

    def well() -> bool:
        with crowd(gateway.port, "/mixed/x", 4, rounds=10, pause=0.01) as after:
            after.join()
        return set(after.statuses()) == {200}

    assert wait_for(well, 20)


def run_trouble(start: Start, folder: Path, seconds: float, each: float, growth: int) -> None:
    """Load, trouble, and a look at what is left."""
    with instances(folder, "a", "b", "c") as three:
        # A worker that is replaced would take with it what it had piled up.
        settings = {"MAX_REQUESTS": "0", "POOL_IDLE_SECONDS": "2"}
        with start(mixed=three, workers=WORKERS, **settings) as gateway:
            with crowd(gateway.port, "/mixed/x", CLIENTS, pause=0.03) as first:
                trouble(three, min(seconds, 15.0), 1.0)  # warm: every path was walked
            recovered(gateway)
            before = held(gateway)
            with crowd(gateway.port, "/mixed/x", CLIENTS, pause=0.03) as second:
                trouble(three, seconds, each)
            recovered(gateway)
            settled(gateway, before, growth)
            for crowd_ in (first, second):
                judge(crowd_)
            assert "Traceback" not in gateway.stderr_text()


def judge(working: Crowd) -> None:
    """No answer of the gateway's own is a 500, and most requests went well all the same."""
    statuses = working.statuses()
    assert set(statuses) <= HONEST
    assert all(one.body == b"oops" for one in working.outcomes if one.status == 500)
    assert statuses[200] > len(working.outcomes) / 2


def settled(gateway: Gateway, before: dict[int, Held], growth: int) -> None:
    """Nothing is in flight, and no more is held than before."""

    def quiet() -> bool:
        return all(one.in_flight == 0 for one in held(gateway).values())

    assert wait_for(quiet, 15)
    after = held(gateway)
    assert after.keys() == before.keys(), "a worker has died"
    for pid, now in after.items():
        was = before[pid]
        assert now.threads <= was.threads + 4
        assert now.greenlets <= was.greenlets + 12
        assert now.sockets <= was.sockets + 12
        assert now.memory - was.memory < growth


def test_each_kind_in_turn(start: Start, tmp_path: Path) -> None:
    run_trouble(start, tmp_path, seconds=len(MODES) - 0.5, each=1.0, growth=24 * 1024)


@pytest.mark.soak
def test_ten_minutes(start: Start, tmp_path: Path) -> None:
    run_trouble(start, tmp_path, seconds=600, each=5.0, growth=16 * 1024)
