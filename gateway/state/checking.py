"""Whether a file of LMDB is whole, as its bytes tell: LMDB itself trusts every page, and what it
finds in a damaged one may end the process.

Its version 1 (`mdb.c` of 0.9, "page and node formats"): two pages say where the trees are, and the
one of the later transaction counts. A page belongs to one tree, to one long value, or to the free.
"""

from __future__ import annotations

import os
import struct
import time
from array import array
from pathlib import Path
from typing import NamedTuple, NoReturn

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_META_AT, _META = 16, struct.Struct("<IIQQ")
_TREE = struct.Struct("<IHHQQQQQ")
_LAST = struct.Struct("<QQ")
_TREES_AT = _META_AT + _META.size
_LAST_AT = _TREES_AT + 2 * _TREE.size
# The head of a page: its number; what it is; where room begins and ends. Of a long value, the last
# two are one: its pages.
_HEAD, _LONG_HEAD = struct.Struct("<QHHHH"), struct.Struct("<QHHI")
_BRANCH, _LEAF, _LONG = 1, 2, 4
# The head of an entry: the length of its value (or the page below), what it is, that of its key.
_ENTRY = struct.Struct("<HHHH")
_VALUE, _ELSEWHERE, _SUBTREE = 0, 1, 2
_NUMBER = struct.Struct("<Q")
_LONGEST_KEY = 511
_DEEPEST = 32
_NOTHING = 2**64 - 1
_FREE_FLAGS = 8


class _Tree(NamedTuple):
    page_size: int
    flags: int
    depth: int
    branches: int
    leaves: int
    long_pages: int
    entries: int
    root: int


def is_whole(path: Path, seconds: float) -> bool:
    """Whether LMDB can rely on all of a file that nobody changes meanwhile. False if it cannot, and
    if that is not known after so many seconds. Raises OSError if it cannot be read."""
    number = os.open(path, os.O_RDONLY)
    try:
        _Check(number, time.monotonic() + seconds).all()
    except (_DamagedError, struct.error, OverflowError):
        return False
    finally:
        os.close(number)
    return True


class _DamagedError(Exception):
    """Something is not as LMDB makes it, or it takes too long."""


def _damaged() -> NoReturn:
    raise _DamagedError


