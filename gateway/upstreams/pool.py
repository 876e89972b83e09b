"""The instances of one service: which of them can be used now, and which gets a request."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from gateway.errors import NoTarget
from gateway.exchange import UpstreamRequest
from gateway.state import SharedState
from gateway.upstreams import verdicts
from gateway.upstreams.ejection import Ejection
from gateway.upstreams.load_balancing.choice import Chooser
from gateway.upstreams.node import Node
from gateway.upstreams.target import Target
from gateway.urls import Origin

log = logging.getLogger("gateway.upstreams")


@dataclass(frozen=True, slots=True)
class Connections:
    """What the pool asks of the transport: to take requests for a target, which gives what tells
    how many are in flight there; and to drain one."""

    expect: Callable[[Target], Callable[[], int]]
    retire: Callable[[Target], None]


class UpstreamPool:
    """Chooses among the usable instances. Its nodes are this worker's copy of what all workers
    know, renewed by `refresh` at every beat. Whoever changes them does so alone; choosing waits
    for nobody."""

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
        #: Waits for the first instances, where they are looked for; it may raise ClientGone.
        self.arrival: Callable[[UpstreamRequest], None] | None = None
        self._state = state
        self._connections = connections
        self._ejection = ejection
        self._changing = threading.RLock()
        self.nodes: tuple[Node, ...] = ()
        self._usable: tuple[Node, ...] = ()
        self.set_targets(targets)

    @property
    def usable(self) -> tuple[Node, ...]:
        """Those that requests are sent to."""
        return self._usable

    def set_targets(self, targets: Iterable[Target]) -> None:
        """Have exactly these instances. One that stays keeps its verdicts; one that goes gets no
        further request, and its connections drain."""
        with self._changing:
            known = {_place(node.target): node for node in self.nodes}
            self.nodes = tuple(self._node(target, known.get(_place(target))) for target in targets)
            self._settle()
            there = {_place(node.target) for node in self.nodes}
            gone = [node.target for place, node in known.items() if place not in there]
            # Two may be paths at one place, and share their connections.
            hosts = {_host(node.target) for node in self.nodes}
            for target in gone:
                if _host(target) not in hosts:
                    self._connections.retire(target)
            names = {node.target.name for node in self.nodes}
            self._forget(target.name for target in gone if target.name not in names)

    def _forget(self, names: Iterable[str]) -> None:
        """Drop what was said of instances that are gone: one that comes back at the same place may
        be another."""
        for name in names:
            for key in (verdicts.health(self.service, name), verdicts.ejected(self.service, name)):
                if self._state.get(key) is not None:
                    self._state.change(key, lambda old: None)

    def _node(self, target: Target, known: Node | None) -> Node:
        if known is None:
            return Node(target, self._connections.expect(target))
        return known if known.target == target else replace(known, target=target)

    def choose(self, request: UpstreamRequest) -> Node:
        """The instance for a request. Raises NoTarget when there is none, or none is admitted."""
        nodes = self._usable or self._awaited(request)
        if request.tried or request.admit is not None:
            return self._choose_among(nodes, request)
        return nodes[0] if len(nodes) == 1 else self.chooser(nodes, request)

    def _awaited(self, request: UpstreamRequest) -> tuple[Node, ...]:
        if self.arrival is not None:
            self.arrival(request)
        nodes = self._usable
        if not nodes:
            raise NoTarget
        return nodes

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
        if not self._dispensable(node, ejection):
            return
        with self._changing:
            self.refresh()  # another worker may have left one out since the last beat
            if not self._dispensable(node, ejection):
                return
            now = self._state.clock()
            name = verdicts.ejected(self.service, node.target.name)
            verdict = self._state.change(name, lambda old: ejection.verdict(old, now))
            node.ejected_until = verdict["until"] if verdict else 0.0
            self._settle()
        log.warning(
            "%s: %s is left out for %.0f s",
            self.service,
            node.target.name,
            node.ejected_until - now,
        )

    def _dispensable(self, node: Node, ejection: Ejection) -> bool:
        """Whether the others can do without it. Where all fail, none does better than another."""
        now = self._state.clock()
        nodes = self._weighted()
        well = [one for one in nodes if one.healthy and one.ejected_until <= now]
        return (
            node in well
            and any(one.failures == 0 for one in well)
            and ejection.permitted(len(nodes) - len(well), len(nodes))
        )

    def refresh(self) -> None:
        """Take in what is known of the instances by now."""
        with self._changing:  # from the look on, or it could undo what was changed meanwhile
            now = self._state.clock()
            said = self._state.scan(verdicts.about(self.service))
            for node in self.nodes:
                name = node.target.name
                health = said.get(verdicts.health(self.service, name))
                node.healthy = verdicts.is_healthy(health, now)
                ejection = self._ejection
                if ejection is None:
                    continue
                ejected = said.get(verdicts.ejected(self.service, name))
                node.ejected_until = ejection.until(ejected, now)
                if node.ejected_until:
                    # Whoever saw it fail: when it comes back, it is on trial in every worker.
                    node.failures = max(node.failures, ejection.failures)
            self._settle()

    def _settle(self) -> None:
        """Which instances can be used; if none looks well, all that are least bad: being wrong
        about them must not turn into having none."""
        now = self._state.clock()
        nodes = self._weighted()
        healthy = [node for node in nodes if node.healthy]
        usable = [node for node in healthy if node.ejected_until <= now]
        chosen = tuple(usable or healthy or nodes)
        if chosen != self._usable:  # the same tuple tells a chooser that nothing has changed
            self._usable = chosen

    def _weighted(self) -> list[Node]:
        """All instances but those kept for when there is no other."""
        return [node for node in self.nodes if node.target.weight] or list(self.nodes)


def _place(target: Target) -> tuple[Origin, str]:
    """What makes it the same instance, whatever its weight."""
    return target.origin, target.address


def _host(target: Target) -> tuple[str, str]:
    """What has its own connections."""
    return target.origin.url, target.address
