"""What policies work with: the shared store, and beside it what this worker has ready."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cachetools import LRUCache

from gateway.caching.entry import Kept, Passed, Variants, decode, encode
from gateway.caching.leases import Leases
from gateway.caching.store import Found, Outcome, Purge, ResponseStore, StoreFault, Ticket

#: What an object takes beside its texts, and each of its fields and tags: counted, not measured.
_OBJECT, _FIELD = 1024, 200
#: One that takes more than this part of the room would drive too many others out.
_PART = 4
#: Keys that are remembered to have been read or written once.
_ONCE = 8192


@dataclass(slots=True)
class _Held:
    """What this worker has ready. at: when the store said so last, a monotonic time."""

    stamp: bytes
    kept: Kept
    at: float


class TieredResponses:
    """Answers of `store`, those used last ready in this worker: in `size` bytes, 0 for none.

    What is ready is confirmed by the store each time. Where that is far away (its lag is not 0),
    it is believed for the lag instead; what this worker itself writes, drops and purges counts at
    once. Only `purge` and `usage` raise: StoreFault. Everything may be called by many threads.
    """

    def __init__(
        self, store: ResponseStore, size: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._leases = Leases(store, monotonic)
        self._largest = size // _PART
        self._monotonic = monotonic
        self._ready: LRUCache[bytes, _Held] = LRUCache(size, _size)
        self._lock = threading.Lock()
        # Keys read or written once in a store that is near, whose answers are not ready: reading
        # costs less than to make room for what may never be asked for again, and a heap full of
        # it makes all else slower. They are kept in that order.
        self._once: OrderedDict[bytes, None] = OrderedDict()
        # Told apart from what was read before: it must not come back by an answer on its way.
        self._dropped = 0
        # What was confirmed before this worker's last purge is not believed.
        self._purged_at = float("-inf")
        _all.add(self)

    def get(self, key: bytes, *, surely: bool = False) -> Kept | None:
        """What is kept under a key; None where there is nothing, or nothing can be learnt. surely:
        whatever this worker believes, the store is asked."""
        held = self._held(key)
        if held is None:
            return self._read(key)
        if self._store.lag and not surely and self._believed(held):
            return held.kept
        return self._confirmed(key, held)

    def peek(self, key: bytes) -> Kept | None:
        """As `get`, without waiting: of a store that is far away only what is believed."""
        held = self._held(key)
        if not self._store.lag:
            return self._read(key) if held is None else self._confirmed(key, held)
        return held.kept if held is not None and self._believed(held) else None

    def _held(self, key: bytes) -> _Held | None:
        with self._lock:
            return self._ready.get(key)

    def _believed(self, held: _Held) -> bool:
        return held.at > self._purged_at and self._monotonic() - held.at < self._store.lag

    def _confirmed(self, key: bytes, held: _Held) -> Kept | None:
        at = self._monotonic() if self._store.lag else 0.0
        dropped = self._dropped
        try:
            found = self._store.read(key, held.stamp)
        except StoreFault:
            return None
        if found is not None and found.data is None:
            held.at = at
            return held.kept
        return self._taken(key, found, at, dropped, held)

    def _read(self, key: bytes) -> Kept | None:
        at, dropped = self._monotonic(), self._dropped
        try:
            found = self._store.read(key)
        except StoreFault:
            return None
        return None if found is None else self._taken(key, found, at, dropped, None)

    def _taken(
        self, key: bytes, found: Found | None, at: float, dropped: int, before: _Held | None
    ) -> Kept | None:
        """What was found, from now on ready instead of what was before, if that still is."""
        if found is None or found.data is None:
            self._forget(key)
            return None
        try:
            kept = decode(found.data)
        except ValueError:
            self.drop(key)
            return None
        if before is None and not self._store.lag and not self._again(key):
            return kept
        held = _Held(found.stamp, kept, at)
        fits = _size(held) <= self._largest
        with self._lock:
            if dropped == self._dropped and self._ready.get(key) is before:
                self._ready.pop(key, None)
                if fits:
                    self._ready[key] = held
        return kept

    def _again(self, key: bytes) -> bool:
        """Whether a key was read not long ago. Each step is whole by itself: no lock is needed."""
        if key in self._once:
            self._once.pop(key, None)
            return True
        self._note(key)
        return False

    def _note(self, key: bytes) -> None:
        self._once[key] = None
        if len(self._once) > _ONCE:
            self._once.popitem(last=False)

    def _forget(self, key: bytes) -> None:
        with self._lock:
            self._ready.pop(key, None)

    def ticket(self, url: str) -> Ticket | None:
        """To be taken before the upstream is asked, and given to `put`. None where the store
        cannot be used."""
        try:
            return self._store.ticket(url)
        except StoreFault:
            return None

    def put(
        self, key: bytes, kept: Kept, *, url: str, tags: Sequence[str], ticket: Ticket | None
    ) -> bool:
        """Keep something instead of what was there; whether it is kept. See ResponseStore.write."""
        if ticket is None:
            return False
        at, dropped = self._monotonic(), self._dropped
        try:
            stamp = self._store.write(key, encode(kept), url=url, tags=tags, ticket=ticket)
        except StoreFault:  # perhaps it was written
            self._drop(key)
            return False
        if stamp is None:
            return False
        if not self._store.lag:
            self._forget(key)
            self._note(key)
            return True
        held = _Held(stamp, kept, at)
        if _size(held) > self._largest:
            self._drop(key)
            return True
        with self._lock:
            if dropped == self._dropped:
                self._ready[key] = held
            else:
                self._ready.pop(key, None)
        return True

    def drop(self, key: bytes) -> None:
        """Keep nothing under a key."""
        with contextlib.suppress(StoreFault):
            self._store.drop(key)
        self._drop(key)

    def _drop(self, key: bytes) -> None:
        with self._lock:
            self._dropped += 1
            self._ready.pop(key, None)

    def purge(self, purge: Purge) -> int:
        """See ResponseStore.purge."""
        try:
            return self._store.purge(purge)
        finally:
            self._purged_at = self._monotonic()
            if purge.kind == "all":
                with self._lock:
                    self._ready.clear()

    def claim(self, key: bytes, owner: bytes, seconds: float) -> bool:
        """See ResponseStore.claim. True where the store cannot be used: everybody asks then."""
        try:
            return self._leases.claim(key, owner, seconds)
        except StoreFault:
            return True

    def release(self, key: bytes, owner: bytes, outcome: Outcome) -> None:
        """See ResponseStore.release."""
        with contextlib.suppress(StoreFault):
            self._leases.release(key, owner, outcome)

    def renew(self) -> None:
        """See Leases.renew."""
        with contextlib.suppress(StoreFault):
            self._leases.renew()

    def outcome(self, key: bytes, waited: float) -> Outcome | None:
        """See ResponseStore.outcome. `again` where the store cannot be used."""
        try:
            return self._store.outcome(key, waited)
        except StoreFault:
            return "again"

    def usage(self) -> tuple[int, int]:
        """See ResponseStore.usage."""
        return self._store.usage()

    def forget_process(self) -> None:
        """After a fork: the child has nothing ready, and no lock that a thread held."""
        self._lock = threading.Lock()
        self._ready.clear()
        self._leases.forget()


def _size(held: _Held) -> int:
    """About how many bytes it takes."""
    kept = held.kept
    if isinstance(kept, Passed):
        return _OBJECT
    if isinstance(kept, Variants):
        return _OBJECT + sum([len(name) + _FIELD for name in kept.names])
    fields = sum([len(name) + len(value) + _FIELD for name, value in kept.headers])
    tags = sum([len(tag) + _FIELD for tag in kept.tags])
    return _OBJECT + len(kept.body) + fields + tags


_all: weakref.WeakSet[TieredResponses] = weakref.WeakSet()


def _after_fork() -> None:
    for responses in list(_all):
        responses.forget_process()


os.register_at_fork(after_in_child=_after_fork)
