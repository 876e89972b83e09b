"""Answers in files that all workers of a machine have mapped."""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from gateway.caching.claims import Claims
from gateway.caching.embedded_purging import Purging
from gateway.caching.names import as_bytes
from gateway.caching.records import TABLES, Record, Records, record, short_answer
from gateway.caching.stamps import STAMP, begin, seen, stamped
from gateway.caching.store import Found, Outcome, Purge, Ticket
from gateway.state import EmbeddedStore, StoreError, StoreFull
from gateway.state.files import DAMAGES, Layout

T = TypeVar("T")

_NUMBER = struct.Struct(">Q")
# What may be changed in one transaction, for which the others wait: some milliseconds' worth.
_CHANGES = 1000
# So many transactions make room for one answer at most.
_TRIES = 500
# Between two that follow each other, so that others get their turn.
_MOMENT = 0.0005
# Pages are copied to be changed, and those that were free can be used two transactions later.
_SLACK, _PAGE, _TIMES = 128 * 1024, 4096, 3
# What reads in one go is done by then, in seconds, also where threads take turns.
_PATIENCE = 0.02
# For how long a full disk is taken for the bound of the store, in seconds.
_FULL_DISK = 60.0
_COMPLAIN = 60.0

_FAULTS = (StoreError, *DAMAGES)

log = logging.getLogger("gateway.caching")


