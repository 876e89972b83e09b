"""Quotas: how much an identity may use in a day or a month of the calendar, in UTC.

Counted in the store of the limits, together with them, and written behind to the database. A
counter that the store lost, as with its machine, goes on from what the database knows.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, Protocol

from gateway.rate_limiting.windows import Hit, OnFailure, Window, Windows

log = logging.getLogger("gateway.rate_limiting")

# A scope that no service could have.
_SCOPE = "*quota"
# Counters that a worker knows to be complete; the first is forgotten for one more.
_MOST = 10_000
# Seconds in which a database that failed is not asked again.
_PAUSE = 5.0
_LOCKS = 16
# No limit at all. Redis counts in floating point.
_ANY = 2**52

Kind = Literal["day", "month"]


class Ledger(Protocol):
    """What was used, in the database: gateway.database.usage.UsageLedger."""

    def add(self, name: str, period: str, amount: int) -> None:
        """Count; written behind."""
        ...

    def spent(self, name: str, period: str) -> int:
        """What was counted; any error when it cannot be told."""
        ...


@dataclass(frozen=True, slots=True)
class Quota:
    """So many requests in each `kind` of period."""

    plan: str
    limit: int
    kind: Kind
    on_failure: OnFailure = "local"

    @property
    def message(self) -> str:
        """What a client is told that used it up."""
        return f"The quota of plan {self.plan!r}, {self.limit} requests a {self.kind}, is used up."


@dataclass(frozen=True, slots=True)
class Period:
    """A day (`2026-11-21`) or month (`2026-11`), from `begins` until just before `ends`."""

    name: str
    begins: float
    ends: float

    @property
    def seconds(self) -> int:
        """How long it is."""
        return round(self.ends - self.begins)


def quotas_of(plan: str, text: str, on_failure: OnFailure = "local") -> tuple[Quota, ...]:
    """The quotas that PlanFields.quota lists."""
    found = []
    for one in filter(None, text.split(";")):
        amount, _, kind = one.partition("/")
        found.append(Quota(plan, int(amount), "day" if kind == "day" else "month", on_failure))
    return tuple(found)


def period_of(kind: Kind, now: float) -> Period:
    """The day or month that a moment is in."""
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if kind == "day":
        begins = today.timestamp()
        return Period(today.strftime("%Y-%m-%d"), begins, begins + 86400)
    first = today.replace(day=1)
    later = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return Period(first.strftime("%Y-%m"), first.timestamp(), later.timestamp())


@lru_cache(maxsize=_MOST)
def ledger_name(key: str) -> str:
    """The name in the database of whom `kind:subject` names: a hash, since subjects can be
    personal and of any length. Whoever knows a subject can find its row, nobody else its name."""
    return "quota:" + hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


class Quotas:
    """The quotas of one application, counted in `windows`.

    ledger: what the database knows of them; None where there is none. Each worker remembers up to
    10 000 counters that it knows to be complete.
    """

    def __init__(
        self,
        windows: Windows,
        ledger: Ledger | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._windows = windows
        self.ledger = ledger
        self._clock = clock
        self._monotonic = monotonic
        self._periods: dict[Kind, Period] = {}
        self._complete: dict[str, Hit] = {}
        self._keeping = threading.Lock()
        self._locks = [threading.Lock() for _ in range(_LOCKS)]
        self._away_until: float | None = None

    def hits(self, quotas: Sequence[Quota], key: str) -> list[Hit]:
        """What to count for a request of `key`; counters that the store lost are restored."""
        hits = []
        for quota in quotas:
            period = self._period(quota.kind)
            # Neither plan nor limit are in it: with another plan, what was used stays used.
            name = f"{key}|{_SCOPE}|{period.name}"
            hit = self._complete.get(name)
            if hit is None or (hit.limit, hit.on_failure) != (quota.limit, quota.on_failure):
                hit = Hit(
                    name, quota.limit, period.seconds, ends=period.ends, on_failure=quota.on_failure
                )
                self._restore(hit, key)
            hits.append(hit)
        return hits

    def counted(self, hits: Sequence[Hit], windows: Sequence[Window], key: str) -> None:
        """Note in the database what the store has counted."""
        ledger = self.ledger
        if ledger is None:
            return
        for hit, window in zip(hits, windows, strict=True):
            if window.remaining == hit.limit - hit.cost:
                # The first that this store has counted: either a period began, or it lost some.
                self._forget(hit)
                self._restore(hit, key, own=hit.cost)
            ledger.add(ledger_name(key), _period_name(hit), hit.cost)

    def _period(self, kind: Kind) -> Period:
        now = self._clock()
        period = self._periods.get(kind)
        if period is None or not period.begins <= now < period.ends:
            period = self._periods[kind] = period_of(kind, now)
        return period

    def _restore(self, hit: Hit, key: str, own: int = 0) -> None:
        """Make sure that a counter has what the database knows, `own` left aside."""
        ledger = self.ledger
        if ledger is None or hit.key in self._complete:
            self._keep(hit)
            return
        away = self._away_until
        if away is not None and not self._may_try(away):
            return  # nor wait for who tries
        with self._locks[hash(hit.key) % _LOCKS]:
            if away is None and self._away_until is not None:
                return  # it failed while this one waited
            if hit.key not in self._complete:
                try:
                    asked = self._complement(hit, key, ledger, own)
                except Exception as error:  # noqa: BLE001  whatever fails, the store counts
                    self._failed(error)
                    return
                if away is not None:
                    self._tried(away, works=asked)
            self._keep(hit)

    def _may_try(self, away: float) -> bool:
        """Whether a database that is away may be asked: by one request, the others go on."""
        with self._keeping:
            now = self._monotonic()
            if self._away_until != away or now < away:
                return False
            self._away_until = now + _PAUSE
            return True

    def _tried(self, away: float, *, works: bool) -> None:
        with self._keeping:
            self._away_until = None if works else away  # the next one tries
        if works:
            log.warning("quotas are read from the database again")

    def _failed(self, error: Exception) -> None:
        with self._keeping:
            first = self._away_until is None
            self._away_until = self._monotonic() + _PAUSE
        if first:
            log.warning(
                "quotas cannot be read from the database (%s): the store alone counts",
                type(error).__name__,
            )

    def _complement(self, hit: Hit, key: str, ledger: Ledger, own: int) -> bool:
        """Returns whether the database had to be asked."""
        # Who counts this one restores the counter. It is lost together with it, or before: a
        # crowded store forgets what ends first.
        gate = Hit(f"{hit.key}|restored", 1, hit.seconds, ends=(hit.ends or 0.0) - 1)
        counter = replace(hit, limit=_ANY, cost=0, on_failure="local")
        _, [unrestored, known] = self._windows.acquire([replace(gate, cost=0), counter])
        if not unrestored.remaining:
            return False
        spent = ledger.spent(ledger_name(key), _period_name(hit))
        missing = spent - (_ANY - known.remaining - own)
        added = [replace(counter, cost=missing, forced=True)] if missing > 0 else []
        self._windows.acquire([gate, *added])  # all or none: once
        return True

    def _keep(self, hit: Hit) -> None:
        with self._keeping:
            self._complete[hit.key] = hit
            if len(self._complete) > _MOST:
                del self._complete[next(iter(self._complete))]

    def _forget(self, hit: Hit) -> None:
        with self._keeping:
            self._complete.pop(hit.key, None)


def _period_name(hit: Hit) -> str:
    """The name of the period, which a counter's ends with."""
    return hit.key.rpartition("|")[2]
