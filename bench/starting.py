"""How every bench begins and ends: packages, signals, a folder of its own, the exit code."""

from __future__ import annotations

import argparse
import importlib.util
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

# sniffio and httptools are optional to httpx and uvicorn, which are much slower without them.
PACKAGES = {"jwt": "pyjwt"}
NEEDED = (
    *("cachetools", "flask", "gunicorn", "jwt", "limits", "orjson"),
    *("fastapi", "httptools", "httpx", "sniffio", "uvicorn"),
)


def missing(worker_class: str) -> list[str]:
    """Packages the bench needs and this interpreter lacks."""
    needed = [*NEEDED, "gevent"] if worker_class == "gevent" else list(NEEDED)
    absent = [name for name in needed if importlib.util.find_spec(name) is None]
    return [PACKAGES.get(name, name) for name in absent]


def parser(description: str | None, *, seconds: float, rounds: int) -> argparse.ArgumentParser:
    """The options that every bench has. seconds, rounds: the usual ones."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--seconds", type=float, default=seconds, help="length of one measured run")
    made.add_argument("--connections", type=int, default=32, help="busy client connections")
    made.add_argument("--worker-class", choices=("gevent", "gthread"), default="gevent")
    made.add_argument("--rounds", type=int, default=rounds, help="measured runs of each kind")
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the result here")
    return made


def finish(lines: Iterable[str], result: Mapping[str, Any], passed: bool, file: Path | None) -> int:
    """Print a report, and write the result where that is wanted; the exit code."""
    print("\n".join(lines))
    if file:
        file.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if passed else 1


def end(_signal: int, _frame: FrameType | None) -> None:
    """Leave through every `finally`, so that what was started is ended."""
    raise SystemExit(130)


def run(worker_class: str, measure: Callable[[Path], int]) -> int:
    """The exit code of a bench: that of `measure`, which is given a temporary folder; 1 where it
    raises BenchError, 2 where packages are missing."""
    if absent := missing(worker_class):
        print(f"missing: {', '.join(absent)}; pip install -r requirements-dev.txt", file=sys.stderr)
        return 2
    # This module needs the packages whose absence was just ruled out.
    from processes import BenchError

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        try:
            return measure(Path(folder))
        except BenchError as error:
            print(error, file=sys.stderr)
            return 1
