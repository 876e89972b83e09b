"""Limits as a request would find them now, looked at from beside: nothing is counted.

Whoever explains what would happen to a request decides with the same rules, plans and stores as the
request, in a LimitContext whose windows only look.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from gateway.rate_limiting.context import LimitContext
from gateway.rate_limiting.quotas import Quotas
from gateway.rate_limiting.windows import (
    Hit,
    StoreUnavailable,
    Window,
    Windows,
    name_of,
    refused,
    untouched,
)


class PeekedWindows:
    """Decides as `windows` would, and counts nothing.

    What a quota would restore out of the database first is remembered here, and taken from what
    the store finds. failed: whether the store could not be read; what is found then is as if
    nothing had been counted.
    """

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._restored: dict[str, int] = {}
        self.failed = False

    def acquire(self, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        """See Windows.acquire. Raises StoreUnavailable."""
        found = [self.peek(hit) for hit in hits]
        if self.failed and any(h.on_failure == "closed" and not (h.dry or h.forced) for h in hits):
            raise StoreUnavailable(1.0)
        for hit in hits:
            if hit.forced and hit.ends is not None:
                name = name_of(hit)
                self._restored[name] = self._restored.get(name, 0) + hit.cost
        return not refused(hits, found), found

    def peek(self, hit: Hit) -> Window:
        """See Windows.peek."""
        restored = self._restored.get(name_of(hit), 0)
        try:
            window = self._windows.peek(replace(hit, cost=hit.cost + restored))
        except Exception:  # noqa: BLE001  whatever its driver raises
            self.failed = True
            return untouched(hit, time.time())
        if not restored:
            return window
        return replace(window, remaining=max(window.remaining - restored, 0))

    def clear(self, hit: Hit) -> None:
        """Nothing is forgotten."""

    def check(self) -> bool:
        """Whether the store answers."""
        return self._windows.check()


class _PeekedQuotas(Quotas):
    def counted(self, hits: Sequence[Hit], windows: Sequence[Window], key: str) -> None:
        """Nothing is."""


def peeked(context: LimitContext) -> tuple[LimitContext, PeekedWindows]:
    """The same limits, which count nothing; and their windows."""
    windows = PeekedWindows(context.windows)
    # Of quotas that the store lost, the database is asked what it knows.
    quotas = _PeekedQuotas(windows, context.quotas.ledger)
    return replace(context, windows=windows, quotas=quotas), windows
