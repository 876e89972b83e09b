"""Which workers of a machine live: each holds a lock on a file of its own, until it dies.

The kernel frees the lock with the process, however that ends, and never before: a worker that
merely stands still is not taken for dead.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

#: Bytes of a worker's name.
NAME = 8


class Presence:
    """This worker among those that use `folder`. Raises OSError where it cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entering = threading.Lock()
        self._owner = 0
        self._lock = -1
        self.name = b""

    @property
    def entered(self) -> bool:
        """Whether this process has told that it lives."""
        return self._owner == os.getpid()

    def enter(self) -> None:
        """Tell that this process lives; again if its file has gone. Cheap if all is well."""
        with self._entering:
            if not self.entered:
                if self._lock >= 0:  # of the process that this one was forked from
                    os.close(self._lock)
                    self._lock = -1
                self.name = os.urandom(NAME)
            elif self._there():
                return
            self._claim()
            self._owner = os.getpid()

    def _there(self) -> bool:
        try:
            named = self._path(self.name).stat()
        except OSError:
            return False
        mine = os.fstat(self._lock)
        return (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino)

    def _claim(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Locked before it has its name: nobody may find it there without the lock.
        unnamed = self._folder / f"new-{self.name.hex()}"
        lock = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unnamed.rename(self._path(self.name))
        except BaseException:
            os.close(lock)
            raise
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = lock

    def _path(self, name: bytes) -> Path:
        return self._folder / name.hex()

    def known(self, name: bytes) -> bool:
        """Whether a worker has told that it lives, and nobody found that it does not any more."""
        return self._path(name).exists()

    def bury(self, mourn: Callable[[bytes], None]) -> None:
        """Have `mourn` clear up after every worker that died, and forget it."""
        for name in os.listdir(self._folder):  # noqa: PTH208  four times as fast
            if name != self.name.hex() and len(name) == 2 * NAME:
                with contextlib.suppress(FileNotFoundError, BlockingIOError):
                    self._bury(self._folder / name, mourn)

    def _bury(self, path: Path, mourn: Callable[[bytes], None]) -> None:
        lock = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: it lives
            mourn(bytes.fromhex(path.name))
            path.unlink()
        finally:
            os.close(lock)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # At the interpreter's end there is no `os`.
        if getattr(self, "_lock", -1) >= 0:
            close(self._lock)
