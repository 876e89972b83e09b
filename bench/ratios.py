"""Contenders loaded in turn, and each compared with another one round by round."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping
from typing import TypedDict

from contenders import Contender
from measuring import Bench, Run

#: What is compared with what, and its most CPU as a multiple.
Targets = Mapping[str, tuple[str, float]]

ROW = "{:<10} {:>9} {:>10} {:>7} {:>12} {:>7} {:>7}"


class Compared(TypedDict):
    """The rounds of one contender: CPU in microseconds, its ratio to another, and its errors."""

    cpu: float
    beside: str
    ratio: float
    least: float
    most: float
    errors: int


def rounds(loaded: Mapping[str, tuple[Contender, int, Bench]], number: int) -> dict[str, list[Run]]:
    """Load each in turn, so many times; the runs by name."""
    runs: dict[str, list[Run]] = {name: [] for name in loaded}
    for count in range(1, number + 1):
        for name, (contender, pid, bench) in loaded.items():
            run = bench.run(contender, pid)
            runs[name].append(run)
            print(f"round {count}: {name} {run.cpu:.0f} µs CPU", file=sys.stderr, flush=True)
    return runs


def _compared(own: list[Run], others: list[Run], beside: str) -> Compared:
    ratios = [one.cpu / other.cpu for one, other in zip(own, others, strict=True)]
    return {
        "cpu": statistics.median(run.cpu for run in own),
        "beside": beside,
        "ratio": statistics.median(ratios),
        "least": min(ratios),
        "most": max(ratios),
        "errors": sum(sum(run.errors.values()) for run in own),
    }


def compared(runs: Mapping[str, list[Run]], targets: Targets) -> dict[str, Compared]:
    """Each that has a target, beside the one it is compared with."""
    return {
        name: _compared(runs[name], runs[beside], beside) for name, (beside, _) in targets.items()
    }


def passed(found: Mapping[str, Compared], targets: Targets) -> bool:
    """No error anywhere, and every target met."""
    return all(
        not one["errors"] and one["ratio"] <= targets[name][1] for name, one in found.items()
    )


def lines(title: str, found: Mapping[str, Compared], targets: Targets) -> list[str]:
    """The report as text."""
    told = [ROW.format(title, "CPU µs", "beside", "ratio", "least-most", "target", "errors")]
    for name, one in found.items():
        spread = f"{one['least']:.2f}-{one['most']:.2f}"
        verdict = "met" if one["ratio"] <= targets[name][1] else "MISSED"
        figures = (f"{one['cpu']:.0f}", one["beside"], f"{one['ratio']:.2f}", spread)
        told.append(ROW.format(name, *figures, verdict, one["errors"]))
    return told
