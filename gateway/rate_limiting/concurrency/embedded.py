"""Slots in the embedded store: exact across all workers of a machine.

The table `slots` has, by key and worker, how many it holds. A worker's own count is written as it
is, not added to, so that a write that failed is made good by the next. Slots of a worker that died
are forgotten at another's beat.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from gateway.rate_limiting.concurrency.presence import Presence
from gateway.rate_limiting.concurrency.slots import Claim, Held, granted
from gateway.state import EmbeddedStore

_TABLE = b"slots"
_COUNT = struct.Struct("<I")
# Of a key; the worker's name follows.
_DIGEST = 16
# What a worker has in the table as long as that is the one it wrote to.
_MARK = bytes(_DIGEST)


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=_DIGEST).digest()


class EmbeddedSlots:
    """Slots in an EmbeddedStore. Raises StoreError or OSError when it cannot be used."""

    def __init__(self, store: EmbeddedStore, held: Held) -> None:
        self._store = store
        self._held = held
        self._presence = Presence(store.folder / "workers")
        self._unsure = True  # whether the table may differ from what is held

    def take(self, claims: Sequence[Claim], token: str) -> tuple[int, ...]:
        """See SlotStore.take."""
        if not self._presence.entered:
            self._enter()
        names = [_digest(claim.key) for claim in claims]
        try:
            with self._store.write(_TABLE) as transaction:
                elsewhere = [self._elsewhere(transaction, name) for name in names]
                full = self._held.admit(claims, token, elsewhere)
                self._put(transaction, granted(claims, full))
        except BaseException:
            self._unsure = True
            self._held.remove([claim.key for claim in claims], token)
            raise
        return full

    def free(self, keys: Sequence[str], token: str) -> None:
        """See SlotStore.free."""
        try:
            with self._store.write(_TABLE) as transaction:
                self._put(transaction, keys)
        except BaseException:
            self._unsure = True
            raise

    def taken(self, keys: Sequence[str]) -> list[int]:
        """See SlotStore.taken."""
        with self._store.read(_TABLE) as transaction:
            elsewhere = [self._elsewhere(transaction, _digest(key)) for key in keys]
        return [self._held.count(key) + n for key, n in zip(keys, elsewhere, strict=True)]

    def keep(self) -> bool:
        """See SlotStore.keep."""
        if not self._presence.entered:
            return False
        self._presence.enter()
        self._presence.bury(self._forget)
        with self._store.read(_TABLE) as transaction:
            # Somebody deleted the files, or took us for dead: what we hold is to be said anew.
            lost = transaction.get(_MARK + self._presence.name) is None
        if lost or self._unsure:
            self._write_all()
        return True

    def leave(self) -> None:
        """See LocalStore.leave."""
        if self._presence.entered:
            self._forget(self._presence.name)

    def _enter(self) -> None:
        """Begin in this process: first away with what the dead of former times left."""
        self._presence.enter()
        self._presence.bury(self._forget)
        with self._store.write(_TABLE) as transaction:
            found = {key[_DIGEST:] for key in _keys(transaction)}
            # Looked for only now: whoever is in the table had a file before.
            for name in found:
                if not self._presence.known(name):
                    _delete(transaction, name)
        self._write_all()

    def _elsewhere(self, transaction: Any, name: bytes) -> int:
        """The slots of a key that other workers hold."""
        count = 0
        with transaction.cursor() as cursor:
            more = cursor.set_range(name)
            while more and cursor.key().startswith(name):
                if cursor.key()[_DIGEST:] != self._presence.name:
                    count += _COUNT.unpack(cursor.value())[0]
                more = cursor.next()
        return count

    def _put(self, transaction: Any, keys: Sequence[str]) -> None:
        for key in keys:
            name = _digest(key) + self._presence.name
            count = self._held.count(key)
            if count:
                transaction.put(name, _COUNT.pack(count))
            else:
                transaction.delete(name)

    def _write_all(self) -> None:
        self._unsure = False
        try:
            with self._store.write(_TABLE) as transaction:
                _delete(transaction, self._presence.name)
                transaction.put(_MARK + self._presence.name, _COUNT.pack(0))
                self._put(transaction, list(self._held.everything()))
        except BaseException:
            self._unsure = True
            raise

    def _forget(self, worker: bytes) -> None:
        with self._store.write(_TABLE) as transaction:
            _delete(transaction, worker)


def _keys(transaction: Any) -> Iterator[bytes]:
    with transaction.cursor() as cursor:
        more = cursor.first()
        while more:
            yield bytes(cursor.key())
            more = cursor.next()


def _delete(transaction: Any, worker: bytes) -> None:
    """Delete all that the table has of one worker."""
    for key in list(_keys(transaction)):
        if key.endswith(worker):
            transaction.delete(key)
