"""The files of the embedded store, as one process has them mapped.

LMDB's own lock is a robust mutex, and whoever waits for one may sleep on when another that waits is
killed just as it is woken. So a file's lock is asked for first, and LMDB's is always free.

What LMDB finds in damaged pages may end the process, and each that follows. So where one ended
inside a transaction, disposable files are looked through, and thrown away unless they are whole.
They are if it was merely killed: LMDB writes to pages that nobody uses, and one write in the end
names them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb

from gateway.state.checking import is_whole

_FILES = ("data.mdb", "lock.mdb", "writer")
_READERS = 1024
# What LMDB makes of its lock file for so many readers.
_LOCK_BYTES = 65_664
_LOOK = 1.0
_TOUCH = 3600.0
# For how long all others wait while files are looked through, in seconds; most take a tenth of it
# and, of 256 MiB, a third.
_PATIENCE = 1.0
# The first byte of `writer`, of disposable files.
_INSIDE, _OUTSIDE = b"!", b"."

#: What is told of files in which nothing can be relied on any more; the first is what the driver
#: makes of a length below 0.
DAMAGES = (
    SystemError,
    lmdb.BadDbiError,
    lmdb.BadTxnError,
    lmdb.BadValsizeError,
    lmdb.CorruptedError,
    lmdb.CursorFullError,
    lmdb.IncompatibleError,
    lmdb.InvalidError,
    lmdb.MapResizedError,
    lmdb.PageFullError,
    lmdb.PageNotFoundError,
    lmdb.PanicError,
    lmdb.ProblemError,
    lmdb.VersionMismatchError,
)


@dataclass(frozen=True, slots=True)
class Layout:
    """What the files of a store hold.

    number: raise it when a table's layout changes: old and new workers then do not meet. size: in
    bytes, at most. filled: the data has all its blocks from the beginning, and is written through
    the mapping; otherwise it grows as needed, and a full disk is an error of the change that needs
    room. disposable: damaged files, and such as are too large for `size`, are thrown away at
    opening; otherwise damage is an error.
    """

    tables: tuple[bytes, ...] = (b"windows", b"expiry", b"counters", b"verdicts", b"slots")
    number: int = 2
    size: int = 64 * 1024 * 1024
    filled: bool = True
    disposable: bool = False


USUAL = Layout()


class MappedFiles:
    """The files as this process has them mapped."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self._layout = layout
        self._place = _place(folder, layout.number)
        self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._threads = threading.Lock()
        self._data = -1
        #: See Layout.
        self.disposable = layout.disposable
        self._processes = os.open(self._place / "writer", os.O_RDWR | os.O_CREAT, 0o600)
        self.lock()
        try:
            self._open()
        finally:
            self.unlock()
        self._touched = time.monotonic()
        self.look_at = self._touched + _LOOK

    def _open(self) -> None:
        try:
            self._map()
        except (lmdb.Error, SystemError) as error:
            # Of one without a class of its own nobody can say more.
            if not (self._layout.disposable and type(error) in (*DAMAGES, lmdb.Error)):
                raise
            self._remove()
            self._map()

    def _map(self) -> None:
        # Its pages are written through a mapping: a full disk is to be found out before.
        _fill(self._place / "lock.mdb", _LOCK_BYTES)
        data = self._place / "data.mdb"
        found = data.stat().st_size if data.exists() else 0
        self.environment = _mapping(self._place, self._layout)
        try:
            self._check_size(found)
            if self._layout.filled:
                _fill(data, self._layout.size)
            self._check_readers()
            self.tables = {name: self.environment.open_db(name) for name in self._layout.tables}
            self._identity, self._size = self._files(), data.stat().st_size
            self._data = os.open(data, os.O_RDONLY)
        except BaseException:
            self.environment.close()
            raise

    def _check_size(self, found: int) -> None:
        """Nothing was cut off: to touch a page that is not there would end the process. found: the
        size before it was mapped, which may fill it up with nothing; 0: it is new."""
        known = self.environment.info()
        needed = (known["last_pgno"] + 1) * self.environment.stat()["psize"]
        if 0 < found < needed:
            raise lmdb.CorruptedError("data.mdb was cut short")
        if self._layout.disposable and needed > self._layout.size:
            raise lmdb.MapResizedError("data.mdb is from when the store was larger")

    def _check_readers(self) -> None:
        if self._layout.disposable and _ended_inside(self.environment) and not self._is_whole():
            raise lmdb.CorruptedError("a process ended while it read")
        self.environment.reader_check()

    def read(self, name: bytes, *, buffers: bool = False) -> Any:
        """A transaction that reads, on a table. buffers: what it gives is not copied, and ends with
        the transaction."""
        return self.environment.begin(db=self.tables[name], buffers=buffers)

    def write(self, name: bytes) -> Writing:
        """A transaction that writes, on a table."""
        return Writing(self, self.tables[name])

    def taken(self, transaction: Any) -> int:
        """How many bytes the pages of all tables take."""
        pages = size = 0
        for table in self.tables.values():
            stat = transaction.stat(table)
            size = stat["psize"]
            pages += stat["leaf_pages"] + stat["branch_pages"] + stat["overflow_pages"]
        return pages * size

    def _remove(self) -> None:
        # Not `writer`: whoever waits for it is to meet those who come later.
        for name in ("data.mdb", "lock.mdb"):
            (self._place / name).unlink(missing_ok=True)

    def throw_away(self) -> None:
        """Remove what is mapped, unless that was done already: all who use it find it moved."""
        self.lock()
        try:
            if not self.moved():
                self._remove()
        finally:
            self.unlock()

    def lock(self) -> bool:
        """Wait for this process's other threads, then for the other processes. Returns whether all
        is well; otherwise the files were cut, or whoever had it last ended inside and damaged ones
        were thrown away."""
        self._threads.acquire()
        try:
            fcntl.lockf(self._processes, fcntl.LOCK_EX)
            return not self._layout.disposable or self._enter()
        except BaseException:
            self._threads.release()
            raise

    def _enter(self) -> bool:
        try:
            well = os.pread(self._processes, 1, 0) != _INSIDE or self._is_whole()
            if not well:
                self._remove()
            os.pwrite(self._processes, _INSIDE, 0)
        except BaseException:
            fcntl.lockf(self._processes, fcntl.LOCK_UN)
            raise
        # Not removed here: others may have done that, and begun anew in their place.
        return well and not (self._data >= 0 and self.is_cut())

    def _is_whole(self) -> bool:
        try:
            return is_whole(self._place / "data.mdb", _PATIENCE)
        except OSError:
            return False

    def unlock(self) -> None:
        """Let the next in."""
        try:
            if self._layout.disposable:
                with contextlib.suppress(OSError):
                    os.pwrite(self._processes, _OUTSIDE, 0)
            fcntl.lockf(self._processes, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # Not before: another thread may still write. At the interpreter's end there is no `os`.
        if hasattr(self, "_processes"):
            close(self._processes)
            if self._data >= 0:
                close(self._data)

    def _files(self) -> list[tuple[int, int]]:
        # Asked by name: a lock is lost when its file is opened once more and closed.
        stats = [(self._place / name).stat() for name in _FILES]
        return [(stat.st_dev, stat.st_ino) for stat in stats]

    def is_cut(self) -> bool:
        """Whether the data has become shorter: to touch a page that is not there would end the
        process. Quick enough for every use."""
        before = self._size  # read first: it only grows, also while we look
        size = os.lseek(self._data, 0, os.SEEK_END)
        if size > before:
            self._size = size
        return size < before

    def moved(self) -> bool:
        """Whether other workers would find other files here, none, or less of them: what is mapped
        then counts for this process alone."""
        now = time.monotonic()
        try:
            if self._files() != self._identity or self.is_cut():
                return True
            if now > self._touched + _TOUCH:  # so that they do not look forgotten to a cleaner
                for name in _FILES:
                    os.utime(self._place / name)
                self._touched = now
        except OSError:
            return True
        self.look_at = now + _LOOK
        return False


def _place(folder: Path, number: int) -> Path:
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
    return folder / f"{number}-{boot}"


def _mapping(place: Path, layout: Layout) -> Any:
    return lmdb.open(
        str(place),
        map_size=layout.size,
        max_dbs=8,
        max_readers=_READERS,
        mode=0o600,
        # Written through the mapping and never synced: shared memory with a file's name. Where
        # there may be no block for a page, it is written by a call that can fail.
        writemap=layout.filled,
        map_async=layout.filled,
        sync=False,
        metasync=False,
    )


def _fill(path: Path, size: int) -> None:
    """Give the file all its blocks, and make it if it is not there: later, a full disk would kill
    the worker that touches a new page. Raises OSError if there is no room now."""
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(number).st_blocks * 512 < size:
            os.posix_fallocate(number, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
    finally:
        os.close(number)


def _ended_inside(environment: Any) -> bool:
    """Whether a process that is no more was reading."""
    for line in environment.readers().splitlines()[1:]:
        pid, _, transaction = line.split()
        if transaction == "-":
            continue
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # somebody else's, and alive
            pass
    return False


class Writing:
    """A write transaction with the lock around it."""

    __slots__ = ("_files", "_table", "_transaction")

    def __init__(self, files: MappedFiles, table: Any) -> None:
        self._files = files
        self._table = table

    def __enter__(self) -> Any:
        if not self._files.lock():
            self._files.unlock()
            raise lmdb.CorruptedError("the files were cut, or a process ended while it wrote")
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
