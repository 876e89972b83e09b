"""The bench of caching: what a kept answer costs beside Flask's hello-world, and among many.

Gateways keep 100 and 100,000 answers of 4 KiB. They and hello-world are loaded in turn, round by
round; the median of the ratios within a round counts. Exit code 0: no error and every target
met; 1: not so; 2: cannot run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from starting import finish, parser, run


def options() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__, seconds=4, rounds=5)
    made.add_argument("--many", type=int, default=100_000, help="answers kept by the full one")
    return made.parse_args()


def main() -> int:
    """Run the bench; the exit code."""
    chosen = options()
    return run(chosen.worker_class, lambda folder: measured(chosen, folder))


def measured(chosen: argparse.Namespace, folder: Path) -> int:
    """Measure, and tell what came of it; the exit code. Raises BenchError."""
    # This module needs packages that may be absent before.
    from hits import TARGETS, compare
    from ratios import lines, passed

    found = compare(chosen, folder)
    report = lines("hits", found, TARGETS)
    return finish(report, found, passed(found, TARGETS), chosen.json)


if __name__ == "__main__":
    sys.exit(main())
