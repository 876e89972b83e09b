"""The better of two drawn by lot: the default."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.exchange import UpstreamRequest
from gateway.upstreams.load_balancing.choice import Chooser
from gateway.upstreams.node import Node


@dataclass(frozen=True, slots=True)
class PowerOfTwo:
    """Draws two by their weights and takes the one with fewer requests in flight per weight.

    Nearly as even as looking at all of them, and workers that know only their own requests do not
    all run to the same one.
    """

    draw: Callable[[], float] = random.random

    def chooser(self, service: str, secret: str) -> Chooser:
        """See LoadBalancing.chooser."""

        def choose(nodes: Sequence[Node], request: UpstreamRequest) -> Node:
            first = self._drawn(nodes)
            second = self._drawn([node for node in nodes if node is not first])
            return first if first.load() <= second.load() else second

        return choose

    def _drawn(self, nodes: Sequence[Node]) -> Node:
        point = self.draw() * sum(node.target.weight for node in nodes)
        for node in nodes:
            point -= node.target.weight
            if point < 0:
                return node
        return nodes[-1]
