"""The bench of authentication: what a request with a credential costs beside one without.

One gateway with every scheme set up is loaded by turns, round by round, with the same request
without a credential and with each kind; the median of the ratios within a round counts. Exit code
0: no error and every ratio within the target; 1: not so; 2: cannot run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from starting import finish, parser, run


def options() -> argparse.Namespace:
    """The command line."""
    return parser(__doc__, seconds=2, rounds=5).parse_args()


def main() -> int:
    """Run the bench; the exit code."""
    chosen = options()
    return run(chosen.worker_class, lambda folder: measured(chosen, folder))


def measured(chosen: argparse.Namespace, folder: Path) -> int:
    """Measure, and tell what came of it; the exit code. Raises BenchError."""
    # This module needs packages that may be absent before.
    from schemes import compare, passed, told

    found = compare(chosen, folder)
    return finish(told(found), found, passed(found), chosen.json)


if __name__ == "__main__":
    sys.exit(main())
