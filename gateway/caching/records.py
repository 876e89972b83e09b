"""Answers in the tables of the embedded store, as one transaction sees them.

answers   key > stamp: the number of the transaction that wrote it, counted from a base by chance;
          behind HIDDEN, if it is not to be found any more
bodies    stamp > head and the end of the bytes; stamp and number > a part of the bytes before.
          In the order they were written
names     u + url + NUL + key, t + tag + NUL + key > nothing

Nothing has more than a page: what needs several in a row may find none when the store is full.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any, NamedTuple

import lmdb

from gateway.caching.names import as_bytes, is_named, kept_tags
from gateway.caching.stamps import STAMP
from gateway.caching.store import Purge
from gateway.state.files import MappedFiles

HIDDEN = b"-"
TABLES = (b"answers", b"bodies", b"names", b"claims", b"counters")
#: What LMDB puts into one page of its own, and into a page with others.
PART, _INLINE = 4080, 1900
_NUMBER = struct.Struct(">I")
# Checksums of head and end, and of the answer; its length, that of its names; its key.
_CHECK = struct.Struct("<I")
_HEAD = struct.Struct("<III16s")
_WHOLE_HEAD = struct.Struct("<IIII16s")
_END = _WHOLE_HEAD.size
# So many parts are read one by one.
_FEW = 4
# A name may have 511 bytes.
_LONGEST = 400
_CUT = 1 + _LONGEST + 16 + 1 + 16


@dataclass(frozen=True, slots=True)
class Record:
    """An answer, made ready to be put."""

    key: bytes
    url: bytes
    names: frozenset[bytes]
    head: bytes
    parts: tuple[memoryview, ...]

    @property
    def room(self) -> int:
        """The bytes it takes at most."""
        return (len(self.parts) + 1) * (PART + 128) + sum(map(len, self.names)) * 2


def record(key: bytes, data: bytes, url: str, tags: Sequence[str]) -> Record:
    """Cut an answer to what fits into pages."""
    told = [as_bytes(url), *kept_tags(tags)]
    named = b"\0".join(told)
    whole = memoryview(b"".join((data, named)))
    cut = len(whole) - len(whole) % PART
    if len(whole) - cut > _INLINE:
        cut = len(whole)
    head = _HEAD.pack(zlib.crc32(data), len(data), len(named), key) + whole[cut:]
    return Record(
        key,
        told[0],
        _names(key, told),
        _CHECK.pack(zlib.crc32(head)) + head,
        tuple(whole[begin : min(begin + PART, cut)] for begin in range(0, cut, PART)),
    )


def _names(key: bytes, told: Sequence[bytes]) -> frozenset[bytes]:
    url, *tags = told
    of_url = b"".join((_name_of_url(url), b"\0", key))
    return frozenset([of_url, *(b"".join((b"t", tag, b"\0", key)) for tag in tags)])


def _name_of_url(url: bytes) -> bytes:
    if len(url) <= _LONGEST:
        return b"u" + url
    return b"".join((b"u", url[:_LONGEST], hashlib.blake2b(url, digest_size=16).digest()))


def beginnings(purge: Purge) -> list[bytes]:
    """How the names of what a purge drops begin; not all that begin so are meant."""
    what = as_bytes(purge.what)
    if purge.kind == "tag":
        return [b"t%b\0" % what]
    if purge.kind == "url":
        return [_name_of_url(what) + b"\0"]
    if purge.kind == "prefix" or len(what) >= _LONGEST:
        return [b"u" + what[:_LONGEST]]
    return [b"u%b\0" % what, b"u%b?" % what]


def short_answer(transaction: Any, bodies: Any, key: bytes, stamp: bytes) -> bytes | None:
    """What `Records.data` gives, for an answer of few parts that is as it was put; None for all
    others. Most answers are short, and what is read here is read all the time.

    transaction: one with buffers. bodies: the table."""
    stored = transaction.get(stamp, None, bodies)
    if stored is None or len(stored) < _END:
        return None
    _, check, size, named, owner = _WHOLE_HEAD.unpack_from(stored)
    cut = size + named - len(stored) + _END
    if owner != key or not 0 <= cut <= size or cut > _FEW * PART:
        return None
    numbers = range(-(-cut // PART))
    parts = [transaction.get(stamp + _NUMBER.pack(each), b"", bodies) for each in numbers]
    parts.append(stored[_END : _END + size - cut])
    data = b"".join(parts)
    return data if check == zlib.crc32(data) else None


class _Head(NamedTuple):
    check: int
    size: int
    named: int
    key: bytes


class Records:
    """The tables in one transaction. Raises StoreError."""

    __slots__ = ("_answers", "_bodies", "_files", "_names", "_transaction")

    def __init__(self, transaction: Any, files: MappedFiles) -> None:
        self._transaction = transaction
        self._files = files
        self._answers = files.tables[b"answers"]
        self._bodies = files.tables[b"bodies"]
        self._names = files.tables[b"names"]

    def data(self, key: bytes, stamp: bytes) -> bytes | None:
        """The answer; None if it is not what was put under the key."""
        stored = self._head(stamp)
        if stored is None:
            return None
        check, size, _, owner = _HEAD.unpack_from(stored, _CHECK.size)
        data = self._piece(stamp, stored, 0, size)
        return data if owner == key and check == zlib.crc32(data) else None

    def _head(self, stamp: bytes) -> Any:
        stored = self._transaction.get(stamp, db=self._bodies)
        if stored is None or len(stored) < _END:
            return None
        (check,) = _CHECK.unpack_from(stored)
        return stored if check == zlib.crc32(memoryview(stored)[_CHECK.size :]) else None

    def _piece(self, stamp: bytes, stored: Any, begin: int, end: int) -> bytes:
        """Some of the bytes: of the answer, which is followed by its names."""
        head = _fields(stored)
        cut = head.size + head.named - (len(stored) - _END)  # here begins what the head has itself
        if begin >= cut:
            return bytes(stored[_END + begin - cut : _END + end - cut])
        first, last = begin // PART, (min(end, cut) - 1) // PART
        pieces = self._parts(stamp, first, last + 1 - first)
        if end > cut:
            pieces.append(memoryview(stored)[_END : _END + end - cut])
        elif pieces:
            pieces[-1] = memoryview(pieces[-1])[: end - last * PART]
        if pieces:
            pieces[0] = memoryview(pieces[0])[begin - first * PART :]
        return b"".join(pieces)

    def _parts(self, stamp: bytes, first: int, count: int) -> list[Any]:
        with self._transaction.cursor(db=self._bodies) as cursor:
            if not cursor.set_key(stamp + _NUMBER.pack(first)):
                return []
            return list(islice(cursor.iternext(keys=False), count))

    def put(self, new: Record, stamp: bytes) -> None:
        """Put an answer instead of what was there. stamp: greater than all there are."""
        self.remove(new.key)
        self._transaction.put(new.key, stamp, db=self._answers)
        self._append(stamp, new.head)
        for number, part in enumerate(new.parts):
            self._append(stamp + _NUMBER.pack(number), part)
        for name in new.names:
            self._transaction.put(name, b"", db=self._names)

    def _append(self, place: bytes, value: bytes | memoryview) -> None:
        if not self._transaction.put(place, value, db=self._bodies, append=True):
            raise lmdb.CorruptedError("there is a stamp that was never given")

    def remove(self, key: bytes, before: bytes = b"\xff" * 8) -> int:
        """Remove what was put under a key before a stamp; returns how many changes that took."""
        return self._remove(key, before)[1]

    def _remove(self, key: bytes, before: bytes) -> tuple[int, int]:
        """How many answers that are, not counting hidden ones, and how many changes."""
        stored = self._transaction.get(key, db=self._answers)
        if stored is None or (stamp := bytes(stored[-STAMP:])) >= before:
            return 0, 0
        self._transaction.delete(key, db=self._answers)
        return int(len(stored) == STAMP), 1 + self._remove_body(stamp)

    def _stamp(self, key: bytes) -> bytes | None:
        stored = self._transaction.get(key, db=self._answers)
        return None if stored is None else bytes(stored[-STAMP:])

    def hide(self, keys: Iterable[bytes], before: bytes) -> int:
        """Let what was put under keys before a stamp not be found any more: it is still to be
        removed, which takes much longer. Returns how many there were."""
        count = 0
        for key in keys:
            stamp = self._transaction.get(key, db=self._answers)
            if stamp is not None and len(stamp) == STAMP and stamp < before:
                self._transaction.put(key, HIDDEN + stamp, db=self._answers)
                count += 1
        return count

    def keys(self, after: bytes, most: int) -> list[bytes]:
        """So many keys, from one on."""
        with self._transaction.cursor(db=self._answers) as cursor:
            if not cursor.set_range(after):
                return []
            return list(islice(cursor.iternext(values=False), most))

    def meant(self, purge: Purge, names: Sequence[bytes]) -> list[bytes]:
        """The keys of what has these names, and is meant by a purge."""
        return [name[-16:] for name in names if self._is_meant(purge, name)]

    def _remove_body(self, stamp: bytes) -> int:
        changes = 0
        for name in self._names_of(stamp):
            changes += self._transaction.delete(name, db=self._names)
        with self._transaction.cursor(db=self._bodies) as cursor:
            more = cursor.set_range(stamp)
            while more and cursor.key()[:8] == stamp:
                more = cursor.delete()
                changes += 1
        return changes

    def _names_of(self, stamp: bytes) -> list[bytes]:
        stored = self._head(stamp)
        if stored is None:
            return []
        told = self._told(stamp, stored)
        # Damaged, it may be longer than any name.
        return [name for name in _names(_fields(stored).key, told) if len(name) <= _CUT]

    def _told(self, stamp: bytes, stored: Any) -> list[bytes]:
        head = _fields(stored)
        return self._piece(stamp, stored, head.size, head.size + head.named).split(b"\0")

    def remove_oldest(self, before: bytes = b"\xff" * 8) -> tuple[int, int]:
        """Remove what was written first, if before a stamp: how many answers that are, and how many
        changes that took, 0 if there is nothing."""
        with self._transaction.cursor(db=self._bodies) as cursor:
            stamp = cursor.key()[:STAMP] if cursor.first() else before
        if stamp >= before:
            return 0, 0
        stored = self._head(stamp)
        if stored is not None:
            key = _fields(stored).key
            if self._stamp(key) == stamp:
                return self._remove(key, before)
        return 0, self._remove_body(stamp)

    def taken(self) -> int:
        """The bytes of the pages that all tables take, also those that are not of answers."""
        return self._files.taken(self._transaction)

    def usage(self) -> tuple[int, int]:
        """How many answers there are, and the bytes of the pages that they take."""
        pages = 0
        for table in (self._answers, self._bodies, self._names):
            stat = self._transaction.stat(table)
            pages += stat["leaf_pages"] + stat["branch_pages"] + stat["overflow_pages"]
        return self._transaction.stat(self._answers)["entries"], pages * stat["psize"]

    def names(self, beginning: bytes, after: bytes, most: int) -> list[bytes]:
        """So many names that begin so, from a place on."""
        with self._transaction.cursor(db=self._names) as cursor:
            if not cursor.set_range(after):
                return []
            found = islice(cursor.iternext(values=False), most)
            return list(takewhile(lambda name: name.startswith(beginning), found))

    def remove_named(self, purge: Purge, name: bytes, before: bytes) -> tuple[int, int]:
        """Remove what has a name, if a purge means it and it was put before a stamp: how many
        answers these are, not counting hidden ones, and how many changes that took."""
        if not self._is_meant(purge, name):
            return 0, 1
        key = name[-16:]
        found, changes = self._remove(key, before)
        if changes or self._stamp(key) is None:
            self._transaction.delete(name, db=self._names)  # of a damaged one, it is still there
        return found, 1 + changes

    def _is_meant(self, purge: Purge, name: bytes) -> bool:
        stored = name[1:-17]
        if purge.kind == "tag":
            return is_named(purge, b"", [stored])
        if len(name) < _CUT:
            return is_named(purge, stored, ())
        stamp = self._stamp(name[-16:])
        if stamp is None or (head := self._head(stamp)) is None:
            return True
        return is_named(purge, self._told(stamp, head)[0], ())


def _fields(stored: Any) -> _Head:
    return _Head(*_HEAD.unpack_from(stored, _CHECK.size))
