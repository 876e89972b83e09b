"""The first run as its reader meets it: started, its lines pasted, a token asked for, stopped."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("app.py", "settings.py", "gateway", "blueprints", "examples")
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Run:
    """A running first run: its folder, its process, and what it printed until it was ready."""

    folder: Path
    process: subprocess.Popen[str]
    text: str

    def pasted(self) -> str:
        """What the printed block prints when it is pasted into a shell."""
        block = self.text[self.text.index("BASE=") : self.text.index("\nPress Ctrl-C")]
        done = subprocess.run(
            ["bash", "-c", block], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        return done.stdout


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "PYTHONPATH": str(folder), "STATE_URL": f"lmdb://{folder}/state", **more}


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def read_until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    text = ""
    until = time.monotonic() + PATIENCE
    while "Press Ctrl-C" not in text and time.monotonic() < until:
        line = process.stdout.readline()
        if not line:
            break
        text += line
    return text


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("first")
    for name in NEEDED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    with subprocess.Popen(
        [sys.executable, "-m", "examples"],
        cwd=folder,
        env=environment(folder, PORT=free_port(), DRAIN_SECONDS="0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield Run(folder, process, read_until_ready(process))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)


def test_it_says_where_it_listens_and_what_is_behind(run: Run) -> None:
    assert re.search(r"listens on http://127\.0\.0\.1:\d+, in front of", run.text)
    for name in ("users", "orders", "products", "payments", "notifications"):
        assert re.search(rf"^  {name} +http://127\.0\.0\.1:\d+$", run.text, re.MULTILINE)


def test_pasted_lines_show_who_may_what(run: Run) -> None:
    said = run.pasted()
    assert re.findall(r"^HTTP/1\.1 (\d{3})", said, re.MULTILINE) == [
        *("200", "401", "403", "201", "204"),
    ]
    assert "Oak desk lamp" in said
    assert re.search(r"^X-Cache: HIT\r?$", said, re.MULTILINE)
    assert '"requested_by": "reader"' in said
    assert said.count("\ndata: ") == 3


def test_a_token_is_printed_and_nothing_else(run: Run) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.tokens", "writer"],
        cwd=run.folder,
        env=environment(run.folder),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", done.stdout)


def test_ctrl_c_ends_every_process(run: Run) -> None:
    children = _descendants(run.process.pid)
    assert len(children) >= 8  # five backends, gunicorn's master and two workers
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(PATIENCE) == 0
    until = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def _descendants(pid: int) -> set[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}
