"""Answers in this worker's memory, for one worker alone, and for tests."""

from __future__ import annotations

import itertools
import os
import struct
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.caching.names import GROUPS, as_bytes, group_of, is_named, kept_tags, path_of
from gateway.caching.store import OUTCOME_SECONDS, Found, Outcome, Purge, Ticket

# What Python takes for a key, its names and the places they stand in, in bytes.
_OVERHEAD = 500
_SEEN = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class _Written:
    stamp: bytes
    data: bytes
    url: bytes
    tags: list[bytes]

    @property
    def size(self) -> int:
        return _OVERHEAD + len(self.data) + len(self.url) + sum(map(len, self.tags))


@dataclass(frozen=True, slots=True)
class _Claim:
    owner: bytes
    until: float
    seconds: float

    def holds(self, now: float) -> bool:
        # One that is made for longer than it was: the clock was set back.
        return now < self.until <= now + self.seconds


@dataclass(frozen=True, slots=True)
class _Ended:
    outcome: Outcome
    at: float

    def counts(self, now: float, waited: float) -> bool:
        return 0 <= now - self.at < min(waited, OUTCOME_SECONDS)


class MemoryResponses:
    """See ResponseStore. It remembers at most `size` bytes, what was written last, and a claim for
    each key that somebody asks for, or how that ended, for a second. It never raises StoreFault."""

    lag = 0.0

    def __init__(self, size: int, clock: Callable[[], float] = time.time) -> None:
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        # In the order they were written.
        self._answers: dict[bytes, _Written] = {}
        self._of_path: dict[bytes, set[bytes]] = {}
        self._taken = 0
        self._claims: dict[bytes, _Claim] = {}
        self._ended: dict[bytes, _Ended] = {}
        self._stamps = itertools.count(int.from_bytes(os.urandom(7), "big"))
        self._purged = 0
        self._purged_paths = [0] * GROUPS

    def read(self, key: bytes, known: bytes = b"") -> Found | None:
        """See ResponseStore.read."""
        found = self._answers.get(key)
        if found is None:
            return None
        return Found(found.stamp, None if found.stamp == known else found.data)

    def ticket(self, url: str) -> Ticket:
        """See ResponseStore.ticket."""
        with self._lock:
            return self._ticket(as_bytes(url))

    def _ticket(self, url: bytes) -> Ticket:
        return Ticket(_SEEN.pack(self._purged, self._purged_paths[group_of(url)]))

    def write(
        self, key: bytes, data: bytes, *, url: str, tags: Sequence[str], ticket: Ticket
    ) -> bytes | None:
        """See ResponseStore.write."""
        stamp = next(self._stamps).to_bytes(8, "big")
        written = _Written(stamp, data, as_bytes(url), kept_tags(tags))
        with self._lock:
            if written.size > self._size or ticket != self._ticket(written.url):
                return None
            self._drop(key)
            while self._taken + written.size > self._size:
                self._drop(next(iter(self._answers)))
            self._answers[key] = written
            self._of_path.setdefault(path_of(written.url), set()).add(key)
            self._taken += written.size
        return stamp

    def drop(self, key: bytes) -> None:
        """See ResponseStore.drop."""
        with self._lock:
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        old = self._answers.pop(key, None)
        if old is None:
            return
        self._taken -= old.size
        path = path_of(old.url)
        keys = self._of_path[path]
        keys.discard(key)
        if not keys:
            del self._of_path[path]

    def purge(self, purge: Purge) -> int:
        """See ResponseStore.purge."""
        url = as_bytes(purge.what)
        by_path = purge.kind in ("url", "path")
        with self._lock:
            if by_path:
                self._purged_paths[group_of(url)] += 1
            else:
                self._purged += 1
            among: Iterable[bytes] = self._of_path.get(path_of(url), ())
            named = [key for key in (among if by_path else self._answers) if self._is(key, purge)]
            for key in named:
                self._drop(key)
        return len(named)

    def _is(self, key: bytes, purge: Purge) -> bool:
        written = self._answers[key]
        return is_named(purge, written.url, written.tags)

    def claim(self, key: bytes, owner: bytes, seconds: float) -> bool:
        """See ResponseStore.claim."""
        with self._lock:
            now = self._clock()
            held = self._claims.get(key)
            if held is not None and held.holds(now) and held.owner != owner:
                return False
            self._sweep(now)
            self._claims.pop(key, None)
            self._claims[key] = _Claim(owner, now + seconds, seconds)
            return True

    def _sweep(self, now: float) -> None:
        # In the order they were made: those nobody released come to the front.
        for key in list(itertools.islice(self._claims, 2)):
            if not self._claims[key].holds(now):
                del self._claims[key]
        for key in list(itertools.islice(self._ended, 2)):
            if not self._ended[key].counts(now, OUTCOME_SECONDS):
                del self._ended[key]

    def release(self, key: bytes, owner: bytes, outcome: Outcome) -> None:
        """See ResponseStore.release."""
        with self._lock:
            now = self._clock()
            held = self._claims.get(key)
            if held is None or not held.holds(now) or held.owner != owner:
                return
            del self._claims[key]
            if outcome != "again":
                self._ended.pop(key, None)
                self._ended[key] = _Ended(outcome, now)

    def outcome(self, key: bytes, waited: float) -> Outcome | None:
        """See ResponseStore.outcome."""
        with self._lock:
            now = self._clock()
            ended, held = self._ended.get(key), self._claims.get(key)
        if ended is not None and ended.counts(now, waited):
            return ended.outcome
        return None if held is not None and held.holds(now) else "again"

    def usage(self) -> tuple[int, int]:
        """See ResponseStore.usage."""
        with self._lock:
            return len(self._answers), self._taken
