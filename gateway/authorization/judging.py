"""What only a whole gateway can say against a function of `require`: told at start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from gateway.authorization.parts import Decision, leaves

if TYPE_CHECKING:
    from gateway.routes import Route


@runtime_checkable
class JudgedPolicy(Protocol):
    """A function of `require` that can be wrong in a gateway."""

    def faults(self, credentials: frozenset[str]) -> list[str]:
        """What is wrong with it. credentials: names of the request fields that may hold one, in
        lower case."""
        ...


def wrong_policies(routes: Mapping[str, Route], credentials: frozenset[str]) -> list[str]:
    """What is wrong with the functions of all routes, each fault once."""
    accesses = [route.access for route in routes.values()]
    found: list[str] = []
    for part in (one for access in accesses for parts in access.values() for one in parts or ()):
        for leaf in leaves(part):
            policy: object = leaf.policy if isinstance(leaf, Decision) else None
            if isinstance(policy, JudgedPolicy):
                found += [f"{leaf}: {fault}" for fault in policy.faults(credentials)]
    return list(dict.fromkeys(found))
