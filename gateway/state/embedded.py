"""The store of one machine: LMDB, mapped into every worker, changed inside transactions.

A write transaction holds a lock that all workers share, for microseconds: nothing inside one may
wait, log or switch greenlets. A worker killed inside one frees the lock and leaves no trace.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import lmdb

from gateway.state import files
from gateway.state.files import Layout, MappedFiles, Writing

_COUNTER = struct.Struct("<Q")

StoreError = lmdb.Error
StoreFull = lmdb.MapFullError


def store_folder(url: str) -> Path:
    """The folder that a `lmdb://` URL means. Without a path: one in the temporary directory for
    each user and checkout, so that all workers of a gateway meet there."""
    path = url.removeprefix("lmdb://")
    if path:
        return Path(path)
    place = hashlib.blake2b(str(Path.cwd()).encode(), digest_size=6).hexdigest()
    return Path(tempfile.gettempdir()) / f"gatehouse-{os.getuid()}-{place}"


class EmbeddedStore:
    """Key-value tables shared by all processes that open the same folder.

    Opened at first use, in the process that uses it: a mapping must not cross a fork. Lost when
    the folder is, and when the machine starts anew; nothing in it is a record to keep.

    A folder has one layout: what opens it first in a process says which.
    """

    def __init__(self, folder: Path, layout: Layout | None = None) -> None:
        self.folder = folder.resolve()
        self.layout = layout or files.USUAL
        self._opened: MappedFiles | None = None
        _stores.add(self)

    def read(self, name: bytes) -> Any:
        """A transaction that reads, on a table; a context manager, as is `write`. Opens the files
        anew when somebody deleted them. Raises StoreError or OSError."""
        opened = self.current()
        return opened.environment.begin(db=opened.tables[name])

    def write(self, name: bytes) -> Writing:
        """A transaction that writes, committed with the block unless it raises."""
        opened = self.current()
        return Writing(opened, opened.tables[name])

    def table(self, name: bytes) -> Any:
        """A further table's handle, to be named in a transaction."""
        return (self._opened or self._open()).tables[name]

    def current(self) -> MappedFiles:
        """The files, opened if need be. Whoever needs several things of them gets all of one."""
        opened = self._opened
        if (
            opened is not None
            and not (opened.disposable and opened.is_cut())
            and (time.monotonic() < opened.look_at or not opened.moved())
        ):
            return opened
        del opened  # so that a mapping that has moved can go
        return self._open()

    def _open(self) -> MappedFiles:
        # LMDB may be opened once in a process, so stores of one folder share what is opened.
        with _opening:
            opened = _mapped.get(self.folder)
            if opened is not None and opened.moved():
                # Let go, not closed: another thread's transaction may still use it.
                opened = None
                self._forget()
            if opened is None:
                opened = _mapped[self.folder] = MappedFiles(self.folder, self.layout)
            self._opened = opened
            return opened

    def _forget(self) -> MappedFiles | None:
        for store in list(_stores):
            if store.folder == self.folder:
                store.forget_process()
        return _mapped.pop(self.folder, None)

    def count(self, name: str, amount: int = 1) -> int:
        """Add to a counter that all workers share, and return its value."""
        key = name.encode()
        with self.write(b"counters") as transaction:
            stored = transaction.get(key)
            value: int = (_COUNTER.unpack(stored)[0] if stored else 0) + amount
            if amount:
                transaction.put(key, _COUNTER.pack(value))
        return value

    def crowded(self, transaction: Any) -> bool:
        """Whether more than three quarters of the room is taken."""
        opened = self._opened or self._open()
        return opened.taken(transaction) > self.layout.size * 3 // 4

    def moved(self) -> bool:
        """Whether the files that are in use here were deleted or thrown away. Looks at once; those
        used next are then the new ones."""
        opened = self._opened
        if opened is None or not opened.moved():
            return False
        opened.look_at = 0.0
        return True

    def discard(self) -> bool:
        """Throw the files away with all that is in them, for all processes: the others find out
        within a second. Returns whether they were open here. Not from within a transaction."""
        with _opening:
            opened = _mapped.get(self.folder)
            if opened is None:
                return False
            opened.throw_away()
            self._forget()
            return True

    def forget_process(self) -> None:
        """After a fork: the child opens the store anew."""
        self._opened = None

    def close(self) -> None:
        """Unmap, for every store of this folder; a later use opens it again."""
        with _opening:
            opened = self._forget()
            if opened is not None:
                opened.environment.close()


# What this process has open. A child starts with none of it.
_opening = threading.Lock()
_mapped: dict[Path, MappedFiles] = {}
_stores: weakref.WeakSet[EmbeddedStore] = weakref.WeakSet()


def _after_fork() -> None:
    global _opening
    _opening = threading.Lock()
    _mapped.clear()
    for store in list(_stores):
        store.forget_process()


os.register_at_fork(after_in_child=_after_fork)
