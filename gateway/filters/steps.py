"""One filter at work, and who complains of slow ones."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from gateway.filters.declaring import Failures, Filter

#: Seconds that a filter may take; and between two lines in the log about the same one.
SLOW, QUIET = 0.5, 60.0

log = logging.getLogger("gateway")


class Step:
    """A filter as it is called. It remembers, for this worker, when it was last complained of.

    clock: seconds of a monotonic clock.
    """

    __slots__ = ("_clock", "_function", "_only", "_quiet_until", "name", "of")

    def __init__(
        self,
        noted: Filter,
        function: Callable[..., Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = noted.name
        self.of: Failures = noted.of
        self._function = function
        self._only = noted.only
        self._clock = clock
        self._quiet_until = float("-inf")

    def wanted(self, given: Any) -> bool:
        """Whether it is to be called with this."""
        return self._only is None or self._only(given)

    def __call__(self, given: Any) -> Any:
        """What it returns; None where it is not to be called."""
        if self._only is not None and not self._only(given):
            return None
        begun = self._clock()
        try:
            return self._function(given)
        finally:
            now = self._clock()
            if now - begun > SLOW and now >= self._quiet_until:
                self._quiet_until = now + QUIET
                log.warning("filter %s took %.0f ms", self.name, (now - begun) * 1000)

    def around(self, given: Any, following: Any) -> Any:
        """What a route filter returns. Not timed: most of it is the backend's time."""
        return self._function(given, following)
