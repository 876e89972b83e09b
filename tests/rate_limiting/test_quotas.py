"""Quotas: their periods, their counters, and what the database makes good."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from gateway.rate_limiting.memory import MemoryWindows
from gateway.rate_limiting.quotas import Quota, Quotas, ledger_name, period_of, quotas_of
from gateway.rate_limiting.windows import Hit, Window
from tests.rate_limiting.shifted import Store

KEY = "user:ada"
DAY = Quota("free", 10, "day")
MONTH = Quota("free", 100, "month")


def at(text: str) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class Clock:
    """A clock that is set."""

    def __init__(self, now: str = "2026-11-21T12:00:00") -> None:
        self.now = at(now)

    def __call__(self) -> float:
        return self.now


class StubLedger:
    """What a database knows; `broken` while it cannot be asked."""

    def __init__(self, **known: int) -> None:
        self.known: Counter[tuple[str, str]] = Counter()
        self.asked = 0
        self.broken = False
        for period, amount in known.items():
            self.known[ledger_name(KEY), period.strip("_").replace("_", "-")] = amount
        self.before: Callable[[], object] = lambda: None

    def add(self, name: str, period: str, amount: int) -> None:
        """Written at once, as it were."""
        self.known[name, period] += amount

    def spent(self, name: str, period: str) -> int:
        """What it knows."""
        self.asked += 1
        known = self.known[name, period]
        self.before()
        if self.broken:
            raise RuntimeError("no database")
        return known


class Worker:
    """One worker's quotas."""

    def __init__(
        self, windows: MemoryWindows, ledger: StubLedger | None, clock: Clock, *quotas: Quota
    ) -> None:
        self.quotas = Quotas(windows, ledger, clock=clock, monotonic=clock)
        self.windows = windows
        self.of = quotas or (DAY,)

    def request(self, key: str = KEY) -> list[int] | None:
        """What remains of each quota after a request; None if it was refused."""
        hits = self.quotas.hits(self.of, key)
        allowed, windows = self.windows.acquire(hits)
        if not allowed:
            return None
        self.quotas.counted(hits, windows, key)
        return [window.remaining for window in windows]

    def allowed(self, times: int) -> int:
        """How many of so many requests pass."""
        return sum(self.request() is not None for _ in range(times))


def worker(ledger: StubLedger | None = None, *quotas: Quota, clock: Clock | None = None) -> Worker:
    """A worker with an empty store of its own."""
    clock = clock or Clock()
    return Worker(MemoryWindows(clock), ledger, clock, *quotas)


@pytest.mark.parametrize(
    ("kind", "now", "name", "begins", "ends"),
    [
        ("day", "2026-11-21T00:00:00", "2026-11-21", "2026-11-21", "2026-11-22"),
        ("day", "2026-11-21T23:59:59.999", "2026-11-21", "2026-11-21", "2026-11-22"),
        ("day", "2026-12-31T12:00:00", "2026-12-31", "2026-12-31", "2027-01-01"),
        ("day", "2028-02-29T12:00:00", "2028-02-29", "2028-02-29", "2028-03-01"),
        ("month", "2026-11-30T23:59:59", "2026-11", "2026-11-01", "2026-12-01"),
        ("month", "2026-12-01T00:00:00", "2026-12", "2026-12-01", "2027-01-01"),
        ("month", "2026-01-31T12:00:00", "2026-01", "2026-01-01", "2026-02-01"),
        ("month", "2028-02-29T12:00:00", "2028-02", "2028-02-01", "2028-03-01"),
    ],
)
def test_periods_are_the_calendars(kind: str, now: str, name: str, begins: str, ends: str) -> None:
    found = period_of("day" if kind == "day" else "month", at(now))
    assert (found.name, found.begins, found.ends) == (name, at(begins), at(ends))


def test_quotas_are_read_as_declared() -> None:
    assert quotas_of("free", "10/day;100/month") == (DAY, MONTH)
    assert quotas_of("free", "") == ()


def test_used_up_until_the_period_ends() -> None:
    clock = Clock("2026-11-30T23:59:58")
    asked = worker(None, DAY, MONTH, clock=clock)
    assert asked.request() == [9, 99]
    assert asked.allowed(20) == 9
    (hit, _) = asked.quotas.hits(asked.of, KEY)
    window = asked.windows.peek(hit)
    assert (window.reset, window.retry) == (2.0, 2.0)
    clock.now += 2
    assert asked.request() == [9, 99]


