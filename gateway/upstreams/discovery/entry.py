"""What was found of one service, as all workers share it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.state import Value
from gateway.upstreams.discovery.provider import Discovery
from gateway.upstreams.target import Target
from gateway.urls import Origin

#: Seconds after which an entry is written again, though nothing has changed.
RENEW = 10.0
#: Seconds after which an entry that nobody renewed is of an earlier time, as in a store that was
#: last used when another one failed. Who knows something newer stays with that.
STALE = 60.0


@dataclass(frozen=True, slots=True)
class Entry:
    """The shared value of a service.

    source: who was asked; an entry of another source says nothing, as after a start with another
    address. targets: None while nothing was ever learned. gone_at: when they are to be taken as
    gone, in the shared state's clock, because the source says that there are none; None: they are
    there.
    """

    source: str
    targets: tuple[Target, ...] | None
    gone_at: float | None = None

    def value(self, renewed: float = 0.0) -> Value:
        """What is stored. renewed: when it was last said, in the shared state's clock."""
        targets = None if self.targets is None else [_stored(target) for target in self.targets]
        return {
            "source": self.source,
            "targets": targets,
            "gone_at": self.gone_at,
            "renewed": renewed,
        }

    @classmethod
    def read(cls, value: Value | None, source: str) -> Entry | None:
        """What was stored by this source; None when there is nothing."""
        if value is None or value["source"] != source:
            return None
        stored = value["targets"]
        targets = None if stored is None else tuple(_target(one) for one in stored)
        return cls(source, targets, value["gone_at"])


def _stored(target: Target) -> Value:
    url = target.origin.url + target.origin.base_path
    return {"url": url, "weight": target.weight, "address": target.address}


def _target(stored: Value) -> Target:
    return Target(Origin.parse(stored["url"]), stored["weight"], stored["address"])


def source_of(address: str | None, discovery: Discovery) -> str:
    """A name for who is asked, the same in every worker. The address may hold a password, so only
    its digest is shared; a provider made in Python goes by its class."""
    kind = type(discovery)
    told = address or f"{kind.__module__}.{kind.__qualname__}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def in_order(targets: Iterable[Target]) -> tuple[Target, ...]:
    """The targets, each name once, in an order that does not change from look to look."""
    found: dict[str, Target] = {}
    for target in targets:
        found.setdefault(target.name, target)
    return tuple(found[name] for name in sorted(found))
