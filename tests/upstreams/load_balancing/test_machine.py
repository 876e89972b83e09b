"""Instances come, go, fail and are busy: whatever happens, each way of balancing keeps its word."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway import (
    ConsistentHash,
    Ejection,
    LeastRequests,
    PowerOfTwo,
    RoundRobin,
    StickySessions,
    UpstreamRequest,
)
from gateway.state import MemoryState
from gateway.upstreams import Connections, Node, Target, UpstreamPool, parse_target, verdicts
from gateway.upstreams.load_balancing import LoadBalancing
from tests.support.outline import answer, outline
from tests.upstreams.load_balancing.support import THINGS

NAMES = st.sampled_from("abcdef")


class Instances(RuleBasedStateMachine):
    """A pool over instances that do all that instances do. `balancing` is a subclass's."""

    balancing: LoadBalancing = PowerOfTwo()

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.weights = {"a": 1, "b": 2, "c": 1}
        self.busy = Counter[str]()
        self.cookies: dict[str, str] = {}
        self.homes: dict[str, str] = {}
        self.before: tuple[frozenset[tuple[str, int]], dict[str, str]] | None = None
        self.state = MemoryState(lambda: self.now)
        self.chooser: Any = self.balancing.chooser(THINGS)
        self.pool = UpstreamPool(
            "things",
            self.targets(),
            state=self.state,
            chooser=self.chooser,
            connections=Connections(self.expect, lambda target: None),
            ejection=Ejection(failures=1, seconds=10, most=0.7),
        )

    def targets(self) -> list[Target]:
        """All instances there are."""
        return [parse_target(f"http://{name};weight={w}") for name, w in self.weights.items()]

    def expect(self, target: Target) -> Any:
        """What tells its requests in flight."""
        return lambda: self.busy[target.name]

    def usable(self) -> dict[str, Node]:
        """Who may be chosen, by what is known of them; the rule of the pool in other words."""
        nodes = [node for node in self.pool.nodes if self.weights[node.target.name]]
        nodes = nodes or list(self.pool.nodes)
        healthy = [node for node in nodes if node.healthy]
        usable = [node for node in healthy if node.ejected_until <= self.now]
        nodes = usable or healthy or nodes
        return {node.target.name: node for node in nodes}

    def request(self, user: str = "") -> UpstreamRequest:
        """A request of this user's, with what cookie there is."""
        cookie = self.cookies.get(user)
        return outline(user=user, headers=[("Cookie", cookie)] if cookie else [])

    @rule(name=NAMES, weight=st.integers(0, 4))
    def comes(self, name: str, weight: int) -> None:
        self.weights[name] = weight
        self.pool.set_targets(self.targets())

    @rule(name=NAMES)
    def goes(self, name: str) -> None:
        if len(self.weights) > 1:
            self.weights.pop(name, None)
            self.pool.set_targets(self.targets())

    @rule(name=NAMES)
    def fails(self, name: str) -> None:
        for node in self.pool.nodes:
            if node.target.name == name:
                self.pool.noted(node, False)

    @rule(name=NAMES, healthy=st.booleans())
    def is_probed(self, name: str, healthy: bool) -> None:
        verdict = {"healthy": healthy, "expires": self.now + 60}
        self.state.change(verdicts.health("things", name), lambda old: verdict)
        self.pool.refresh()

    @rule(seconds=st.integers(1, 30))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self.pool.refresh()

    @rule(name=NAMES, count=st.integers(0, 6))
    def is_busy(self, name: str, count: int) -> None:
        self.busy[name] = count

    @rule(tried=st.lists(NAMES, min_size=1), refused=st.sets(NAMES))
    def a_retry_goes_elsewhere(self, tried: list[str], refused: set[str]) -> None:
        usable = self.usable()
        allowed = set(usable) - refused
        request = replace(self.request(), tried=list(tried), admit=lambda name: name not in refused)
        if allowed:
            name = self.pool.choose(request).target.name
            assert name in (allowed - set(tried) or allowed)

    @invariant()
    def who_is_chosen_is_usable(self) -> None:
        usable = self.usable()
        for _ in range(3):
            node = self.pool.choose(self.request())
            assert usable[node.target.name] is node


class TurnsTaken(Instances):
    """Round robin."""

    balancing = RoundRobin()

    @rule()
    def a_cycle_is_fair(self) -> None:
        usable = self.usable()
        weights = {name: self.weights[name] or 1 for name in usable}
        for _ in range(2 * sum(weights.values())):  # what was owed before is made up for
            self.pool.choose(self.request())
        chosen = Counter(
            self.pool.choose(self.request()).target.name for _ in range(sum(weights.values()))
        )
        assert all(abs(chosen[name] - weight) <= 1 for name, weight in weights.items())


class LeastTaken(Instances):
    """Least requests."""

    balancing = LeastRequests()

    @rule()
    def nobody_is_less_busy(self) -> None:
        loads = {name: self.busy[name] / (self.weights[name] or 1) for name in self.usable()}
        assert loads[self.pool.choose(self.request()).target.name] == min(loads.values())


class KeysKept(Instances):
    """Consistent hashing."""

    balancing = ConsistentHash("user")

    @rule()
    def keys_move_only_as_they_must(self) -> None:
        usable = self.usable()
        now = frozenset((name, self.weights[name]) for name in usable)
        users = [f"user-{number}" for number in range(40)]
        owners = {user: self.pool.choose(self.request(user)).target.name for user in users}
        if self.before is not None:
            past, held = self.before
            stayed = {name for name, _ in past & now}
            if not any(weight == 0 for _, weight in past | now):
                for user, owner in held.items():
                    # It stays, unless its owner went or changed, or a new or changed one took it.
                    assert (
                        owners[user] == owner or owner not in stayed or owners[user] not in stayed
                    )
        self.before = (now, owners)


class SessionsKept(Instances):
    """Sticky sessions."""

    balancing = StickySessions(inner=RoundRobin())

    @rule(user=st.sampled_from(["ada", "bob", "eve"]), fails=st.booleans())
    def a_client_comes(self, user: str, fails: bool) -> None:
        usable = self.usable()
        request, response = self.request(user), answer(503 if fails else 200)
        node = self.pool.choose(request)
        self.chooser.answered(request, response, node)
        home = self.homes.get(user)
        if home in usable:
            assert node.target.name == home
        told = [value for name, value in response.headers if name == "Set-Cookie"]
        assert bool(told) == (node.target.name != home and not fails)
        if told:
            self.cookies[user] = told[0].partition(";")[0]
            self.homes[user] = node.target.name

    @precondition(lambda self: self.homes)
    @rule()
    def a_retry_moves_the_session(self) -> None:
        user, home = next(iter(self.homes.items()))
        others = set(self.usable()) - {home}
        if others:
            request, response = replace(self.request(user), tried=[home]), answer()
            node = self.pool.choose(request)
            assert node.target.name in others
            self.chooser.answered(request, response, node)
            self.cookies[user] = response.headers[-1][1].partition(";")[0]
            self.homes[user] = node.target.name


@pytest.mark.parametrize("machine", [Instances, TurnsTaken, LeastTaken, KeysKept, SessionsKept])
def test_whatever_happens(machine: type[Instances]) -> None:
    case = machine.TestCase
    case.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
    case("runTest").runTest()
