"""The bench of forwarding: this gateway beside a Flask hello-world and a FastAPI gateway.

All run at the same time on the same backend and are loaded in turn, round by round; the median
of the rounds counts. Exit code 0: no error and every target met; 1: not so; 2: cannot run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from starting import finish, parser, run

CONTENDERS = ("hello", "gatehouse", "resilient", "fastapi")


def options() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__, seconds=8, rounds=3)
    made.add_argument("--only", choices=CONTENDERS, action="append", help="repeatable")
    return made.parse_args()


def main() -> int:
    """Run the bench; the exit code."""
    chosen = options()
    return run(chosen.worker_class, lambda folder: measured(chosen, folder))


def measured(chosen: argparse.Namespace, folder: Path) -> int:
    """Measure, and tell what came of it; the exit code. Raises BenchError."""
    # These modules need packages that may be absent before.
    import report
    from arena import compare

    summaries = compare(chosen, chosen.only or CONTENDERS, folder)
    result = report.as_json(summaries, {**vars(chosen), "json": str(chosen.json)})
    return finish(report.lines(summaries), result, report.passed(summaries), chosen.json)


if __name__ == "__main__":
    sys.exit(main())
