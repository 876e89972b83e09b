"""What every way of balancing has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.exchange import UpstreamRequest, UpstreamResponse
from gateway.upstreams.node import Node

#: Picks one of at least two nodes. It may also have methods `outgoing(request)`, asked for what is
#: sent in the request's place, and `answered(request, response, node)`, told of every response
#: before it is relayed; both get the request as it came.
Chooser = Callable[[Sequence[Node], UpstreamRequest], Node]
Outgoing = Callable[[UpstreamRequest], UpstreamRequest]
Answered = Callable[[UpstreamRequest, UpstreamResponse, Node], None]


@dataclass(frozen=True, slots=True)
class BalancedService:
    """The service that a chooser works for.

    prefix: its url_prefix; empty at the root, None if it has no paths. secret: the setting
    SECRET_KEY, for what clients must not forge.
    """

    name: str
    prefix: str | None = None
    secret: str = field(default="", repr=False)


class LoadBalancing(Protocol):
    """A way of balancing as a value with its options; each worker makes a chooser for a service.

    It may have a method `faults(service) -> list of str`: what is wrong with its options there,
    found at start.
    """

    def chooser(self, service: BalancedService) -> Chooser:
        """A chooser for one service; what it remembers is this worker's own."""
        ...


def balancing_faults(balancing: LoadBalancing, service: BalancedService) -> list[str]:
    """What is wrong with a service's way of balancing."""
    judge = getattr(balancing, "faults", None)
    if judge is None:
        return []
    return [f"{type(balancing).__name__}: {fault}" for fault in judge(service)]
