"""A server that decides about requests and does not answer: left alone for a while."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from gateway.authentication.decisions import NoDecision
from gateway.transport.calls import Answer, CallFailed

T = TypeVar("T")

#: Failures in a row after which nobody waits for the server, and for how many seconds.
PATIENCE = 5
PAUSE = 1.0
#: Seconds after which trouble is worth another line in the log.
AGAIN = 60.0

log = logging.getLogger("gateway.authentication")


class Outage:
    """Whether a server is away, as this worker knows it.

    After five calls in a row without an answer it is not asked for a second; then one request asks
    for all. name: what the log calls it. timer gives monotonic seconds.
    """

    def __init__(self, name: str, timer: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._timer = timer
        self._lock = threading.Lock()
        self._silent = 0
        self._until = 0.0
        self._worth = 0.0  # when the next line may be written
        self._told = False

    def may_ask(self) -> bool:
        """Whether to ask now."""
        if self._silent < PATIENCE:
            return True
        with self._lock:
            now = self._timer()
            if now < self._until:
                return False
            self._until = now + PAUSE  # whoever asks now asks for all
            return True

    def decision(self, ask: Callable[[], Answer], read: Callable[[Answer], T]) -> T:
        """What `read` makes of the server's answer. Raises NoDecision, also for what `ask` and
        `read` raise of their kind, and at once while the server is left alone."""
        if not self.may_ask():
            raise NoDecision("it was not asked: it did not answer just now", down=True)
        try:
            answer = ask()
        except CallFailed as error:
            self.silent(str(error))
            raise NoDecision(str(error), down=True) from None
        try:
            decision = read(answer)
        except NoDecision as error:
            self.answered(well=False)
            self.useless(str(error))
            raise
        self.answered()
        return decision

    def silent(self, text: str) -> None:
        """It did not answer. text: for the log."""
        with self._lock:
            self._silent += 1
            if self._silent >= PATIENCE:
                self._until = self._timer() + PAUSE
        self.useless(text)

    def useless(self, text: str) -> None:
        """It gave no answer that decides anything, perhaps about this request alone."""
        now = self._timer()
        with self._lock:
            worth = now >= self._worth
            if worth:
                self._worth = now + AGAIN
                self._told = True
        if worth:
            log.error("%s decides nothing: %s", self._name, text)

    def answered(self, *, well: bool = True) -> None:
        """It answered. well: with a decision."""
        if not self._silent and not (well and self._told):
            return
        with self._lock:
            self._silent = 0
            back = well and self._told
            if back:
                self._told = False
        if back:
            log.warning("%s decides again", self._name)
