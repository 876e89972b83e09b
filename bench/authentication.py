"""The bench of authentication: what a request with a credential costs beside one without.

One gateway with every scheme set up is loaded by turns, round by round, with the same request
without a credential and with each kind; the median of the ratios within a round counts. Exit code
0: no error and every ratio within the target; 1: not so; 2: cannot run.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from starting import parser, run


def options() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__, seconds=2, rounds=5)
    return made.parse_args()


def main() -> int:
    """Run the bench; the exit code."""
    chosen = options()
    return run(chosen.worker_class, lambda folder: measured(chosen, folder))


def measured(chosen: argparse.Namespace, folder: Path) -> int:
    """Measure, and tell what came of it; the exit code. Raises BenchError."""
    # This module needs packages that may be absent before.
    from schemes import compare, passed, told

    found = compare(chosen, folder)
    print("\n".join(told(found)))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if passed(found) else 1


if __name__ == "__main__":
    sys.exit(main())