class _Check:
    """One look at a file. It remembers a byte for each page."""

    def __init__(self, number: int, end: float) -> None:
        self._number = number
        self._end = end
        first, second = self._metas()
        self._size, trees, self._last, self._transaction = max(
            first, second, key=lambda meta: meta[3]
        )
        self._free, self._main = trees
        if not 1 <= self._last < os.fstat(number).st_size // self._size:
            _damaged()
        self._used = bytearray(self._last + 1)
        self._used[0] = self._used[1] = 1

    def _metas(self) -> list[tuple[int, list[_Tree], int, int]]:
        first = self._meta(0)
        return [first, self._meta(first[0])]

    def _meta(self, at: int) -> tuple[int, list[_Tree], int, int]:
        data = os.pread(self._number, _LAST_AT + _LAST.size, at)
        if _META.unpack_from(data, _META_AT)[:2] != (_MAGIC, _VERSION):
            _damaged()
        trees = [_Tree(*_TREE.unpack_from(data, _TREES_AT + n * _TREE.size)) for n in (0, 1)]
        last, transaction = _LAST.unpack_from(data, _LAST_AT)
        size = trees[0].page_size
        if size not in (4096, 8192, 16384, 32768):
            _damaged()
        return size, trees, last, transaction

    def all(self) -> None:
        """Raises _DamagedError unless all is well."""
        for name_and_tree in self._tree(self._main, 0, _SUBTREE):
            tree = _Tree(*_TREE.unpack(name_and_tree[1]))
            self._tree(tree, 0, _VALUE)
        for key, value in self._tree(self._free, _FREE_FLAGS, _VALUE, whole=True):
            self._free_pages(key, value)

    def _free_pages(self, key: bytes, value: bytes) -> None:
        (transaction,), (count,) = _NUMBER.unpack(key), _NUMBER.unpack_from(value)
        if transaction > self._transaction or len(value) < 8 * (count + 1):
            _damaged()
        above = self._last + 1
        for page in array("Q", value[8 : 8 * (count + 1)]):
            if page >= above:
                _damaged()
            self._use(page)
            above = page

    def _use(self, first: int, count: int = 1) -> None:
        if not 2 <= first <= first + count - 1 <= self._last or any(
            self._used[first : first + count]
        ):
            _damaged()
        self._used[first : first + count] = b"\1" * count

    def _tree(
        self, tree: _Tree, flags: int, kind: int, *, whole: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Check all pages of a tree. Returns its keys and values, of trees and where `whole`."""
        if tree.flags != flags or tree.depth > _DEEPEST:
            _damaged()
        level = [] if tree.root == _NOTHING else [tree.root]
        branches = 0
        for _ in range(tree.depth - 1):
            branches += len(level)
            level = [below for page in level for below in self._branch(page, bool(flags))]
        leaves, self._entries, self._long_pages = len(level), 0, 0
        found: list[tuple[bytes, bytes]] = []
        for page in level:
            found += self._leaf(page, kind, whole or kind == _SUBTREE)
        told = (tree.branches, tree.leaves, tree.long_pages, tree.entries, tree.depth > 0)
        if told != (branches, leaves, self._long_pages, self._entries, leaves > 0):
            _damaged()
        return found

    def _page(self, page: int, kind: int) -> tuple[bytes, tuple[int, ...]]:
        """A page, and where its entries are."""
        self._use(page)
        if time.monotonic() > self._end:
            _damaged()
        size = self._size
        data = os.pread(self._number, size, page * size)
        number, _, flags, lower, upper = _HEAD.unpack_from(data)
        if (number, flags, lower % 2) != (page, kind, 0) or not 18 <= lower <= upper <= size:
            _damaged()
        places = struct.unpack_from(f"<{(lower - _HEAD.size) // 2}H", data, _HEAD.size)
        if min(places) != upper:
            _damaged()
        return data, places

    def _fills(self, places: tuple[int, ...], taken: int) -> None:
        """Entries stand close together, from where room ends to the end of the page."""
        if taken != self._size - min(places):
            _damaged()

    def _branch(self, page: int, alone: bool) -> list[int]:
        """The pages below. alone: it may have one only."""
        data, places = self._page(page, _BRANCH)
        if len(places) < 2 and not alone:
            _damaged()
        below, taken = [], 0
        for at in places:
            low, middle, high, key = _ENTRY.unpack_from(data, at)
            end = at + _ENTRY.size + key
            if key > _LONGEST_KEY or end > self._size:
                _damaged()
            taken += _even(end - at)
            below.append(low | middle << 16 | high << 32)
        self._fills(places, taken)
        return below

    def _leaf(self, page: int, kind: int, wanted: bool) -> list[tuple[bytes, bytes]]:
        data, places = self._page(page, _LEAF)
        found, taken = [], 0
        for at in places:
            low, high, flags, key = _ENTRY.unpack_from(data, at)
            begin, length = at + _ENTRY.size + key, low | high << 16
            elsewhere = flags == _ELSEWHERE and kind == _VALUE
            end = begin + (_NUMBER.size if elsewhere else length)
            if not 0 < key <= _LONGEST_KEY or end > self._size or not (elsewhere or flags == kind):
                _damaged()
            taken += _even(end - at)
            value = data[begin:end]
            if elsewhere:
                (first,) = _NUMBER.unpack(value)
                value = self._long_value(first, length if wanted else 0, length)
            if wanted:
                found.append((data[begin - key : begin], value))
        self._fills(places, taken)
        self._entries += len(places)
        return found

    def _long_value(self, page: int, wanted: int, length: int) -> bytes:
        data = os.pread(self._number, _LONG_HEAD.size + wanted, page * self._size)
        number, _, flags, count = _LONG_HEAD.unpack_from(data)
        if (number, flags) != (page, _LONG) or count * self._size < _LONG_HEAD.size + length:
            _damaged()
        self._use(page, count)
        self._long_pages += count
        return data[_LONG_HEAD.size :]


def _even(size: int) -> int:
    return size + size % 2
