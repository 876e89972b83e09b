"""The least busy of all."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.exchange import UpstreamRequest
from gateway.upstreams.load_balancing.choice import BalancedService, Chooser
from gateway.upstreams.load_balancing.weights import drawn, running_sums
from gateway.upstreams.node import Node


@dataclass(frozen=True, slots=True)
class LeastRequests:
    """Takes the one with the fewest requests in flight per weight; of several, one by lot.

    For requests that take very different times. It looks at all instances and counts only this
    worker's requests: with many workers, PowerOfTwo spreads better. An instance with a small weight
    gets more than its share while there is little to do, because it is mostly idle.
    """

    draw: Callable[[], float] = field(default=random.random, repr=False)

    def chooser(self, service: BalancedService) -> Chooser:
        """See LoadBalancing.chooser."""

        def choose(nodes: Sequence[Node], request: UpstreamRequest) -> Node:
            least = float("inf")
            found: list[Node] = []
            for node in nodes:
                load = node.load()
                if load < least:
                    least, found = load, [node]
                elif load == least:
                    found.append(node)
            if len(found) == 1:
                return found[0]
            return drawn(found, running_sums(found), self.draw())

        return choose
