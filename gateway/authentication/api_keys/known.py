"""The keys a worker remembers, and for how long it may believe them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import cachetools

from gateway.authentication.api_keys.queries import KeyQueries
from gateway.authentication.api_keys.record import KeyRecord
from gateway.authentication.api_keys.watch import Watch
from gateway.database.errors import DatabaseError
from gateway.errors import AuthorityUnavailable

#: Seconds for which what the database said counts without asking it again.
FRESH = 0.9
#: Seconds after which a key is read anew in any case, such as after a change by hand.
AGE = 60.0
# Seconds to wait for another request that asks for the same key.
_PATIENCE = 6.0

log = logging.getLogger("gateway")


@dataclass(frozen=True, slots=True)
class _Held:
    record: KeyRecord
    at: float  # when the database was asked
    revision: int  # that it had then


@dataclass(slots=True)
class _Flight:
    """One question to the database, and all who wait for its answer."""

    done: threading.Event = field(default_factory=threading.Event)
    held: _Held | None = None


class KnownKeys:
    """Key records by id, out of this worker's memory where that may be believed.

    At most `size` keys and as many unknown ids are remembered. What is remembered counts for 0.9
    seconds after the database was last asked, and a thread asks it twice a second what changed:
    so a change is seen by every worker within a second. While the database cannot be asked, the
    keys that are known count for `grace` seconds more; the others are AuthorityUnavailable.
    """

    def __init__(
        self,
        queries: KeyQueries,
        *,
        size: int = 10_000,
        grace: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
        watch: Watch | None = None,
    ) -> None:
        self._queries = queries
        self._grace = grace
        self._clock = clock
        self._lock = threading.Lock()  # around memory alone: nobody waits inside it
        self._known: cachetools.LRUCache[str, _Held] = cachetools.LRUCache(size)
        # Apart, so that made-up ids cannot push out keys that there are.
        self._unknown: cachetools.LRUCache[str, _Held] = cachetools.LRUCache(size)
        self._flights: dict[str, _Flight] = {}
        self._seen: int | None = None
        self._watch = watch or Watch(queries, self._learn, clock=clock)

    def find(self, key_id: str) -> KeyRecord:
        """The record of an id, one that no secret fits if there is no such key. Raises
        AuthorityUnavailable."""
        with self._lock:
            known = self._known.get(key_id)
            held = known or self._unknown.get(key_id)
        now = self._clock()
        watch = self._watch
        watch.used = True
        if held is not None:
            confirmed = max(watch.confirmed, held.at)
            if now - confirmed < FRESH and now - held.at < AGE:
                return held.record
        # A key that is known need not wait for a database that is late.
        if watch.failed or (known is not None and watch.late(now)):
            return self._in_spite(key_id, now)
        return self._asked(key_id)

    def look(self, key_id: str) -> KeyRecord:
        """The record of an id as the database has it now, see `find`: nothing is remembered, and
        nobody watches. Raises AuthorityUnavailable."""
        try:
            return self._queries.find(key_id)[0]
        except DatabaseError as error:
            raise AuthorityUnavailable from error

    def close(self) -> None:
        """End the thread that asks what changed."""
        self._watch.close()

    def _asked(self, key_id: str) -> KeyRecord:
        self._watch.wake()
        with self._lock:
            flight = self._flights.get(key_id)
            if mine := flight is None:
                flight = self._flights[key_id] = _Flight()
        if mine:
            try:
                flight.held = self._ask(key_id)
            finally:
                with self._lock:
                    del self._flights[key_id]
                flight.done.set()
        else:
            flight.done.wait(_PATIENCE)
        if flight.held is None:
            return self._in_spite(key_id, self._clock())
        return flight.held.record

    def _ask(self, key_id: str) -> _Held | None:
        began = self._clock()
        try:
            record, known, revision = self._queries.find(key_id)
        except DatabaseError:
            return None  # it is logged
        except Exception:
            log.exception("an API key could not be read")
            return None
        held = _Held(record, began, revision)
        with self._lock:
            # Older than what the watch has seen: a change of it may have been missed.
            if self._seen is None or revision >= self._seen:
                cache, other = self._known, self._unknown
                if not known:
                    cache, other = other, cache
                cache[key_id] = held
                other.pop(key_id, None)
        return held

    def _in_spite(self, key_id: str, now: float) -> KeyRecord:
        """While the database cannot be asked: what was known when it last could. An unknown id
        may be that of a new key by now."""
        with self._lock:
            held = self._known.get(key_id)
        if held is not None and now - max(self._watch.confirmed, held.at) < self._grace:
            return held.record
        why = "it is not known here" if held is None else "what is known of it is too old"
        raise AuthorityUnavailable from DatabaseError(
            f"the database cannot be asked about the API key, and {why}"
        )

    def _learn(self, number: int, changed: Iterable[str] | None) -> None:
        with self._lock:
            first, self._seen = self._seen is None, number
            for cache in (self._known, self._unknown):
                if changed is not None:
                    gone = list(changed)
                elif first:  # what was read before the watch began, and did not change since
                    gone = [one for one, held in cache.items() if held.revision != number]
                else:
                    gone = list(cache)
                for key_id in gone:
                    cache.pop(key_id, None)