class EmbeddedResponses:
    """See ResponseStore. Raises StoreError or OSError where the files cannot be used.

    folder: for these files alone. size: in bytes, on disk and in the machine's memory at most; an
    answer takes an eighth of it at most. Damaged files are thrown away, and all begin anew. Nothing
    outlives the start of the machine.
    """

    lag = 0.0

    def __init__(self, folder: Path, size: int, clock: Callable[[], float] = time.time) -> None:
        self._store = EmbeddedStore(
            folder, Layout(tables=TABLES, number=1, size=size, filled=False, disposable=True)
        )
        self._size = size
        slack = size // 16 + _SLACK
        self._changes = min(_CHANGES, slack // _PAGE // 4)
        self._usual_room = self._room = size - slack
        self._usual_again = 0.0
        self._claims = Claims(self._store, clock)
        self._purging = Purging(self._store, self._changes)
        self._complained = -_COMPLAIN

    def read(self, key: bytes, known: bytes = b"") -> Found | None:
        """See ResponseStore.read."""
        try:
            opened = self._store.current()
            with opened.read(b"answers", buffers=True) as transaction:
                stored = transaction.get(key)
                if stored is None or len(stored) != STAMP:
                    return None
                stamp = bytes(stored)
                if stamp == known:
                    return Found(stamp, None)
                data = short_answer(transaction, opened.tables[b"bodies"], key, stamp)
                if data is None:
                    data = Records(transaction, opened).data(key, stamp)
        except DAMAGES:
            self._begin_anew()
            return None
        if data is None:
            self._drop(key, stamp)
            return None
        return Found(stamp, data)

    def ticket(self, url: str) -> Ticket:
        """See ResponseStore.ticket."""
        return self._ask(lambda: self._ticket(as_bytes(url)))

    def _ticket(self, url: bytes) -> Ticket:
        with self._store.read(b"counters") as transaction:
            known = seen(transaction, url)
        if known is None:
            with self._store.write(b"counters") as transaction:
                begin(transaction)
                known = seen(transaction, url)
        return Ticket(known or b"")

    def write(
        self, key: bytes, data: bytes, *, url: str, tags: Sequence[str], ticket: Ticket
    ) -> bytes | None:
        """See ResponseStore.write. In several transactions, if much has to go before."""
        new = record(key, data, url, tags)
        if new.room > self._size // 8:
            return None
        try:
            return self._write(new, ticket)
        except StoreError as error:
            self._make_do(error)
        try:
            return self._write(new, ticket)
        except StoreError:
            self._store.discard()
            return None

    def _write(self, new: Record, ticket: Ticket) -> bytes | None:
        for _ in range(_TRIES):
            stamp = self._mended(lambda: self._put(new, ticket))
            if stamp is not None:
                return stamp or None
            time.sleep(_MOMENT)
        return None

    def _put(self, new: Record, ticket: Ticket) -> bytes | None:
        """Its stamp; empty if it is not to be kept, None if there is no room yet."""
        opened = self._store.current()
        with opened.write(b"counters") as transaction:
            if ticket.seen != seen(transaction, new.url):
                return b""
            records = Records(transaction, opened)
            if not self._make_room(records, _TIMES * new.room):
                return None
            stamp = stamped(transaction)
            records.put(new, stamp)
            return stamp

    def _make_room(self, records: Records, needed: int, most: int | None = None) -> bool:
        left = self._changes if most is None else most
        while records.taken() + needed > self._usable():
            if left <= 0:
                return False
            _, changes = records.remove_oldest()
            if not changes:
                break
            left -= changes
        return True

    def _usable(self) -> int:
        if self._room < self._usual_room and time.monotonic() > self._usual_again:
            self._room = self._usual_room
        return self._room

    def _make_do(self, error: StoreError) -> None:
        """No page can be had where there should be some, most likely because the disk is full: do
        for a while with less than is taken. Where that does not even let anything be dropped, all
        begin anew."""
        if not isinstance(error, StoreFull):
            self._complain(f"cannot write ({type(error).__name__}), and makes do with less room")
        try:
            self._shrink()
        except _FAULTS:
            self._store.discard()

    def _shrink(self) -> None:
        opened = self._store.current()
        # What was killed while it read, or reads for long, keeps all that it may have seen.
        opened.environment.reader_check()
        time.sleep(_PATIENCE)
        with opened.read(b"counters") as transaction:
            taken = Records(transaction, opened).taken()
        self._room = taken - taken // 4
        self._usual_again = time.monotonic() + _FULL_DISK
        # Little at first: the pages that this takes have to be found, too. And twice when it is
        # done, after which what was freed can be used.
        most, done = 1, 0
        while done < 2:
            with opened.write(b"counters") as transaction:
                done += self._make_room(Records(transaction, opened), 0, most)
                transaction.put(b"turn", _NUMBER.pack(transaction.id()))
            most = min(most * 2, self._changes)

    def drop(self, key: bytes) -> None:
        """See ResponseStore.drop."""
        self._drop(key, None)

    def _drop(self, key: bytes, stamp: bytes | None) -> None:
        def work() -> None:
            opened = self._store.current()
            with opened.write(b"answers") as transaction:
                if stamp in (None, transaction.get(key)):
                    Records(transaction, opened).remove(key)

        self._surely(work)

    def purge(self, purge: Purge) -> int:
        """See ResponseStore.purge. In several transactions, if there is much to drop: the first of
        them have nothing of it found any more, the others make room."""
        dropped = 0

        def work() -> None:
            nonlocal dropped
            for turn, count in enumerate(self._purging.steps(purge)):
                dropped += count
                if turn:
                    time.sleep(_MOMENT)

        self._surely(work)
        while self._store.moved():  # others may have begun anew, and kept something since
            self._surely(work)
        return dropped

    def claim(self, key: bytes, owner: bytes, seconds: float) -> bool:
        """See ResponseStore.claim."""
        return self._ask(lambda: self._claims.take(key, owner, seconds))

    def release(self, key: bytes, owner: bytes, outcome: Outcome) -> None:
        """See ResponseStore.release."""
        self._ask(lambda: self._claims.release(key, owner, outcome))

    def outcome(self, key: bytes, waited: float) -> Outcome | None:
        """See ResponseStore.outcome."""
        return self._ask(lambda: self._claims.outcome(key, waited))

    def usage(self) -> tuple[int, int]:
        """See ResponseStore.usage. Bytes of whole pages."""
        return self._ask(self._usage)

    def _usage(self) -> tuple[int, int]:
        opened = self._store.current()
        with opened.read(b"answers") as transaction:
            return Records(transaction, opened).usage()

    def _ask(self, work: Callable[[], T]) -> T:
        try:
            return self._mended(work)
        except StoreError as error:
            self._make_do(error)
        try:
            return work()
        except _FAULTS:
            if not self._store.discard():
                raise
        return work()

    def _mended(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except DAMAGES:
            self._begin_anew()
        return work()

    def _surely(self, work: Callable[[], None]) -> None:
        """What cannot be dropped alone goes with all the rest."""
        try:
            work()
        except _FAULTS:
            if not self._store.discard():
                raise

    def _begin_anew(self) -> None:
        self._store.discard()
        self._complain("is damaged or stuck: it begins anew")

    def _complain(self, what: str) -> None:
        now = time.monotonic()
        if now >= self._complained + _COMPLAIN:
            self._complained = now
            log.warning("response store lmdb %s", what)

    def close(self) -> None:
        """Unmap the files; a later use opens them again."""
        self._store.close()
