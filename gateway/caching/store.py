"""Where answers are kept: the seam that every store fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

#: Largest number of tags of one answer, and longest tag in bytes; what is beyond is ignored.
TAGS, TAG_BYTES = 64, 200

#: How asking upstream ended, for who waited. again: look whether something is kept now; if not,
#: perhaps it is your turn. alone: it cannot be shared, or has lasted too long; ask by yourself.
#: failed: likewise, because whoever asked got no answer.
Outcome = Literal["again", "alone", "failed"]
#: Those that a store keeps, and for how many seconds: who waits for another worker looks twenty
#: times a second, and later where his own is busy.
OUTCOMES: Mapping[bytes, Outcome] = {b"alone": "alone", b"failed": "failed"}
OUTCOME_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """What is kept under a key. stamp: 8 bytes that every write makes anew. data: None where the
    stamp is the one that was known already."""

    stamp: bytes
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a store had dropped when an answer was asked for: one that was dropped since is not to
    be kept. Opaque."""

    seen: bytes


@dataclass(frozen=True, slots=True)
class Purge:
    """What is to be dropped. kind: `all`; `path`, every query of this path; `url`, this path with
    this query; `prefix`, all paths (with queries) that begin so; `tag`. what: in normalised form,
    for each scheme, host, method, variant and identity at once."""

    kind: Literal["all", "path", "url", "prefix", "tag"]
    what: str = ""


class ResponseStore(Protocol):
    """Bytes under keys of 16 bytes, bounded in all, with names to drop them by.

    Any method may raise StoreFault where the store cannot be used: the request then goes on as if
    nothing were kept. Nothing waits for longer than REDIS_TIMEOUT. Times are wall times in seconds.
    """

    #: For how long what is known of a key may be used without a look, in seconds; 0: always look.
    lag: float

    def read(self, key: bytes, known: bytes = b"") -> Found | None:
        """What is kept under a key; None where there is nothing, or it is damaged (then dropped).
        known: a stamp; what has this one still is not read."""
        ...

    def ticket(self, url: str) -> Ticket:
        """To be taken before the upstream is asked, and given to `write`."""
        ...

    def write(
        self, key: bytes, data: bytes, *, url: str, tags: Sequence[str], ticket: Ticket
    ) -> bytes | None:
        """Keep something instead of what was there; returns its stamp. None where it was not kept:
        `url` or a tag was purged after the ticket was taken, or it is too large for the store.
        Makes room by dropping what was written first. url: normalised path and query."""
        ...

    def drop(self, key: bytes) -> None:
        """Keep nothing under a key."""
        ...

    def purge(self, purge: Purge) -> int:
        """Drop what is named, and what is being asked for at the moment under these names; returns
        how many there were (a marker of variants counts)."""
        ...

    def claim(self, key: bytes, owner: bytes, seconds: float) -> bool:
        """Be the one who asks upstream for a key, for so long; False if another one is. owner: 8
        bytes; who has it may have it anew."""
        ...

    def release(self, key: bytes, owner: bytes, outcome: Outcome) -> None:
        """Let another one ask, and keep how it ended for those who waited; nothing if it is not
        the owner's any more."""
        ...

    def outcome(self, key: bytes, waited: float) -> Outcome | None:
        """How asking for a key ended for somebody who has waited for so many seconds; None while
        he is to wait. What a release in that time said counts, also if another one asks by now;
        without one it is None while somebody asks, else `again`."""
        ...

    def usage(self) -> tuple[int, int]:
        """How many keys there are, and about how many bytes they take."""
        ...


class StoreFault(Exception):
    """The store cannot be used at the moment. The message names no address."""
