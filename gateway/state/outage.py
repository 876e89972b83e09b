"""When a store that failed is left alone, who looks whether it is back, and what the log hears."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

#: For how many seconds nobody else tries what one waits for.
TRYING = 30.0


class Outage:
    """Whether a store is away, as this worker knows it.

    After a failure it is not asked for `pause` seconds; then one request tries it for all. The log
    hears once that `store` failed and what is done `meanwhile`, and once that it `works` again.
    timer gives monotonic seconds.
    """

    __slots__ = (
        "_log",
        "_meanwhile",
        "_pause",
        "_store",
        "_timer",
        "_trying",
        "_until",
        "_works",
        "down",
    )

    def __init__(
        self,
        log: logging.Logger,
        store: str,
        meanwhile: str,
        *,
        works: str = "is back",
        pause: float = 1.0,
        timer: Callable[[], float] = time.monotonic,
        trying: float = TRYING,
    ) -> None:
        #: Whether it is away.
        self.down = False
        self._log = log
        self._store = store
        self._meanwhile = meanwhile
        self._works = works
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

    def failed(self, error: Exception) -> bool:
        """It failed; whether that is news, of which the log has then heard."""
        first = not self.down
        self._until = self._timer() + self._pause  # before anybody asks for it
        self.down = True
        if first:
            kind = type(error).__name__
            self._log.warning("%s failed (%s): %s", self._store, kind, self._meanwhile)
        return first

    def undecided(self) -> None:
        """What was tried has shown nothing: the next one may try at once."""
        self._until = self._timer()

    def over(self) -> None:
        """It works again; the log hears of it."""
        self.down = False
        self._log.warning("%s %s", self._store, self._works)
