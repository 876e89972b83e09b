"""The conformance tests that other HTTP caches are compared by: npm's `http-cache-tests`."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.node import NODE, install

FOLDER = Path(__file__).resolve().parents[1] / "peers" / "http_cache_tests"
_LONGEST = 120.0


@dataclass(frozen=True, slots=True)
class Tried:
    """One test, and what came of it. kind: `required`, `optimal`, or `check` for one that only
    asks how a cache is. wrong: what was not as it should be; empty if nothing."""

    id: str
    kind: str
    wrong: str


class Conformance:
    """The program that is the backend and the clients of a cache."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port = int(self._read())

    def run(self, cache: str) -> list[Tried]:
        """What comes of each test. cache: the URL of a cache that has the program as its backend.
        Once only."""
        out, _ = self._process.communicate(f"{cache}\n", timeout=_LONGEST)
        return [Tried(**told) for told in json.loads(out)]

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextlib.contextmanager
def start_conformance() -> Iterator[Conformance]:
    """The program, ended with the block."""
    install(FOLDER)
    assert NODE is not None
    process = subprocess.Popen(
        [NODE, "--no-warnings", "run.mjs"],
        cwd=FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            yield Conformance(process)
        finally:
            process.kill()
