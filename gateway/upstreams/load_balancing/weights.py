"""Weights of nodes, added up once for as long as the nodes are the same."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

from gateway.upstreams.node import Node

T = TypeVar("T")


class Remembered(Generic[T]):
    """What was worked out of the nodes seen last; this worker's own.

    A pool hands over the same tuple until something changes. A list is worked out each time: its
    owner may change it.
    """

    __slots__ = ("_known", "_work")

    def __init__(self, work: Callable[[Sequence[Node]], T]) -> None:
        self._work = work
        self._known: tuple[Sequence[Node], T] | None = None

    def of(self, nodes: Sequence[Node]) -> T:
        """What comes of these nodes."""
        known = self._known
        if known is not None and known[0] is nodes:
            return known[1]
        made = self._work(nodes)
        if isinstance(nodes, tuple):
            self._known = (nodes, made)
        return made


def running_sums(nodes: Sequence[Node]) -> list[int] | None:
    """The sums of the weights up to each node; None if all weights are equal."""
    weights = [node.target.weight for node in nodes]
    return None if weights.count(weights[0]) == len(weights) else list(accumulate(weights))


def drawn(nodes: Sequence[Node], sums: list[int] | None, point: float) -> Node:
    """The node that a point from 0 to below 1 hits, each as wide as its weight."""
    if sums is None:
        return nodes[int(point * len(nodes))]
    return nodes[bisect_right(sums, point * sums[-1])]
