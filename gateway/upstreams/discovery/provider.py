"""What finds out at run time where the instances of a service are."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.upstreams.target import Target


class DiscoveryError(Exception):
    """Nothing can be learned at the moment; what was known stays. The message is for the log."""


@dataclass(frozen=True, slots=True)
class Found:
    """All instances there are now; next_look: in how many seconds to look again, 0 for at once,
    where the look itself waits for a change."""

    targets: tuple[Target, ...]
    next_look: float


#: Looks once, perhaps waiting for a change until the event is set. Raises DiscoveryError.
Look = Callable[[threading.Event], Found]


class Discovery(Protocol):
    """A source of instances as a value with its options."""

    def begin(self) -> Look:
        """Begin to look, in the elected worker; what the look remembers is that worker's own."""
        ...
