"""The store of one machine: LMDB, mapped into every worker, changed inside transactions.

A write transaction holds a lock that all workers share, for microseconds: nothing inside one may
wait, log or switch greenlets. A worker killed inside one frees the lock and leaves no trace.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import struct
import tempfile
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb

_SIZE = 64 * 1024 * 1024
_COUNTER = struct.Struct("<Q")
_TABLES = (b"windows", b"expiry", b"counters")

StoreError = lmdb.Error


def store_folder(url: str) -> Path:
    """The folder that a `lmdb://` URL means. Without a path: one in the temporary directory for
    each user and checkout, so that all workers of a gateway meet there."""
    path = url.removeprefix("lmdb://")
    if path:
        return Path(path)
    place = hashlib.blake2b(str(Path.cwd()).encode(), digest_size=6).hexdigest()
    return Path(tempfile.gettempdir()) / f"gatehouse-{getpass.getuser()}-{place}"


class EmbeddedStore:
    """Key-value tables shared by all processes that open the same folder.

    Opened at first use, in the process that uses it: a mapping must not cross a fork. Lost when
    the folder is; nothing in it is a record to keep.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._opened: _Opened | None = None
        _stores.add(self)

    def environment(self) -> Any:
        """The opened LMDB environment of this process. Raises StoreError or OSError."""
        return (self._opened or self._open()).environment

    def table(self, name: bytes) -> Any:
        """A table's handle, to be named in a transaction of `environment()`."""
        return (self._opened or self._open()).tables[name]

    def _open(self) -> _Opened:
        # LMDB may be opened once in a process, so stores of one folder share what is opened.
        with _opening:
            self._opened = _mapped.get(self.folder) or _open_folder(self.folder)
            _mapped[self.folder] = self._opened
            return self._opened

    def count(self, name: str, amount: int = 1) -> int:
        """Add to a counter that all workers share, and return its value."""
        table = self.table(b"counters")
        key = name.encode()
        with self.environment().begin(write=True, db=table) as transaction:
            stored = transaction.get(key)
            value: int = (_COUNTER.unpack(stored)[0] if stored else 0) + amount
            transaction.put(key, _COUNTER.pack(value))
        return value

    def forget_process(self) -> None:
        """After a fork: the child opens the store anew."""
        self._opened = None

    def close(self) -> None:
        """Unmap, for every store of this folder; a later use opens it again."""
        with _opening:
            opened = _mapped.pop(self.folder, None)
            for store in list(_stores):
                if store.folder == self.folder:
                    store.forget_process()
            if opened is not None:
                opened.environment.close()


@dataclass(frozen=True, slots=True)
class _Opened:
    environment: Any
    tables: dict[bytes, Any]


def _open_folder(folder: Path) -> _Opened:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = lmdb.open(
        str(folder),
        map_size=_SIZE,
        max_dbs=8,
        max_readers=1024,
        mode=0o600,
        # Written through the mapping and never synced: shared memory with a file's name.
        writemap=True,
        map_async=True,
        sync=False,
        metasync=False,
    )
    with (folder / "data.mdb").open("r+b") as data, contextlib.suppress(OSError):
        # Without its blocks, a full disk would kill the worker that touches a new page.
        os.posix_fallocate(data.fileno(), 0, _SIZE)
    environment.reader_check()
    return _Opened(environment, {name: environment.open_db(name) for name in _TABLES})


# What this process has open. A child starts with none of it.
_opening = threading.Lock()
_mapped: dict[Path, _Opened] = {}
_stores: weakref.WeakSet[EmbeddedStore] = weakref.WeakSet()


def _after_fork() -> None:
    global _opening
    _opening = threading.Lock()
    _mapped.clear()
    for store in list(_stores):
        store.forget_process()


os.register_at_fork(after_in_child=_after_fork)
