"""Nodes whose requests in flight a test decides, and a chooser to ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gateway import UpstreamRequest
from gateway.upstreams import Node, parse_target
from gateway.upstreams.load_balancing import BalancedService, LoadBalancing
from tests.support.outline import outline

SECRET = "a secret of tests, longer than thirty-two bytes"
THINGS = BalancedService("things", "/things", SECRET)


@dataclass
class Busy:
    """How many requests are under way, by name; none where nothing is said."""

    counts: Counter[str] = field(default_factory=Counter)

    def node(self, name: str, weight: int = 1) -> Node:
        """A node of that name."""
        return Node(parse_target(f"http://{name};weight={weight}"), lambda: self.counts[name])

    def nodes(self, **weights: int) -> tuple[Node, ...]:
        """Nodes by name, with their weights."""
        return tuple(self.node(name, weight) for name, weight in weights.items())


def names(nodes: Iterable[Node]) -> list[str]:
    """What they are called, in order."""
    return [node.target.name for node in nodes]


def shares(
    balancing: LoadBalancing,
    nodes: Sequence[Node],
    requests: Iterable[UpstreamRequest],
    service: BalancedService = THINGS,
) -> Counter[str]:
    """How often each node is chosen for these requests."""
    choose = balancing.chooser(service)
    return Counter(choose(nodes, request).target.name for request in requests)


def times(count: int) -> list[UpstreamRequest]:
    """So many plain requests."""
    return [outline()] * count


def users(count: int) -> list[UpstreamRequest]:
    """A request of each of so many users."""
    return [outline(user=f"user-{number}") for number in range(count)]


def points(*told: float) -> Callable[[], float]:
    """A lottery that draws these, over and over."""
    place = -1

    def draw() -> float:
        nonlocal place
        place += 1
        return told[place % len(told)]

    return draw


def spread(count: int = 997, step: int = 610) -> Callable[[], float]:
    """A lottery that draws every one of `count` points before it draws one again."""
    return points(*((number * step % count) / count for number in range(count)))
