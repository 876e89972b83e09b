"""Workers beside a store that notes what it is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.caching.entry import Entry, Kept
from gateway.caching.memory import MemoryResponses
from gateway.caching.store import Found, Outcome, Purge, ResponseStore, StoreFault, Ticket
from gateway.caching.tiers import TieredResponses

KEY, OTHER = b"k" * 16, b"o" * 16
URL = "/orders?page=1"
LAG = 0.5


def entry(body: bytes = b"body", fields: int = 1) -> Entry:
    """An answer."""
    return Entry(200, "OK", [("Content-Type", "text/plain")] * fields, body, 1.0, 0.0, 60.0)


class Watched(MemoryResponses):
    """A store that notes what was read, fails when told to, and lets something happen meanwhile."""

    def __init__(self, lag: float = 0.0) -> None:
        super().__init__(1 << 24)
        self.lag = lag
        self.reads: list[bytes] = []
        self.down = False
        self.after: Callable[[], object] = lambda: None

    def _happens(self) -> None:
        after, self.after = self.after, lambda: None
        after()

    def _asked(self) -> None:
        if self.down:
            raise StoreFault

    def read(self, key: bytes, known: bytes = b"") -> Found | None:
        """See ResponseStore.read."""
        self._asked()
        found = super().read(key, known)
        self.reads.append(known)
        self._happens()
        return found

    def ticket(self, url: str) -> Ticket:
        """See ResponseStore.ticket."""
        self._asked()
        return super().ticket(url)

    def write(
        self, key: bytes, data: bytes, *, url: str, tags: Sequence[str], ticket: Ticket
    ) -> bytes | None:
        """See ResponseStore.write."""
        self._asked()
        stamp = super().write(key, data, url=url, tags=tags, ticket=ticket)
        self._happens()
        return stamp

    def drop(self, key: bytes) -> None:
        """See ResponseStore.drop."""
        self._asked()
        super().drop(key)

    def purge(self, purge: Purge) -> int:
        """See ResponseStore.purge."""
        self._asked()
        return super().purge(purge)

    def claim(self, key: bytes, owner: bytes, seconds: float) -> bool:
        """See ResponseStore.claim."""
        self._asked()
        return super().claim(key, owner, seconds)

    def release(self, key: bytes, owner: bytes, outcome: Outcome) -> None:
        """See ResponseStore.release."""
        self._asked()
        super().release(key, owner, outcome)

    def outcome(self, key: bytes, waited: float) -> Outcome | None:
        """See ResponseStore.outcome."""
        self._asked()
        return super().outcome(key, waited)

    def usage(self) -> tuple[int, int]:
        """See ResponseStore.usage."""
        self._asked()
        return super().usage()


class Worker:
    """A worker's view of a store, and its clock."""

    def __init__(self, store: ResponseStore, size: int = 1 << 20) -> None:
        self.now = 100.0
        self.responses = TieredResponses(store, size, lambda: self.now)

    def put(self, kept: Kept, key: bytes = KEY, tags: Sequence[str] = ()) -> bool:
        """Keep something."""
        ticket = self.responses.ticket(URL)
        return self.responses.put(key, kept, url=URL, tags=tags, ticket=ticket)
