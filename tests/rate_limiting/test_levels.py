"""The level of a bucket: exact at rates that a clock can hardly tell."""

from __future__ import annotations

import pytest

from gateway.rate_limiting.levels import Level
from gateway.rate_limiting.memory import MemoryWindows
from gateway.rate_limiting.windows import Hit
from tests.rate_limiting.shifted import Clock

TODAY = 1_795_000_000.123


@pytest.mark.parametrize("rate", [3, 1_000, 1_000_000])
def test_single_hits_do_not_drift(rate: int) -> None:
    windows = MemoryWindows(Clock(TODAY))
    hit = Hit("a", rate, 1, burst=4999)
    assert sum(windows.acquire([hit])[0] for _ in range(5010)) == 5000


def test_a_steady_rate_is_kept() -> None:
    clock = Clock(TODAY)
    windows = MemoryWindows(clock)
    hit = Hit("a", 1000, 1, burst=9)
    allowed = 0
    for _ in range(50_000):  # in five seconds, ten times as many as may
        allowed += windows.acquire([hit])[0]
        clock.now += 0.0001
    assert allowed == pytest.approx((clock.now - TODAY) * 1000 + 10, abs=2)


def test_asking_does_not_change_what_was_counted() -> None:
    level = Level()
    hit = Hit("a", 1, 3600, burst=3)
    level.count(hit, level.window(hit, TODAY), TODAY)
    for second in range(3600):
        level.window(hit, TODAY + second)
    assert level.window(hit, TODAY + 3600).reset == pytest.approx(0, abs=0.001)
