"""How busy every worker is, for operators: requests in flight by service and instance.

Read at the beat off what the connection pools know anyway; a request costs nothing for it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Protocol

from gateway.pulse import Pulse
from gateway.state import MemoryState, SharedState
from gateway.state.sweeping import sweep
from gateway.upstreams.pool import UpstreamPool

Counts = dict[str, dict[str, int]]

#: What the keys of all workers begin with.
ABOUT = "load/"
#: Seconds between two reports, at least: when something has changed, and when nothing has.
QUICK, SLOW = 0.9, 1.9  # a little less than some beats
#: Seconds after which a worker that reports nothing is taken for gone.
GONE = 5.0
#: Seconds between two looks of a worker for what others left behind.
SWEEP = 60.0


class HasPool(Protocol):
    """What a service has at run time, as far as it matters here."""

    @property
    def pool(self) -> UpstreamPool: ...


Runtimes = Mapping[str, HasPool]


def share_loads(runtimes: Runtimes, state: SharedState, loads: SharedState, pulse: Pulse) -> None:
    """Have this gateway's workers report in `loads`, if somebody else could read it."""
    if not isinstance(state, MemoryState):
        pulse.at_beat(LoadReport(runtimes, state, loads).tell, urgent=False)


class LoadReport:
    """Tells how busy this worker is. When and what it told last is this worker's own."""

    def __init__(self, runtimes: Runtimes, state: SharedState, loads: SharedState) -> None:
        self._runtimes = runtimes
        self._state = state
        self._loads = loads
        self._told: Counts | None = None
        self._told_at = 0.0
        self._sweep_at: float | None = None

    def tell(self) -> None:
        """Report, if it is time to; called at every beat."""
        now = self._state.clock()
        since = now - self._told_at
        if self._told is not None and 0 <= since < QUICK:
            return
        counts = in_flight(self._runtimes)
        if counts == self._told and 0 <= since < SLOW:
            return
        self._told, self._told_at = counts, now
        report = {"at": now, "expires": now + GONE, "in_flight": counts}
        self._loads.change(f"{ABOUT}{socket.gethostname()}/{os.getpid()}", lambda old: report)
        self._sweep(now)

    def _sweep(self, now: float) -> None:
        """Remove what others left behind; any worker may, and it need not be soon."""
        if self._sweep_at is not None and 0 < self._sweep_at - now <= SWEEP:
            return
        self._sweep_at = now + SWEEP
        sweep(self._state, now)
        if self._loads is not self._state:
            sweep(self._loads, now)


def in_flight(runtimes: Runtimes) -> Counts:
    """This worker's requests in flight, where there are any."""
    found: Counts = {}
    for service, runtime in runtimes.items():
        counts = {node.target.name: node.in_flight() for node in runtime.pool.nodes}
        if busy := {name: count for name, count in counts.items() if count}:
            found[service] = busy
    return found
