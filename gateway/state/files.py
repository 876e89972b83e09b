"""The files of the embedded store, as one process has them mapped.

LMDB's own lock is a robust mutex, and whoever waits for one may sleep on when another that waits is
killed just as it is woken. So a file's lock is asked for first, and LMDB's is always free.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb

SIZE = 64 * 1024 * 1024
_TABLES = (b"windows", b"expiry", b"counters", b"verdicts", b"slots")
# Raise it when a table's layout changes: old and new workers then do not meet.
_LAYOUT = 2
_FILES = ("data.mdb", "lock.mdb", "writer")
_LOOK = 1.0
_TOUCH = 3600.0


class MappedFiles:
    """The files as this process has them mapped."""

    def __init__(self, folder: Path) -> None:
        self._place = _place(folder)
        self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._threads = threading.Lock()
        self._processes = os.open(self._place / "writer", os.O_RDWR | os.O_CREAT, 0o600)
        self.lock()
        try:
            self.environment = _mapping(self._place)
            self._prepare()
        finally:
            self.unlock()
        self._touched = time.monotonic()
        self.look_at = self._touched + _LOOK

    def _prepare(self) -> None:
        try:
            _fill(self._place / "data.mdb")
            self.environment.reader_check()
            self.tables = {name: self.environment.open_db(name) for name in _TABLES}
            self._identity = self._files()
        except BaseException:
            self.environment.close()
            raise

    def lock(self) -> None:
        """Wait for this process's other threads, then for the other processes."""
        self._threads.acquire()
        try:
            fcntl.lockf(self._processes, fcntl.LOCK_EX)
        except BaseException:
            self._threads.release()
            raise

    def unlock(self) -> None:
        """Let the next in."""
        try:
            fcntl.lockf(self._processes, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # Not before: another thread may still write. At the interpreter's end there is no `os`.
        if hasattr(self, "_processes"):
            close(self._processes)

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


class Writing:
    """A write transaction with the lock around it."""

    __slots__ = ("_files", "_table", "_transaction")

    def __init__(self, files: MappedFiles, table: Any) -> None:
        self._files = files
        self._table = table

    def __enter__(self) -> Any:
        self._files.lock()
        try:
            self._transaction = self._files.environment.begin(write=True, db=self._table)
        except BaseException:
            self._files.unlock()
            raise
        return self._transaction

    def __exit__(self, *error: object) -> None:
        try:
            self._transaction.__exit__(*error)
        finally:
            self._files.unlock()
