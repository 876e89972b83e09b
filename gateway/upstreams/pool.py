"""The instances of one service, taken in turn."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from gateway.upstreams.target import Target


class UpstreamPool:
    """Chooses round robin. The turn is this worker's own; each worker goes round by itself."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = tuple(targets)
        self._single = self.targets[0] if len(self.targets) == 1 else None
        self._turn = itertools.cycle(self.targets)

    def choose(self) -> Target | None:
        """The target for the next request; None when there is no instance."""
        return self._single or next(self._turn, None)