def test_a_day_that_ends_leaves_the_month() -> None:
    clock = Clock()
    asked = worker(None, DAY, MONTH, clock=clock)
    assert asked.allowed(20) == 10
    clock.now += 86400
    assert asked.request() == [9, 89]


def test_a_clock_set_back_finds_its_period_again() -> None:
    clock = Clock("2026-11-22T00:00:01")
    asked = worker(None, clock=clock)
    clock.now -= 3
    assert asked.allowed(20) == 10
    clock.now += 3
    assert asked.request() == [9]


def test_what_was_used_stays_used_with_another_plan() -> None:
    asked = worker()
    assert asked.allowed(10) == 10
    asked.of = (Quota("pro", 15, "day"),)
    assert asked.allowed(10) == 5


def test_each_has_its_own() -> None:
    asked = worker()
    assert asked.allowed(20) == 10
    assert asked.request("key:ada") == [9]


def test_no_subject_is_named_in_the_database() -> None:
    ledger = StubLedger()
    worker(ledger, DAY, MONTH).request("user:" + "ada@example.com" * 50)
    names = {name for name, _ in ledger.known}
    assert {period for _, period in ledger.known} == {"2026-11-21", "2026-11"}
    assert len(names) == 1
    assert not any("ada" in name or len(name) != len("quota:") + 32 for name in names)


# -- the database -----------------------------------------------------------------------------


def test_what_is_counted_is_noted() -> None:
    ledger = StubLedger()
    asked = worker(ledger, DAY)
    assert asked.allowed(15) == 10
    assert ledger.known[ledger_name(KEY), "2026-11-21"] == 10


def test_a_lost_store_goes_on_from_the_database() -> None:
    asked = worker(StubLedger(_2026_11_21=7, _2026_11=98), DAY, MONTH)
    assert asked.request() == [2, 1]
    assert asked.allowed(10) == 1


def test_more_than_the_quota_was_used_under_another() -> None:
    assert worker(StubLedger(_2026_11_21=500)).allowed(10) == 0


def test_the_database_is_asked_once_for_a_counter() -> None:
    ledger = StubLedger(_2026_11_21=3)
    clock = Clock()
    windows = MemoryWindows(clock)
    workers = [Worker(windows, ledger, clock) for _ in range(4)]
    assert sum(one.allowed(5) for one in workers) == 7
    assert ledger.asked == 1


def test_a_counter_that_is_there_is_not_counted_twice() -> None:
    """As after a graceful restart: the store is there, and the database knows the same."""
    ledger = StubLedger()
    clock = Clock()
    windows = MemoryWindows(clock)
    assert Worker(windows, ledger, clock).allowed(4) == 4
    assert Worker(windows, ledger, clock).allowed(20) == 6


