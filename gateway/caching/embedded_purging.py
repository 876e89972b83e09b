"""Purging in the embedded store, in steps for which nobody waits long.

To remove an answer with its body and names takes ten times as long as to let it not be found any
more. So where there is much, all of it is hidden first, and then removed.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.caching.records import Records, beginnings
from gateway.caching.stamps import announce
from gateway.caching.store import Purge
from gateway.state import EmbeddedStore


class Purging:
    """Purges of a store. changes: at most, in one transaction. much: so many answers are hidden
    before they are removed, and looked at in one go."""

    def __init__(self, store: EmbeddedStore, changes: int, much: int = 500) -> None:
        self._store = store
        self._changes = changes
        self._much = much

    def steps(self, purge: Purge) -> Iterator[int]:
        """Purge; how many answers were dropped, for each transaction."""
        with self._store.write(b"counters") as transaction:
            before = announce(transaction, purge)
        if before is None:
            return
        if purge.kind == "all":
            yield from self._hide(purge, b"", before)
            yield from self._remove_all(before)
            return
        for beginning in beginnings(purge):
            yield from self._hide(purge, beginning, before)
            after = beginning
            while names := self._look(purge, beginning, after):
                count, after = self._remove_named(purge, names, before)
                yield count

    def _look(self, purge: Purge, beginning: bytes, after: bytes) -> list[bytes]:
        """Names that begin so; keys, where all are meant."""
        opened = self._store.current()
        with opened.read(b"names") as transaction:
            records = Records(transaction, opened)
            if purge.kind == "all":
                return records.keys(after, self._much)
            return records.names(beginning, after, self._much)

    def _hide(self, purge: Purge, beginning: bytes, before: bytes) -> Iterator[int]:
        found = self._look(purge, beginning, beginning)
        if len(found) < self._much:  # it is removed in no time
            return
        while found:
            some, found = found[: self._changes], found[self._changes :]
            opened = self._store.current()
            with opened.write(b"answers") as transaction:
                records = Records(transaction, opened)
                keys = some if purge.kind == "all" else records.meant(purge, some)
                count = records.hide(keys, before)
            yield count
            found = found or self._look(purge, beginning, some[-1] + b"\0")

    def _remove_all(self, before: bytes) -> Iterator[int]:
        changes = 1
        while changes:
            opened = self._store.current()
            count, left = 0, self._changes
            with opened.write(b"answers") as transaction:
                records = Records(transaction, opened)
                while left > 0:
                    found, changes = records.remove_oldest(before)
                    if not changes:
                        break
                    left -= changes
                    count += found
            yield count

    def _remove_named(self, purge: Purge, names: list[bytes], before: bytes) -> tuple[int, bytes]:
        """How many went, and where to go on."""
        opened = self._store.current()
        count, left = 0, self._changes
        with opened.write(b"answers") as transaction:
            records = Records(transaction, opened)
            for name in names:
                found, changes = records.remove_named(purge, name, before)
                count += found
                left -= changes
                if left <= 0:
                    break
        return count, name + b"\0"
