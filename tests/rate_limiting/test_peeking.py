"""Limits looked at from beside: what a request would find, and nothing counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.plan_fields import PlanFields
from gateway.rate_limiting.context import LimitContext
from gateway.rate_limiting.exemptions import Exemptions
from gateway.rate_limiting.memory import MemoryWindows
from gateway.rate_limiting.peeking import PeekedWindows, peeked
from gateway.rate_limiting.plans import Plans
from gateway.rate_limiting.quotas import Quota, Quotas, ledger_name, period_of
from gateway.rate_limiting.windows import Hit, StoreUnavailable, Window
from tests.rate_limiting.shifted import Clock, Store
from tests.support.wsgi import make_settings

HITS = {
    "window": Hit("w", 3, 60),
    "bucket": Hit("b", 3, 60, burst=2),
    "paced": Hit("p", 3, 60, burst=2, paced=True),
}


@pytest.mark.parametrize("kind", HITS)
def test_nothing_is_counted(store: Store, key: str, kind: str) -> None:
    hit = replace(HITS[kind], key=key)
    windows = PeekedWindows(store.windows)
    for left in (3, 2, 1):
        for _ in range(3):
            allowed, [window] = windows.acquire([hit])
            assert (allowed, window.remaining, window.wait) == (True, left, 0)
        assert store.windows.acquire([hit])[0]
    for _ in range(3):
        allowed, [window] = windows.acquire([hit])
        assert (allowed, window.remaining, window.retry > 0) == (False, 0, True)
    # A dry one refuses nothing.
    assert windows.acquire([replace(hit, dry=True)])[0]
    assert not windows.failed


class Broken(MemoryWindows):
    """A store that cannot be read."""

    def peek(self, hit: Hit) -> Window:
        """See Windows.peek."""
        raise ConnectionError("gone")


def test_a_store_that_cannot_be_read() -> None:
    windows = PeekedWindows(Broken())
    hit = Hit("k", 3, 60)
    allowed, [window] = windows.acquire([hit])
    assert (allowed, window.remaining, windows.failed) == (True, 3, True)
    with pytest.raises(StoreUnavailable):
        windows.acquire([replace(hit, on_failure="closed")])
    assert windows.acquire([replace(hit, on_failure="closed", dry=True)])[0]


class Ledger:
    """What a database knows of today; who counts fails."""

    def __init__(self, spent: int, day: str) -> None:
        self._known = (ledger_name("user:ada"), day), spent

    def add(self, name: str, period: str, amount: int) -> None:
        """See Ledger.add."""
        raise AssertionError("something was counted")

    def spent(self, name: str, period: str) -> int:
        """See Ledger.spent."""
        known, spent = self._known
        return spent if (name, period) == known else 0


def test_what_a_quota_would_restore_is_known_and_not_written() -> None:
    clock = Clock()
    store = MemoryWindows(clock)
    ledger = Ledger(7, period_of("day", clock.now).name)
    context = LimitContext(
        make_settings(),
        store,
        Plans({"free": PlanFields(quota="10/day")}),
        Quotas(store, ledger, clock=clock),
        Exemptions(),
    )
    quota = Quota("free", 10, "day")
    looked, windows = peeked(context)
    looked.quotas._clock = clock  # of the same day
    (hit,) = looked.quotas.hits([quota], "user:ada")
    for _ in range(3):
        allowed, [window] = windows.acquire([hit])
        looked.quotas.counted([hit], [window], "user:ada")
        assert (allowed, window.remaining) == (True, 3)
    assert not windows.acquire([replace(hit, cost=4)])[0]
    assert store.peek(hit).remaining == 10
