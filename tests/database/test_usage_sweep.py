"""Usage of days and months that are long over is taken away, once, by whoever is first."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from gateway.database import DatabaseError
from gateway.database.engine import Database
from gateway.database.opening import open_records
from gateway.database.tables import usage
from gateway.database.usage import UsageLedger
from gateway.database.usage_sweep import UsageSweep
from gateway.pulse import Pulse
from gateway.state import MemoryState
from tests.support.gunicorn import wait_for
from tests.support.wsgi import make_settings

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
DAY, SIX_HOURS = 86_400, 21_600


class Clock:
    """A wall and a monotonic clock that are set by hand."""

    def __init__(self) -> None:
        self.passed = 0.0

    def wall(self) -> float:
        """Seconds since the epoch."""
        return NOW + self.passed

    def monotonic(self) -> float:
        """Seconds since the start."""
        return 7.0 + self.passed


def add(database: Database, *rows: tuple[str, str]) -> None:
    ledger = UsageLedger(database)
    for name, period in rows:
        ledger.add(name, period)
    ledger.flush()


def left(database: Database) -> set[tuple[str, str]]:
    with database.read() as connection:
        return {
            (row[0], row[1]) for row in connection.execute(select(usage.c.name, usage.c.period))
        }


def sweep(database: Database, clock: Clock, days: int = 30) -> UsageSweep:
    return UsageSweep(database, days, wall=clock.wall, clock=clock.monotonic)


def test_whole_months_that_are_over_for_so_long_go(database: Database) -> None:
    stays = {
        ("ada", ""),  # for ever
        ("ada", "2026-11-21"),
        ("ada", "2026-11"),
        ("ada", "2026-10-01"),  # its month was not over 30 days ago
        ("ada", "2026-10"),
    }
    goes = {("ada", "2026-09-30"), ("ada", "2026-09"), ("bob", "2025-12-31"), ("bob", "2025-12")}
    add(database, *stays, *goes)
    assert sweep(database, Clock()).turn() == 4
    assert left(database) == stays


@pytest.mark.parametrize("days", [1, 20])
def test_this_month_is_never_over(database: Database, days: int) -> None:
    add(database, ("ada", "2026-11-01"), ("ada", "2026-11"))
    assert sweep(database, Clock(), days).turn() == 0


def test_one_of_all_workers_sweeps_and_not_all_the_time(database: Database) -> None:
    clock = Clock()
    first, second = sweep(database, clock), sweep(database, clock)
    add(database, ("ada", "2025-01"))
    assert first.turn() == 1
    add(database, ("ada", "2025-01"))
    assert (first.turn(), second.turn()) == (0, 0)
    clock.passed = SIX_HOURS - 1
    assert (first.turn(), second.turn(), sweep(database, clock).turn()) == (0, 0, 0)
    clock.passed = SIX_HOURS
    assert sorted([second.turn(), first.turn()]) == [0, 1]
    add(database, ("ada", "2025-01"))
    clock.passed = -DAY  # set back: nobody waits for that time to come again
    assert sweep(database, clock).turn() == 1


def test_much_goes_in_steps_between_which_others_have_their_turn(database: Database) -> None:
    add(database, *((f"name {number}", "2025-01-01") for number in range(1100)))
    clock = Clock()
    swept = sweep(database, clock)
    assert [swept.turn() for _ in range(4)] == [500, 500, 100, 0]
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(usage)).scalar_one() == 0


def test_what_failed_is_tried_again_a_minute_later(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: UsageSweep) -> int:
        raise DatabaseError("away")

    clock = Clock()
    swept = sweep(database, clock)
    add(database, ("ada", "2025-01"))
    with monkeypatch.context() as patch:
        patch.setattr(UsageSweep, "_step", away)
        with pytest.raises(DatabaseError):
            swept.turn()
        assert swept.turn() == 0
    clock.passed = 60
    assert swept.turn() == 1


def test_the_ledger_gives_it_its_turns(database: Database) -> None:
    add(database, ("ada", "2025-01"), ("ada", ""))
    swept = sweep(database, Clock())
    ledger = UsageLedger(database, interval=0.01, sweep=swept)
    ledger.begin()
    try:
        wait_for(lambda: left(database) == {("ada", "")})
    finally:
        ledger.close()


@pytest.mark.parametrize(("days", "kept"), [(400, False), (0, True)])
def test_the_setting(database_url: str, days: int, kept: bool) -> None:
    settings = make_settings(DATABASE_URL=database_url, API_KEYS=True, USAGE_DAYS=days)
    records = open_records(settings, Pulse(MemoryState()))
    assert records is not None
    assert (records.usage._sweep is None) is kept
    records.close()
