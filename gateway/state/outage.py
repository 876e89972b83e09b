"""When a store that failed is left alone, and who looks whether it is back."""

from __future__ import annotations

import time
from collections.abc import Callable

#: For how many seconds nobody else tries what one waits for.
TRYING = 30.0


class Outage:
    """Whether a store is away, as this worker knows it.

    After a failure it is not asked for `pause` seconds; then one request tries it for all. What is
    said about it in the log is said by who hears `failed` answer True, and calls `over`. timer
    gives monotonic seconds.
    """

    __slots__ = ("_pause", "_timer", "_trying", "_until", "down")

    def __init__(
        self, pause: float, timer: Callable[[], float] = time.monotonic, trying: float = TRYING
    ) -> None:
        #: Whether it is away.
        self.down = False
        self._pause = pause
        self._timer = timer
        self._trying = trying
        self._until = 0.0

    def may_try(self, patience: float = 0.0) -> bool:
        """Whether to try a store that is away: True for one, in each pause and so many seconds
        more. It must then call `failed`, `over` or `undecided`."""
        now = self._timer()
        if now < self._until + patience:
            return False
        self._until = now + self._trying  # the others go on without it while this one tries
        return True

    def failed(self) -> bool:
        """It failed; whether that is news."""
        first = not self.down
        self._until = self._timer() + self._pause  # before anybody asks for it
        self.down = True
        return first

    def undecided(self) -> None:
        """What was tried has shown nothing: the next one may try at once."""
        self._until = self._timer()

    def over(self) -> None:
        """It works again."""
        self.down = False
