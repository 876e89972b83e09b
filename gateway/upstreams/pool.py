"""The instances of one service: which of them can be used now, and which gets a request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.errors import NoTarget
from gateway.exchange import UpstreamRequest
from gateway.state import SharedState
from gateway.upstreams import verdicts
from gateway.upstreams.ejection import Ejection
from gateway.upstreams.load_balancing.choice import Chooser
from gateway.upstreams.node import Node
from gateway.upstreams.target import Target

log = logging.getLogger("gateway.upstreams")


@dataclass(frozen=True, slots=True)
class Connections:
    """What the pool asks of the transport: requests in flight to a target, and to drain one."""

    in_flight: Callable[[Target], int]
    retire: Callable[[Target], None]


class UpstreamPool:
    """Chooses among the usable instances. Its nodes are this worker's copy of what all workers
    know, renewed by `refresh` at every beat."""

    def __init__(
        self,
        service: str,
        targets: Iterable[Target],
        *,
        state: SharedState,
        chooser: Chooser,
        connections: Connections,
        ejection: Ejection | None = None,
    ) -> None:
        self.service = service
        self.chooser = chooser
        self._state = state
        self._connections = connections
        self._ejection = ejection
        self.nodes: tuple[Node, ...] = ()
        self._usable: tuple[Node, ...] = ()
        self.set_targets(targets)

    def set_targets(self, targets: Iterable[Target]) -> None:
        """Have exactly these instances. One that stays keeps its verdicts; one that goes gets no
        further request, and its connections drain."""
        known = {node.target: node for node in self.nodes}
        wanted = tuple(targets)
        self.nodes = tuple(
            known[target] if target in known else self._node(target) for target in wanted
        )
        self._settle()
        for target in known.keys() - set(wanted):
            self._connections.retire(target)

    def _node(self, target: Target) -> Node:
        return Node(target, lambda: self._connections.in_flight(target))

    def choose(self, request: UpstreamRequest) -> Node:
        """The instance for a request. Raises NoTarget when there is none, or none is admitted."""
        nodes = self._usable
        if request.tried or request.admit is not None:
            return self._choose_among(nodes, request)
        if not nodes:
            raise NoTarget
        return nodes[0] if len(nodes) == 1 else self.chooser(nodes, request)

    def _choose_among(self, nodes: Sequence[Node], request: UpstreamRequest) -> Node:
        """With wishes: rather one that was not tried, and none that is not admitted."""
        tried = request.tried or ()
        fresh = [node for node in nodes if node.target.name not in tried]
        for group in (fresh, [node for node in nodes if node.target.name in tried]):
            while group:
                node = group[0] if len(group) == 1 else self.chooser(group, request)
                if request.admit is None or request.admit(node.target.name):
                    return node
                group.remove(node)
        raise NoTarget

    def noted(self, node: Node, good: bool) -> None:
        """Note an answer or a failure; one failure too many in a row leaves the instance out, for
        all workers."""
        if not good:
            self._failed(node)
        elif node.failures:
            node.failures = 0

    def _failed(self, node: Node) -> None:
        node.failures += 1
        ejection = self._ejection
        if ejection is None or node.failures < ejection.failures:
            return
        now = self._state.clock()
        out = sum(not other.healthy or now < other.ejected_until for other in self.nodes)
        if now < node.ejected_until or not ejection.permitted(out, len(self.nodes)):
            return
        name = verdicts.ejected(self.service, node.target.name)
        verdict = self._state.change(name, lambda old: ejection.verdict(old, now))
        node.failures = 0
        node.ejected_until = verdict["until"] if verdict else 0.0
        log.warning(
            "%s: %s is left out for %.0f s",
            self.service,
            node.target.name,
            node.ejected_until - now,
        )
        self._settle()

    def refresh(self) -> None:
        """Take in what is known of the instances by now."""
        said = self._state.scan(verdicts.about(self.service))
        for node in self.nodes:
            name = node.target.name
            health = said.get(verdicts.health(self.service, name))
            node.healthy = health is None or bool(health["healthy"])
            ejected = said.get(verdicts.ejected(self.service, name))
            node.ejected_until = ejected["until"] if ejected else 0.0
        self._settle()

    def _settle(self) -> None:
        """Which instances can be used; if none looks well, all that are least bad: being wrong
        about them must not turn into having none."""
        now = self._state.clock()
        nodes = [node for node in self.nodes if node.target.weight] or list(self.nodes)
        healthy = [node for node in nodes if node.healthy]
        usable = [node for node in healthy if node.ejected_until <= now]
        self._usable = tuple(usable or healthy or nodes)
