"""Shared state that goes on when its store does not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from gateway.state.outage import TRYING, Outage
from gateway.state.shared import Edit, SharedState, Value

T = TypeVar("T")

#: What is changed to see whether a store that failed works again.
TRIAL = "trial"
#: How many pauses longer a request waits than the beat before it tries: it would be held up.
_PATIENCE = 4

log = logging.getLogger("gateway.state")


class FallbackState:
    """Uses `primary`; while it fails, `local`, which then may know less than the others do.

    The primary is tried again after `pause` seconds, with a look and a change: by the next beat,
    or by a request if there is no beat. Which one is used is remembered by this worker alone.
    Times are always told by the primary's clock, which must not need the store.
    """

    def __init__(
        self,
        primary: SharedState,
        local: SharedState,
        *,
        name: str = "shared",
        pause: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._primary = primary
        self._local = local
        self._pause = pause
        self._outage = Outage(
            log,
            f"state store {name}",
            "this worker goes on with what it knows",
            pause=pause,
            timer=monotonic,
            trying=TRYING * pause,
        )

    @property
    def degraded(self) -> bool:
        """Whether the local state is used at the moment."""
        return self._outage.down

    @property
    def lag(self) -> float:
        """See SharedState.lag; that of the state in use."""
        return self._local.lag if self._outage.down else self._primary.lag

    def clock(self) -> float:
        """See SharedState.clock."""
        return self._primary.clock()

    def get(self, key: str) -> Value | None:
        """See SharedState.get."""
        return self._ask(lambda state: state.get(key))

    def scan(self, prefix: str) -> dict[str, Value]:
        """See SharedState.scan."""
        return self._ask(lambda state: state.scan(prefix))

    def change(self, key: str, edit: Edit) -> Value | None:
        """See SharedState.change. What `edit` raises is raised, and is no fault of the store."""
        raised: list[Exception] = []

        def watched(old: Value | None) -> Value | None:
            try:
                return edit(old)
            except Exception as error:
                raised.append(error)
                raise

        return self._ask(lambda state: state.change(key, watched), raised)

    def refresh(self) -> None:
        """See SharedState.refresh."""
        self._ask(lambda state: state.refresh(), patience=0)

    def _ask(
        self,
        question: Callable[[SharedState], T],
        raised: list[Exception] | None = None,
        patience: int = _PATIENCE,
    ) -> T:
        if not self._outage.down or self._back(patience * self._pause):
            try:
                return question(self._primary)
            except Exception as error:
                if raised and error is raised[-1]:
                    raise
                self._outage.failed(error)
        return question(self._local)

    def _back(self, patience: float) -> bool:
        """Whether it works again: for reading, and for changing, which may be what failed."""
        if not self._outage.may_try(patience):
            return False
        try:
            self._primary.refresh()
            self._primary.change(TRIAL, lambda old: {"expires": self._primary.clock()})
        except Exception as error:  # noqa: BLE001
            self._outage.failed(error)
            return False
        self._outage.over()
        return True
