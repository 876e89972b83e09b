"""Decisions of somebody else, remembered for a while; one question at a time for the same thing,
and a bounded number of requests that wait for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import cachetools

from gateway.slots import Slots

#: Seconds for which a request waits to be one of those that wait for a decision.
QUEUE = 0.25

T = TypeVar("T")


class NoDecision(Exception):
    """Nobody decided. The text is for the log. down: whoever should have decided fails, which no
    request could have brought about by its own size or form."""

    def __init__(self, text: str, *, down: bool) -> None:
        super().__init__(text)
        self.down = down


class _Question(Generic[T]):
    """A question that is being asked, and those who wait for its answer."""

    __slots__ = ("answer", "failed", "over")

    def __init__(self) -> None:
        self.over = threading.Event()
        self.answer: T | None = None
        self.failed: NoDecision | None = None


class Decisions(Generic[T]):
    """What was decided, in this worker: `size` decisions at most, the least used leaves first.

    seconds: for how long each is kept; 0 for not at all. patience: seconds to wait for the answer
    to somebody else's question. timer gives monotonic seconds. waiting: how many requests may wait
    at once, those that ask included: while whoever decides hangs, the worker has others to serve.
    None is no decision.
    """

    def __init__(
        self,
        seconds: Callable[[T], float],
        size: int,
        patience: float,
        timer: Callable[[], float] = time.monotonic,
        *,
        waiting: int = 64,
    ) -> None:
        self._patience = patience
        self._places = Slots(waiting)
        self._lock = threading.Lock()
        self._asked: dict[bytes, _Question[T]] = {}
        self._known: cachetools.TLRUCache[bytes, T] = cachetools.TLRUCache(
            size, ttu=lambda _key, decision, now: now + seconds(decision), timer=timer
        )

    def known(self, key: bytes) -> T | None:
        """What was decided lately."""
        with self._lock:
            return self._known.get(key)

    def settle(self, key: bytes | None, ask: Callable[[], T]) -> T:
        """What `ask` decides, or decided for another request meanwhile; None as key: for this one
        alone, and it is not remembered. Raises NoDecision, to all who wait for the same."""
        if not self._places.take(time.monotonic() + QUEUE):
            raise NoDecision("too many requests wait for it", down=True)
        try:
            return ask() if key is None else self._shared(key, ask)
        finally:
            self._places.release()

    def _shared(self, key: bytes, ask: Callable[[], T]) -> T:
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                return known
            asked = self._asked.get(key)
            mine: _Question[T] = _Question()
            if asked is None:
                self._asked[key] = mine
        if asked is None:
            return self._answered(key, mine, ask)
        asked.over.wait(self._patience)
        if asked.answer is None:
            failed = asked.failed
            if failed is not None:
                raise NoDecision(str(failed), down=failed.down)
            raise NoDecision("somebody else's question came to nothing", down=False)
        return asked.answer

    def _answered(self, key: bytes, mine: _Question[T], ask: Callable[[], T]) -> T:
        try:
            mine.answer = decision = ask()
        except NoDecision as error:
            mine.failed = error
            raise
        finally:
            with self._lock:
                if mine.answer is not None:
                    self._known[key] = mine.answer
                del self._asked[key]
            mine.over.set()
        return decision