def test_workers_that_meet_a_lost_counter_together_restore_it_once() -> None:
    ledger = StubLedger(_2026_11_21=6)
    clock = Clock()
    windows = MemoryWindows(clock)
    together = threading.Barrier(4)
    ledger.before = lambda: together.wait(30)  # all have asked before anyone restores
    found: list[list[int] | None] = []
    threads = [
        threading.Thread(target=lambda: found.append(Worker(windows, ledger, clock).request()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert ledger.asked == 4
    assert sorted(one or [-1] for one in found) == [[0], [1], [2], [3]]


def test_threads_of_a_worker_ask_once() -> None:
    ledger = StubLedger(_2026_11_21=6)
    asked = worker(ledger)
    waiting = threading.Event()
    ledger.before = lambda: waiting.wait(0.2)
    threads = [threading.Thread(target=asked.request) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert ledger.asked == 1
    assert ledger.known[ledger_name(KEY), "2026-11-21"] == 10


def test_a_store_lost_while_workers_run() -> None:
    """As when Redis is flushed: at most the requests just under way are too many."""
    ledger = StubLedger()
    asked = worker(ledger)
    assert asked.allowed(8) == 8
    asked.windows = asked.quotas._windows = MemoryWindows(Clock())
    assert asked.allowed(20) == 2
    assert ledger.known[ledger_name(KEY), "2026-11-21"] == 10


def test_a_database_that_is_away_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    ledger = StubLedger(_2026_11_21=6)
    ledger.broken = True
    clock = Clock()
    asked = worker(ledger, clock=clock)
    assert asked.allowed(2) == 2
    assert asked.request("user:bob") == [9]
    assert ledger.asked == 1  # not asked again for a while
    ledger.known[ledger_name(KEY), "2026-11-21"] = 6  # nothing was written meanwhile
    clock.now += 5
    assert asked.request() == [7]
    assert ledger.asked == 2
    assert [record.getMessage() for record in caplog.records] == [
        "quotas cannot be read from the database (RuntimeError): the store alone counts"
    ]
    ledger.broken = False
    clock.now += 5
    # The database knows 6 from before and 1 of the 3 in the store, so 4 were missing there.
    assert asked.request() == [2]
    assert [record.getMessage() for record in caplog.records][1:] == [
        "quotas are read from the database again"
    ]


def test_a_database_that_hangs_is_tried_by_one_request(caplog: pytest.LogCaptureFixture) -> None:
    """The others, of the same identity too, go on meanwhile."""
    ledger = StubLedger()
    clock = Clock()
    asked = worker(ledger, clock=clock)
    ledger.broken = True
    asked.request()
    clock.now += 5
    begun, over = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        over.wait(30)

    ledger.before = hang
    trying = threading.Thread(target=asked.request)
    others = [threading.Thread(target=asked.request, args=(f"user:{n}",)) for n in range(8)]
    others.append(threading.Thread(target=asked.request))
    trying.start()
    begun.wait(30)
    for thread in others:
        thread.start()
    for thread in others:
        thread.join(5)
    waiting = sum(thread.is_alive() for thread in others)
    over.set()
    for thread in [trying, *others]:
        thread.join(30)
    assert waiting == 0
    assert ledger.asked == 2
    assert len(caplog.records) == 1


def test_many_that_fail_together_complain_once(caplog: pytest.LogCaptureFixture) -> None:
    ledger = StubLedger()
    ledger.broken = True
    asked = worker(ledger)
    together = threading.Barrier(2)
    ledger.before = lambda: together.wait(30)
    # With locks of their own: the hash of a text is another one in each process.
    apart = {hash(f"user:{n}|*quota|2026-11-21") % 16: f"user:{n}" for n in range(99)}
    threads = [
        threading.Thread(target=asked.request, args=(key,)) for key in list(apart.values())[:2]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert ledger.asked == 2
    assert len(caplog.records) == 1


def test_a_counter_that_is_complete_tells_nothing_of_the_database(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger = StubLedger()
    clock = Clock()
    windows = MemoryWindows(clock)
    Worker(windows, ledger, clock).request()
    other = Worker(windows, ledger, clock)
    ledger.broken = True
    other.request("user:bob")
    clock.now += 5
    assert other.request() == [8]  # the first worker restored it
    other.request("user:eve")  # so this one tries
    assert ledger.asked == 3
    assert len(caplog.records) == 1


def test_what_is_remembered_is_bounded() -> None:
    asked = worker(StubLedger())
    for number in range(10_050):
        asked.request(f"user:{number}")
    assert len(asked.quotas._complete) == 10_000


def test_a_crowded_store_forgets_first_who_restores(monkeypatch: pytest.MonkeyPatch) -> None:
    """It forgets what ends next. Were the counter forgotten alone, nobody would restore it."""
    asked = worker(StubLedger(_2026_11_21=3))
    ends: dict[str, float] = {}
    acquire = asked.windows.acquire

    def noting(hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        ends.update((hit.key.rpartition("|")[2], hit.ends or 0) for hit in hits if hit.cost)
        return acquire(hits)

    monkeypatch.setattr(asked.windows, "acquire", noting)
    asked.request()
    assert ends["restored"] < ends["2026-11-21"] == at("2026-11-22")


def test_every_store_restores_once(store: Store) -> None:
    """The counter and who restores it are decided in one step, in each of the stores."""
    ends = at("2100-01-01T00:00:00")
    gate = Hit("restoring|gate", 1, 3600, ends=ends - 1)
    counter = Hit("restoring", 10, 3600, ends=ends)
    forced = Hit("restoring", 2**52, 3600, 7, ends=ends, forced=True)
    assert store.windows.acquire([gate, forced])[0]
    assert not store.windows.acquire([gate, forced])[0]
    looked = Hit("restoring", 2**52, 3600, 0, ends=ends)
    _, [window] = store.windows.acquire([looked])
    assert 2**52 - window.remaining == 7
    assert [store.windows.acquire([counter])[0] for _ in range(5)] == [True] * 3 + [False] * 2
