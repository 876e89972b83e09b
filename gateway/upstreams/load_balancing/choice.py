"""What every way of balancing has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.exchange import UpstreamRequest, UpstreamResponse
from gateway.upstreams.node import Node

#: Picks one of at least two nodes. It may also have a method `answered(request, response, node)`,
#: told of every response before it is relayed.
Chooser = Callable[[Sequence[Node], UpstreamRequest], Node]
Answered = Callable[[UpstreamRequest, UpstreamResponse, Node], None]


class LoadBalancing(Protocol):
    """A way of balancing as a value with its options; each service's worker makes a chooser."""

    def chooser(self, service: str, secret: str) -> Chooser:
        """A chooser for one service. secret: the setting SECRET_KEY, for what clients must not
        forge."""
        ...
