"""A file system with no room, for one process."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from pathlib import Path

_NEW_NAMESPACE, _NEW_USER = 0x20000, 0x10000000
_PRIVATE = 0x40000 | 0x4000
_libc = ctypes.CDLL(None)


def small_disk(folder: Path, size: int) -> None:
    """Give this process a file system of its own in a folder. Where that is not allowed, none of
    its files grows beyond half of the size from now on: a write fails then, too."""
    if not (_alone() and _libc.mount(b"none", bytes(folder), b"tmpfs", 0, b"size=%d" % size) == 0):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))


def _alone() -> bool:
    """Whether what this process mounts from now on is seen by no other."""
    user = os.getuid()
    if _libc.unshare(_NEW_NAMESPACE if user == 0 else _NEW_NAMESPACE | _NEW_USER):
        return False
    if user:
        try:
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        except OSError:
            return False
    return bool(_libc.mount(b"none", b"/", None, _PRIVATE, None) == 0)


def fill(folder: Path, leave: int = 0) -> None:
    """Take all the room there is on a disk but so many bytes."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    os.truncate(ballast, max(ballast.stat().st_size - leave, 0))
