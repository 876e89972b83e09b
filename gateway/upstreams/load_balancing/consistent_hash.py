"""The same key, the same instance: for backends that keep something in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from gateway.exchange import UpstreamRequest
from gateway.headers import IDENTITY, NEVER_FORWARDED
from gateway.upstreams.load_balancing.choice import BalancedService, Chooser
from gateway.upstreams.load_balancing.cookies import TOKEN, cookie_value
from gateway.upstreams.load_balancing.power_of_two import PowerOfTwo
from gateway.upstreams.load_balancing.weights import Remembered
from gateway.upstreams.node import Node

#: Reads the key of a request, empty if it has none.
Key = Callable[[UpstreamRequest], str]
_SPAN = 2.0**64


@dataclass(frozen=True, slots=True)
class ConsistentHash:
    """Sends requests with the same key to the same instance, by weighted rendezvous hashing.

    by: "user", "address" (the client's), "header:X-Tenant" or "cookie:session", as the backend
    would be sent them. A request without the key goes where PowerOfTwo sends it. ValueError for
    anything else.

    Every instance gets a score from the key and its name; the highest wins. All workers, machines
    and restarts agree without telling each other. When an instance goes, only its keys move, to all
    others by weight; when it comes back, so do they; another weight moves no more keys than it
    must. A ring of points on a circle does this with less work for hundreds of instances, but
    needs a hundred points for each to share evenly, to be built anew at every change.

    Shares are as even as the keys are many and alike: one key with half of the requests stays on
    one instance.
    """

    by: str

    def __post_init__(self) -> None:
        _key_of(self.by)

    def chooser(self, service: BalancedService) -> Chooser:
        """See LoadBalancing.chooser."""
        key_of = _key_of(self.by)
        without = PowerOfTwo().chooser(service)
        contest = Remembered(_Contest)

        def choose(nodes: Sequence[Node], request: UpstreamRequest) -> Node:
            key = key_of(request)
            return contest.of(nodes).winner(key) if key else without(nodes, request)

        return choose


class _Contest:
    """The nodes that compete for keys, with the part of each hash that is the same for all keys."""

    __slots__ = ("_even", "_nodes")

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes: list[tuple[Node, Any, int]] = []
        for node in nodes:
            begun = blake2b(node.target.name.encode() + b"\0", digest_size=8)
            self._nodes.append((node, begun, node.target.weight or 1))
        self._even = len({weight for _, _, weight in self._nodes}) == 1

    def winner(self, key: str) -> Node:
        """The node with the highest score. Nodes of one weight rank as their hashes do."""
        data = key.encode(errors="surrogatepass")  # a JSON token may hold half a character
        best, highest = self._nodes[0][0], b""
        if self._even:
            for node, begun, _ in self._nodes:
                mixed = begun.copy()
                mixed.update(data)
                if (score := mixed.digest()) > highest:
                    best, highest = node, score
            return best
        most = 0.0
        for node, begun, weight in self._nodes:
            mixed = begun.copy()
            mixed.update(data)
            point = (int.from_bytes(mixed.digest(), "big") + 0.5) / _SPAN
            # The winner of exponential races with these rates is each node by its weight.
            speed = -weight / math.log(point) if point < 1 else math.inf
            if speed > most:
                best, most = node, speed
        return best


def _key_of(by: str) -> Key:
    kind, colon, name = by.partition(":")
    if by == "user":
        return lambda request: request.exchange.user
    if by == "address":
        return lambda request: request.exchange.client
    if not colon or kind not in ("header", "cookie") or not TOKEN.fullmatch(name):
        raise ValueError(
            f"ConsistentHash(by={by!r}): by must be 'user', 'address', 'header:<name>' or"
            " 'cookie:<name>'"
        )
    if kind == "cookie":
        return lambda request: cookie_value(request.headers, name)
    wanted = name.lower()
    if wanted in NEVER_FORWARDED - IDENTITY:
        raise ValueError(f"ConsistentHash(by={by!r}): {name} is not among the fields passed on")

    def header(request: UpstreamRequest) -> str:
        values = [value for field, value in request.headers if field.lower() == wanted]
        return ", ".join(values)

    return header
