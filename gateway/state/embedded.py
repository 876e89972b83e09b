"""The store of one machine: LMDB, mapped into every worker, changed inside transactions.

A write transaction holds a lock that all workers share, for microseconds: nothing inside one may
wait, log or switch greenlets. A worker killed inside one frees the lock and leaves no trace.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import struct
import tempfile
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import lmdb

SIZE = 64 * 1024 * 1024
_COUNTER = struct.Struct("<Q")
_TABLES = (b"windows", b"expiry", b"counters")
# Raise it when a table's layout changes: old and new workers then do not meet.
_LAYOUT = 1
_FILES = ("data.mdb", "lock.mdb")
_LOOK = 1.0
_TOUCH = 3600.0

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
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._opened: _Opened | None = None
        _stores.add(self)

    def environment(self) -> Any:
        """The opened LMDB environment of this process; to be asked for before its tables. Opens
        anew when somebody deleted the files. Raises StoreError or OSError."""
        opened = self._opened
        if opened is not None and (time.monotonic() < opened.look_at or not opened.moved()):
            return opened.environment
        del opened  # so that a mapping that has moved can go
        return self._open().environment

    def table(self, name: bytes) -> Any:
        """A table's handle, to be named in a transaction of `environment()`."""
        return (self._opened or self._open()).tables[name]

    def _open(self) -> _Opened:
        # LMDB may be opened once in a process, so stores of one folder share what is opened.
        with _opening:
            opened = _mapped.get(self.folder)
            if opened is not None and opened.moved():
                # Let go, not closed: another thread's transaction may still use it.
                opened = None
                self._forget()
            if opened is None:
                opened = _mapped[self.folder] = _Opened(self.folder)
            self._opened = opened
            return opened

    def _forget(self) -> _Opened | None:
        for store in list(_stores):
            if store.folder == self.folder:
                store.forget_process()
        return _mapped.pop(self.folder, None)

    def count(self, name: str, amount: int = 1) -> int:
        """Add to a counter that all workers share, and return its value."""
        environment = self.environment()
        key = name.encode()
        with environment.begin(write=True, db=self.table(b"counters")) as transaction:
            stored = transaction.get(key)
            value: int = (_COUNTER.unpack(stored)[0] if stored else 0) + amount
            if amount:
                transaction.put(key, _COUNTER.pack(value))
        return value

    def crowded(self, transaction: Any) -> bool:
        """Whether more than three quarters of the room is taken."""
        pages = 0
        for table in (self._opened or self._open()).tables.values():
            stat = transaction.stat(table)
            pages += stat["leaf_pages"] + stat["branch_pages"] + stat["overflow_pages"]
        return bool(pages * stat["psize"] > SIZE * 3 // 4)

    def forget_process(self) -> None:
        """After a fork: the child opens the store anew."""
        self._opened = None

    def close(self) -> None:
        """Unmap, for every store of this folder; a later use opens it again."""
        with _opening:
            opened = self._forget()
            if opened is not None:
                opened.environment.close()


class _Opened:
    """The files as this process has them mapped."""

    def __init__(self, folder: Path) -> None:
        self._place = _place(folder)
        self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.environment = _mapping(self._place)
        try:
            _fill(self._place / "data.mdb")
            self.environment.reader_check()
            self.tables = {name: self.environment.open_db(name) for name in _TABLES}
            self._identity = self._files()
        except BaseException:
            self.environment.close()
            raise
        self._touched = time.monotonic()
        self.look_at = self._touched + _LOOK

    def _files(self) -> list[tuple[int, int]]:
        # Asked by name: a lock is lost when its file is opened once more and closed.
        stats = [(self._place / name).stat() for name in _FILES]
        return [(stat.st_dev, stat.st_ino) for stat in stats]

    def moved(self) -> bool:
        """Whether other workers would find other files here, or none: what is mapped then counts
        for this process alone."""
        now = time.monotonic()
        try:
            if self._files() != self._identity:
                return True
            if now > self._touched + _TOUCH:  # so that they do not look forgotten to a cleaner
                for name in _FILES:
                    os.utime(self._place / name)
                self._touched = now
        except OSError:
            return True
        self.look_at = now + _LOOK
        return False


def _place(folder: Path) -> Path:
    """Where the files of this layout are since the machine started. Files from before may be
    half written, and LMDB trusts what it maps: they are removed."""
    boot = "0"
    known = Path("/proc/sys/kernel/random/boot_id")
    if known.exists():
        boot = known.read_text().strip().replace("-", "")[:12]
    if folder.is_dir():
        for other in folder.iterdir():
            if re.fullmatch(r"\d+-[0-9a-f]+", other.name) and not other.name.endswith(f"-{boot}"):
                shutil.rmtree(other, ignore_errors=True)
    return folder / f"{_LAYOUT}-{boot}"


def _mapping(place: Path) -> Any:
    return lmdb.open(
        str(place),
        map_size=SIZE,
        max_dbs=8,
        max_readers=1024,
        mode=0o600,
        # Written through the mapping and never synced: shared memory with a file's name.
        writemap=True,
        map_async=True,
        sync=False,
        metasync=False,
    )


def _fill(path: Path) -> None:
    """Give the file all its blocks: later, a full disk would kill the worker that touches a new
    page. Raises OSError if there is no room now."""
    with path.open("r+b") as data:
        if os.fstat(data.fileno()).st_blocks * 512 >= SIZE:
            return
        try:
            os.posix_fallocate(data.fileno(), 0, SIZE)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise


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
