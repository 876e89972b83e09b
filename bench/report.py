"""The result of a bench: a table, the ratios, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from measuring import Summary

# Most CPU per request that the gateway may use, as a multiple of another contender's.
TARGETS = {"hello": 3.5, "fastapi": 0.5}
ROW = "{:<10} {:>9} {:>15} {:>8} {:>9} {:>9} {:>9} {:>7}"


@dataclass(frozen=True, slots=True)
class Ratio:
    """The gateway's CPU per request over another contender's, and the most it may be."""

    other: str
    value: float
    target: float

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.value <= self.target


def ratios(summaries: Mapping[str, Summary]) -> list[Ratio]:
    """The ratios of the contenders that ran."""
    if "gatehouse" not in summaries:
        return []
    own = summaries["gatehouse"].cpu
    return [
        Ratio(other, own / summaries[other].cpu, target)
        for other, target in TARGETS.items()
        if other in summaries
    ]


def passed(summaries: Mapping[str, Summary]) -> bool:
    """No error anywhere, and every target met."""
    no_errors = not any(summary.errors for summary in summaries.values())
    return no_errors and all(ratio.met for ratio in ratios(summaries))


def lines(summaries: Mapping[str, Summary]) -> Iterator[str]:
    """The report as text."""
    yield ROW.format(
        "contender", "CPU µs", "least-most", "req/s", "p50 µs", "p99 µs", "requests", "errors"
    )
    for name, one in summaries.items():
        spread = f"{one.cpu_least:.0f}-{one.cpu_most:.0f}"
        figures = [f"{value:.0f}" for value in (one.rate, one.p50, one.p99)]
        failed = sum(one.errors.values())
        yield ROW.format(name, f"{one.cpu:.0f}", spread, *figures, one.requests, failed)
    for name, one in summaries.items():
        for error, count in one.errors.items():
            yield f"{name}: {count} x {error}"
    for ratio in ratios(summaries):
        verdict = "met" if ratio.met else "MISSED"
        yield f"gatehouse/{ratio.other} {ratio.value:.2f}, target {ratio.target}: {verdict}"


def as_json(summaries: Mapping[str, Summary], options: Mapping[str, object]) -> dict[str, Any]:
    """The report as data."""
    return {
        "options": dict(options),
        "contenders": {name: summary.as_json() for name, summary in summaries.items()},
        "ratios": {
            ratio.other: {"value": ratio.value, "target": ratio.target, "met": ratio.met}
            for ratio in ratios(summaries)
        },
        "passed": passed(summaries),
    }
