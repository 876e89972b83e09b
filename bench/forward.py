"""The bench of forwarding: this gateway beside a Flask hello-world and a FastAPI gateway.

All run at the same time on the same backend and are loaded in turn, round by round; the median
of the rounds counts. Exit code 0: no error and every target met; 1: not so; 2: cannot run.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

# sniffio and httptools are optional to httpx and uvicorn, which are much slower without them.
PACKAGES = {"jwt": "pyjwt"}
NEEDED = (
    *("cachetools", "flask", "gunicorn", "jwt", "limits", "orjson"),
    *("fastapi", "httptools", "httpx", "sniffio", "uvicorn"),
)
CONTENDERS = ("hello", "gatehouse", "resilient", "fastapi")


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="length of one measured run")
    parser.add_argument("--connections", type=int, default=32, help="busy client connections")
    parser.add_argument("--worker-class", choices=("gevent", "gthread"), default="gevent")
    parser.add_argument("--rounds", type=int, default=3, help="measured runs of each contender")
    parser.add_argument("--only", choices=CONTENDERS, action="append", help="repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result here")
    return parser.parse_args()


def missing(worker_class: str) -> list[str]:
    """Packages the bench needs and this interpreter lacks."""
    needed = [*NEEDED, "gevent"] if worker_class == "gevent" else list(NEEDED)
    absent = [name for name in needed if importlib.util.find_spec(name) is None]
    return [PACKAGES.get(name, name) for name in absent]


def end(_signal: int, _frame: FrameType | None) -> None:
    """Leave through every `finally`, so that what was started is ended."""
    raise SystemExit(130)


def main() -> int:
    """Run the bench; the exit code."""
    chosen = options()
    if absent := missing(chosen.worker_class):
        print(f"missing: {', '.join(absent)}; pip install -r requirements-dev.txt", file=sys.stderr)
        return 2
    # These modules need the packages whose absence was just ruled out.
    import report
    from arena import compare
    from processes import BenchError

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        try:
            summaries = compare(chosen, chosen.only or CONTENDERS, folder)
        except BenchError as error:
            print(error, file=sys.stderr)
            return 1
    print("\n".join(report.lines(summaries)))
    if chosen.json:
        result = report.as_json(summaries, {**vars(chosen), "json": str(chosen.json)})
        chosen.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if report.passed(summaries) else 1


if __name__ == "__main__":
    sys.exit(main())
