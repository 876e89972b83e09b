"""Answers whose store may go away: it is left alone then, and purged first when it is back."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from gateway.caching.store import Found, Outcome, Purge, ResponseStore, StoreFault, Ticket
from gateway.state.outage import Outage

T = TypeVar("T")

#: What is claimed to see whether a store that failed works again.
TRIAL = b"trial".ljust(16, b"\0")
#: Purges that are caught up on one by one; from so many on all is purged instead.
OWED = 500

log = logging.getLogger("gateway.caching")


class FallbackResponses:
    """Asks `store`; raises StoreFault whatever goes wrong there, and then at once for `pause`
    seconds, after which one request tries it again. No other store steps in.

    A purge that failed is made up for before the store is asked anything else: what it held would
    be used again. That is remembered by this worker alone, 500 purges at most; more are one of
    everything.
    """

    def __init__(
        self,
        store: ResponseStore,
        *,
        name: str = "shared",
        pause: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        #: See ResponseStore.lag.
        self.lag = store.lag
        self._store = store
        self._name = name
        self._outage = Outage(
            log,
            f"response store {name}",
            "nothing is kept or used",
            pause=pause,
            timer=monotonic,
        )
        self._owed: dict[Purge, None] = {}

    def read(self, key: bytes, known: bytes = b"") -> Found | None:
        """See ResponseStore.read."""
        if self._outage.down:  # not through `_ask`: most requests do nothing but this
            self._try_again()
        try:
            return self._store.read(key, known)
        except Exception as error:  # noqa: BLE001  whatever its driver raises
            raise self._failed(error) from None

    def ticket(self, url: str) -> Ticket:
        """See ResponseStore.ticket."""
        return self._ask(lambda store: store.ticket(url))

    def write(
        self, key: bytes, data: bytes, *, url: str, tags: Sequence[str], ticket: Ticket
    ) -> bytes | None:
        """See ResponseStore.write."""
        return self._ask(lambda store: store.write(key, data, url=url, tags=tags, ticket=ticket))

    def drop(self, key: bytes) -> None:
        """See ResponseStore.drop."""
        self._ask(lambda store: store.drop(key))

    def purge(self, purge: Purge) -> int:
        """See ResponseStore.purge. One that raises is made up for."""
        try:
            return self._ask(lambda store: store.purge(purge))
        except StoreFault:
            self._owe(purge)
            raise

    def claim(self, key: bytes, owner: bytes, seconds: float) -> bool:
        """See ResponseStore.claim."""
        return self._ask(lambda store: store.claim(key, owner, seconds))

    def release(self, key: bytes, owner: bytes, outcome: Outcome) -> None:
        """See ResponseStore.release."""
        self._ask(lambda store: store.release(key, owner, outcome))

    def outcome(self, key: bytes, waited: float) -> Outcome | None:
        """See ResponseStore.outcome."""
        return self._ask(lambda store: store.outcome(key, waited))

    def usage(self) -> tuple[int, int]:
        """See ResponseStore.usage."""
        return self._ask(lambda store: store.usage())

    def _ask(self, question: Callable[[ResponseStore], T]) -> T:
        if self._outage.down:
            self._try_again()
        try:
            if self._owed:  # by one that failed just when another found the store back
                self._catch_up()
            return question(self._store)
        except Exception as error:  # noqa: BLE001
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> StoreFault:
        self._outage.failed(error)
        return StoreFault(f"{self._name}: {type(error).__name__}")

    def _try_again(self) -> None:
        """Returns if it works: for reading, and for changing, which may be what failed."""
        if not self._outage.may_try():
            raise StoreFault(f"{self._name} is left alone for a moment")
        owner = os.urandom(8)
        try:
            self._store.ticket("")
            self._store.claim(TRIAL, owner, 1.0)
            self._store.release(TRIAL, owner, "again")
            self._catch_up()
        except Exception as error:  # noqa: BLE001
            raise self._failed(error) from None
        self._outage.over()

    def _catch_up(self) -> None:
        for purge in list(self._owed):
            # Before, not after: meanwhile it may be owed once more.
            self._owed.pop(purge, None)
            try:
                self._store.purge(purge)
            except BaseException:
                self._owe(purge)
                raise

    def _owe(self, purge: Purge) -> None:
        if purge.kind == "all" or len(self._owed) >= OWED:
            self._owed.clear()
            purge = Purge("all")
        if Purge("all") not in self._owed:
            self._owed[purge] = None
