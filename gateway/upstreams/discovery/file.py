"""Instances listed in a file that is watched."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from gateway.upstreams.discovery.provider import Discovery, DiscoveryError, Found, Look
from gateway.upstreams.target import parse_targets

#: Seconds between two glances at the file.
POLL = 0.5
_LARGEST = 1 << 20

#: What changes with the file; None when there is none.
Signature = tuple[int, int, int, int] | None


def _wait(over: threading.Event, seconds: float) -> None:
    over.wait(seconds)


@dataclass(frozen=True, slots=True)
class WatchedFile:
    """A file with the grammar of `<NAME>_URL`'s list, one instance or more on each line; what
    follows a `#` is a comment.

    A change counts once the file has been the same at two glances, half a second apart: a file
    written in pieces is never read halfway. What replaces it by a rename is seen as well.
    """

    path: Path
    wait: Callable[[threading.Event, float], None] = _wait

    def begin(self) -> Look:
        """See Discovery.begin."""
        return _Watch(self.path, self.wait)


class _Watch:
    """A look that waits for the file to change; the first does not."""

    def __init__(self, path: Path, wait: Callable[[threading.Event, float], None]) -> None:
        self._path = path
        self._wait = wait
        self._begun = False
        self._read: Signature = None  # what the last look was about

    def __call__(self, over: threading.Event) -> Found:
        try:
            text = self._settled_text(over)
            return Found(parse_targets(text), 0.0)
        except (OSError, ValueError) as error:  # also what is no UTF-8
            reason = getattr(error, "strerror", None) or error
            raise DiscoveryError(f"{self._path}: {reason}") from None

    def _settled_text(self, over: threading.Event) -> str:
        while True:
            if self._begun:
                self._await_change(over)
            else:
                self._begun, self._read = True, self._signature()
            text = self._text()
            if over.is_set() or self._signature() == self._read:
                return text

    def _await_change(self, over: threading.Event) -> None:
        now = self._signature()
        while not over.is_set():
            before = now
            self._wait(over, POLL)
            now = self._signature()
            if now == before and now != self._read:
                break
        self._read = now

    def _signature(self) -> Signature:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_size

    def _text(self) -> str:
        with self._path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise ValueError("more than a megabyte")
        lines = data.decode().splitlines()
        return ",".join(line.partition("#")[0] for line in lines)


def parse(address: str) -> Discovery:
    """Read `file:///path`. ValueError says what is wrong; that there is no such file is not."""
    match = re.fullmatch(r"file://(/[^?#;]*[^?#;/])", address)
    if match is None:
        raise ValueError(f"{address!r} must be file:///path/to/a/file")
    return WatchedFile(Path(unquote(match[1])))
