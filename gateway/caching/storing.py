"""What is kept for a request: found under its keys, and put there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from gateway.caching.conditions import kept_fields
from gateway.caching.directives import seconds
from gateway.caching.entry import Entry, Kept, Passed, Variants
from gateway.caching.freshness import Verdict
from gateway.caching.keys import Keys
from gateway.caching.store import Outcome, Ticket
from gateway.caching.tiers import TieredResponses
from gateway.exchange import Asked, Headers, UpstreamResponse

#: Seconds for which nobody waits for an answer that was not one to keep.
PASSED_SECONDS = 60.0
# Most fields that answers of one URL differ by; where there are more, the newest one's count alone.
_MOST_NAMES = 16


@dataclass(frozen=True, slots=True)
class Place:
    """Where the answer to a request is kept, and what is there.

    first: the key of its URL. key: that of its variant, by the fields `names`; the same if there
    are none. url: as purges name it. passed: until when answers are not kept, a wall time.
    """

    first: bytes
    url: str
    key: bytes
    names: tuple[str, ...] = ()
    entry: Entry | None = None
    passed: float = 0.0

    def is_passed(self, now: float) -> bool:
        """Whether nobody is to wait; a clock that was set back makes no mark last longer."""
        return now < self.passed <= now + PASSED_SECONDS


class Shelf:
    """The kept answers of one service. vary: names of fields that its keys hold anyway."""

    def __init__(self, keys: Keys, store: TieredResponses, vary: Collection[str] = ()) -> None:
        self._keys = keys
        self._store = store
        self._vary = frozenset(name.lower() for name in vary)

    def find(self, asked: Asked, *, surely: bool = False) -> Place | None:
        """What is kept for a request; None for one that no answer is kept for. surely: what this
        worker believes is compared with what the store has."""
        found = self._keys.first(asked)
        if found is None:
            return None
        first, url = found
        kept = self._store.get(first, surely=surely)
        if not isinstance(kept, Variants):
            return _place(first, url, first, (), kept)
        key = self._keys.variant(first, kept.names, asked)
        if key is None:
            return None
        return _place(first, url, key, kept.names, self._store.get(key, surely=surely))

    def ready(self, asked: Asked) -> Entry | None:
        """What is kept for a request, where that can be told without waiting."""
        found = self._keys.first(asked)
        if found is None:
            return None
        kept = self._store.peek(found[0])
        if type(kept) is Variants:
            key = self._keys.variant(found[0], kept.names, asked)
            kept = None if key is None else self._store.peek(key)
        return kept if type(kept) is Entry else None

    def ticket(self, place: Place) -> Ticket | None:
        """To be taken before the upstream is asked; None where nothing can be kept."""
        return self._store.ticket(place.url)

    def keep(
        self,
        place: Place,
        asked: Asked,
        kept: Entry | Passed,
        ticket: Ticket | None,
        vary: Sequence[str] = (),
    ) -> bool:
        """Put something in its place, by the fields that it differs by; whether it is there."""
        told = set(vary) - self._vary
        names = tuple(sorted(told.union(place.names)))
        if len(names) > _MOST_NAMES:
            names = tuple(sorted(told))
        key = place.first if not names else self._keys.variant(place.first, names, asked)
        if key is None or not self._put(key, kept, place, ticket):
            return False
        return names == place.names or self._put(place.first, Variants(names), place, ticket)

    def _put(self, key: bytes, kept: Kept, place: Place, ticket: Ticket | None) -> bool:
        tags = kept.tags if isinstance(kept, Entry) else ()
        return self._store.put(key, kept, url=place.url, tags=tags, ticket=ticket)

    def mark(self, place: Place, asked: Asked, ticket: Ticket | None, now: float) -> None:
        """Have nobody wait for what is not kept, for a while; what was kept there is gone."""
        self.keep(place, asked, Passed(now + PASSED_SECONDS), ticket)

    def drop(self, place: Place) -> None:
        """Keep nothing there."""
        self._store.drop(place.key)


def _place(first: bytes, url: str, key: bytes, names: tuple[str, ...], kept: Kept | None) -> Place:
    if isinstance(kept, Entry):
        return Place(first, url, key, names, kept)
    passed = kept.until if isinstance(kept, Passed) else 0.0
    return Place(first, url, key, names, None, passed)


class Keeping:
    """What is to be done with an answer when its body is over; called once with all of it, or None,
    and its length, as TeedBody does. `entry` is what is kept, still without a body.

    at: the wall time when the head came. most: the longest body that is kept.
    """

    def __init__(
        self,
        shelf: Shelf,
        place: Place,
        asked: Asked,
        ticket: Ticket | None,
        response: UpstreamResponse,
        verdict: Verdict,
        *,
        at: float,
        most: int,
    ) -> None:
        self._shelf = shelf
        self._place = place
        self._asked = asked
        self._ticket = ticket
        self._vary = verdict.vary
        self._most = most
        lengths = [value for name, value in response.headers if name.lower() == "content-length"]
        self._announced = seconds(lengths[0]) if lengths else None
        self.entry = Entry(
            response.status,
            response.reason,
            kept_fields(response.headers, at),
            b"",
            at,
            verdict.age,
            verdict.lifetime,
            verdict.while_revalidating,
            verdict.if_error,
            verdict.always_ask,
            response.origin,
            response.base,
            response.version,
            tags_of(response.headers),
        )

    def __call__(self, body: bytes | None, size: int) -> Outcome:
        """Keep it if it is whole; says what those who wait for it are to do."""
        shelf, place = self._shelf, self._place
        if size > self._most:
            shelf.mark(place, self._asked, self._ticket, self.entry.at)
            return "alone"
        if body is None or self._announced not in (None, size):
            return "again"
        kept = replace(self.entry, body=body)
        return (
            "again" if shelf.keep(place, self._asked, kept, self._ticket, self._vary) else "alone"
        )


def tags_of(fields: Headers) -> tuple[str, ...]:
    """The tags that the backend gave its answer, to drop it by."""
    told = [value for name, value in fields if name.lower() == "surrogate-key"]
    return tuple(tag for value in told for tag in value.split())
