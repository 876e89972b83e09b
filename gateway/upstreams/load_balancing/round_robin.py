"""Each in turn, as often as its weight says."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.exchange import UpstreamRequest
from gateway.upstreams.load_balancing.choice import BalancedService, Chooser
from gateway.upstreams.node import Node

#: Names to remember at least: a group that is left over for a retry is no reason to forget.
_NAMES = 256


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """Takes turns, smoothly: weights 3 and 1 give a a b a, not a a a b. The turn is this worker's
    own; each worker goes round by itself."""

    def chooser(self, service: BalancedService) -> Chooser:
        """See LoadBalancing.chooser."""
        return _Turns()


class _Turns:
    def __init__(self) -> None:
        self._credit: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, nodes: Sequence[Node], request: UpstreamRequest) -> Node:
        with self._lock:
            credit = self._credit
            total = 0
            best, most = nodes[0], -1 << 60
            for node in nodes:
                # Weights of 0 are only here if there are no others: they take turns, too.
                weight = node.target.weight or 1
                total += weight
                held = credit[node.target.name] = credit.get(node.target.name, 0) + weight
                if held > most:
                    best, most = node, held
            credit[best.target.name] -= total
            if len(credit) > max(4 * len(nodes), _NAMES):  # instances that are gone
                self._credit = {n.target.name: credit[n.target.name] for n in nodes}
            return best
