"""Shared state that goes on when its store does not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from gateway.state.shared import Edit, SharedState, Value

T = TypeVar("T")

log = logging.getLogger("gateway.state")


class FallbackState:
    """Uses `primary`; while it fails, `local`, which then may know less than the others do.

    The primary is tried again each `pause` seconds. Which one is used is remembered by this worker
    alone. Times are always told by the primary's clock, which must not need the store.
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
        self._name = name
        self._pause = pause
        self._monotonic = monotonic
        self._down_until: float | None = None

    @property
    def degraded(self) -> bool:
        """Whether the local state is used at the moment."""
        return self._down_until is not None

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
        """See SharedState.change."""
        return self._ask(lambda state: state.change(key, edit))

    def refresh(self) -> None:
        """See SharedState.refresh."""
        self._ask(lambda state: state.refresh())

    def _ask(self, question: Callable[[SharedState], T]) -> T:
        down_until = self._down_until
        if down_until is not None:
            if self._monotonic() < down_until:
                return question(self._local)
            # The others stay local while this one tries.
            self._down_until = self._monotonic() + 30 * self._pause
        try:
            answer = question(self._primary)
        except Exception as error:  # noqa: BLE001  whatever its driver raises, requests go on
            if down_until is None:
                log.warning(
                    "state store %s failed (%s): this worker goes on with what it knows",
                    self._name,
                    type(error).__name__,
                )
            self._down_until = self._monotonic() + self._pause
            return question(self._local)
        if down_until is not None:
            self._down_until = None
            log.warning("state store %s is back", self._name)
        return answer
