"""One target as a worker sees it: what others say of it, and what it has seen itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.upstreams.target import Target


@dataclass(slots=True, eq=False)
class Node:
    """A target with its verdicts; this worker's own copy, renewed at every beat.

    healthy: what active probes say. ejected_until: in the shared state's clock, 0 for never.
    failures: in a row, seen by this worker. in_flight: this worker's requests there.
    """

    target: Target
    in_flight: Callable[[], int]
    healthy: bool = True
    ejected_until: float = 0.0
    failures: int = 0

    def load(self) -> float:
        """Requests in flight, in relation to the weight. All idle ones are equal: if the present
        request were counted, a small one would get none until the others have many."""
        return self.in_flight() / (self.target.weight or 1)
