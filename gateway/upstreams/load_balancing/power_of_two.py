"""The better of two drawn by lot: the default."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.exchange import UpstreamRequest
from gateway.upstreams.load_balancing.choice import BalancedService, Chooser
from gateway.upstreams.load_balancing.weights import Remembered, drawn, running_sums
from gateway.upstreams.node import Node


@dataclass(frozen=True, slots=True)
class PowerOfTwo:
    """Draws two by their weights and takes the one with fewer requests in flight per weight.

    Nearly as even as looking at all of them, and workers that know only their own requests do not
    all run to the same one. Where both have as many, the first one drawn is taken, so that an idle
    pool shares by weight too.
    """

    draw: Callable[[], float] = field(default=random.random, repr=False)

    def chooser(self, service: BalancedService) -> Chooser:
        """See LoadBalancing.chooser."""
        draw = self.draw
        weights = Remembered(running_sums)

        def choose(nodes: Sequence[Node], request: UpstreamRequest) -> Node:
            sums = weights.of(nodes)
            if sums is None:
                others = len(nodes) - 1
                a, b = divmod(int(draw() * (others * len(nodes))), others)
                first, second = nodes[a], nodes[b if b < a else b + 1]
                return first if first.in_flight() <= second.in_flight() else second
            # The second is drawn from all again. If it had to be another, then of two with weights
            # 95 and 5 both would always be looked at, and the idle one mostly be the small one.
            first, second = drawn(nodes, sums, draw()), drawn(nodes, sums, draw())
            if first is second:
                return first
            return first if first.load() <= second.load() else second

        return choose
