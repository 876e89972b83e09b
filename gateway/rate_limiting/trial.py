"""Limits on trial: they count, the log tells whom they would have refused, nobody is refused.

Clients are told nothing of them: those that slow down when little remains would show other
traffic than there is without the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.exchange import Exchange
from gateway.rate_limiting.rules import Rule
from gateway.rate_limiting.windows import Hit, Window


def on_trial(hits: Sequence[Hit]) -> list[Hit]:
    """The same hits, refusing nothing."""
    return [replace(hit, dry=True) for hit in hits]


def in_force(
    rules: Sequence[Rule], hits: Sequence[Hit], states: Sequence[Window], exchange: Exchange
) -> tuple[list[Rule], list[Window]]:
    """Those rules that refuse, and their windows. What the others would have refused is noted."""
    kept: list[Rule] = []
    windows: list[Window] = []
    for rule, hit, window in zip(rules, hits, states, strict=True):
        if not hit.dry:
            kept.append(rule)
            windows.append(window)
        elif window.retry:
            exchange.dry_run.append(rule.name)
    return kept, windows
