"""Programs of Node that tests talk to, and the packages that they are made of."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

NODE = shutil.which("node")
NPM = shutil.which("npm")
needs_node = pytest.mark.skipif(
    NODE is None or NPM is None, reason="there is no node or no npm here"
)


@functools.cache
def install(folder: Path) -> None:
    """Install what a program is made of, once: into its `node_modules`, which git ignores. Another
    process that wants the same waits. AssertionError with what npm says when it fails."""
    assert NPM is not None
    installed = folder / "node_modules" / ".installed"
    with (folder / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256(lock.read()).hexdigest()
        if installed.exists() and installed.read_text() == wanted:
            return
        npm = subprocess.run(
            [NPM, "ci", "--ignore-scripts"], cwd=folder, capture_output=True, text=True, timeout=300
        )
        assert npm.returncode == 0, npm.stderr
        installed.write_text(wanted)
