"""The bench of aggregation: what an answer of four legs costs beside a single forward.

One gateway on one backend is loaded with both in turn, round by round; the median of the ratios
within a round counts. Exit code 0: no error and the target met; 1: not so; 2: cannot run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from starting import finish, parser, run


def main() -> int:
    """Run the bench; the exit code."""
    chosen = parser(__doc__, seconds=4, rounds=5).parse_args()
    return run(chosen.worker_class, lambda folder: measured(chosen, folder))


def measured(chosen: argparse.Namespace, folder: Path) -> int:
    """Measure, and tell what came of it; the exit code. Raises BenchError."""
    # These modules need packages that may be absent before.
    from legs import TARGETS, compare
    from ratios import lines, passed

    found = compare(chosen, folder)
    return finish(lines("legs", found, TARGETS), found, passed(found, TARGETS), chosen.json)


if __name__ == "__main__":
    sys.exit(main())
