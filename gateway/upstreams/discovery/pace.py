"""How fast a registry may be asked, whatever goes on in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Pace:
    """Lets a few looks follow each other at once, then one every some seconds: a token bucket.

    burst: looks at once. seconds: until there may be one more.
    """

    burst: int = 5
    seconds: float = 2.0
    clock: Callable[[], float] = time.monotonic
    _left: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._left, self._at = float(self.burst), self.clock()

    def pause(self) -> float:
        """Seconds to wait before the next look; to be asked once for each."""
        now = self.clock()
        self._left = min(self.burst, self._left + (now - self._at) / self.seconds) - 1
        self._at = now
        return max(0.0, -self._left * self.seconds)
