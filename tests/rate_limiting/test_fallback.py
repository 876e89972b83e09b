"""A store that fails does not stop requests: the next one decides, and that is said."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

import pytest

from gateway.rate_limiting.fallback import FallbackWindows
from gateway.rate_limiting.memory import MemoryWindows
from gateway.rate_limiting.windows import Hit, Window
from tests.rate_limiting.shifted import Clock

HIT = Hit("key", 5, 60)


class Fragile(MemoryWindows):
    """Windows that fail when told to."""

    broken: Exception | None = None
    asked = 0

    def acquire(self, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        self.asked += 1
        if self.broken is not None:
            raise self.broken
        return super().acquire(hits)


class Setting:
    """A fragile primary, a local store, and the fallback between them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.primary, self.local = Fragile(), MemoryWindows()
        self.counted = 0
        self.windows = FallbackWindows(
            self.primary,
            self.local,
            self.count,
            name="far",
            pause=1.0,
            clock=self.clock,
            wall=lambda: 1000.0,
        )

    def count(self) -> None:
        self.counted += 1

    def left(self) -> tuple[int, int]:
        """Hits left in the primary and in the local store."""
        return self.primary.peek(HIT).remaining, self.local.peek(HIT).remaining


@pytest.fixture
def setting() -> Setting:
    """All is well so far."""
    return Setting()


def test_primary_decides(setting: Setting) -> None:
    assert setting.windows.acquire([HIT])[0]
    assert setting.left() == (4, 5)
    assert (setting.counted, setting.windows.degraded, setting.windows.check()) == (0, False, True)


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("nonsense"), TimeoutError()])
def test_local_store_decides_with_the_same_limits(
    setting: Setting, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    setting.primary.broken = error
    assert [setting.windows.acquire([HIT])[0] for _ in range(7)] == [True] * 5 + [False] * 2
    assert (setting.counted, setting.windows.degraded) == (7, True)
    assert not setting.windows.check()
    assert setting.windows.peek(HIT).remaining == 0
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message == (
        f"rate limit store far failed ({type(error).__name__}): local limits apply"
    )


def test_primary_is_tried_by_one_request_in_each_pause(setting: Setting) -> None:
    setting.primary.broken = OSError()
    for _ in range(10):
        setting.windows.acquire([HIT])
    assert setting.primary.asked == 1
    for _ in range(3):
        setting.clock.now += 1
        setting.windows.acquire([HIT])
        setting.windows.acquire([HIT])
    assert setting.primary.asked == 4


def test_primary_that_is_back_is_used_again(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    setting.primary.broken = OSError()
    setting.windows.acquire([HIT])
    setting.primary.broken = None
    setting.windows.acquire([HIT])
    assert setting.left() == (5, 3)
    setting.clock.now += 1
    for _ in range(2):
        setting.windows.acquire([HIT])
    assert setting.left() == (3, 3)
    assert (setting.counted, setting.windows.degraded) == (2, False)
    assert [record.message for record in caplog.records][1:] == ["rate limit store far is back"]


def test_only_one_waits_for_a_primary_that_hangs(setting: Setting) -> None:
    setting.primary.broken = OSError()
    setting.windows.acquire([HIT])
    setting.clock.now += 1
    reached, release, asked = threading.Event(), threading.Event(), []

    def hang(hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        asked.append(hits)
        reached.set()
        release.wait(20)
        raise OSError

    setting.primary.acquire = hang  # type: ignore[method-assign]
    waiting = threading.Thread(target=setting.windows.acquire, args=([HIT],))
    waiting.start()
    assert reached.wait(10)
    setting.clock.now += 5
    assert setting.windows.acquire([HIT])[0]
    release.set()
    assert len(asked) == 1
    waiting.join(10)


def test_many_failures_at_once_are_one_line(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        if not nested:  # another request, while this one waits
            nested.append(hits)
            setting.windows.acquire(hits)
        raise OSError

    nested: list[Sequence[Hit]] = []
    setting.primary.acquire = fail  # type: ignore[method-assign]
    setting.windows.acquire([HIT])
    assert len(caplog.records) == 1
    assert setting.counted == 2


def test_clear_clears_both(setting: Setting) -> None:
    setting.windows.acquire([HIT])
    setting.local.acquire([HIT])
    setting.windows.clear(HIT)
    assert setting.left() == (5, 5)
