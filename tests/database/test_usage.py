"""What was used: nothing is lost, nothing is written twice, and counting waits for nobody."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from gateway.database import DatabaseError
from gateway.database.engine import Database
from gateway.database.tables import usage, usage_writers
from gateway.database.usage import UsageLedger
from tests.support.gunicorn import wait_for


class Trouble:
    """A database that can be had to fail, before a change or after it was made."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.before = self.after = False
        self.status = "ready"
        self.read = database.read

    def write(self) -> AbstractContextManager[Connection]:
        """See Database.write."""
        return self._write()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        if self.before:
            raise DatabaseError("gone")
        with self._database.write() as connection:
            yield connection
        if self.after:
            raise DatabaseError("the answer got lost")


def test_it_adds_up(database: Database) -> None:
    ledger, other = UsageLedger(database), UsageLedger(database)
    for one in (ledger, other):
        one.add("ada", "2026-11-21", 2)
        one.add("ada", "2026-11-21")
        one.add("ada", "2026-11")
        one.add("ada")
        one.add("bob", amount=7)
    assert ledger.spent("ada") == 0
    for one in (ledger, other, ledger, other):
        one.flush()
    found = [ledger.spent("ada", period) for period in ("2026-11-21", "2026-11", "", "2026-11-22")]
    assert found == [6, 2, 2, 0]
    assert (ledger.spent("bob"), ledger.spent("eve")) == (14, 0)


def test_more_than_one_statement_holds(database: Database) -> None:
    ledger = UsageLedger(database)
    for number in range(1234):
        ledger.add(f"name {number}", "2026-11-21", number)
    ledger.flush()
    with database.read() as connection:
        total = connection.execute(select(func.sum(usage.c.amount))).scalar_one()
    assert total == sum(range(1234))


def test_when_it_was_last_used(database: Database) -> None:
    times = iter([1000.0, 1000.9, 1999.0, 2000.9])  # two for each batch
    ledger = UsageLedger(database, wall=lambda: next(times))
    for _ in range(2):
        ledger.add("ada")
        ledger.flush()
    with database.read() as connection:
        assert connection.execute(select(usage.c.updated)).scalar_one() == 2000


def test_many_threads_lose_nothing(database: Database) -> None:
    ledger = UsageLedger(database)

    def add() -> None:
        for _ in range(20_000):
            ledger.add("ada")

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        ledger.flush()
    ledger.flush()
    assert ledger.spent("ada") == 80_000


def test_kept_while_the_database_is_away(database: Database) -> None:
    trouble: Any = Trouble(database)
    ledger = UsageLedger(trouble)
    trouble.before = True
    for _ in range(3):
        ledger.add("ada")
        with pytest.raises(DatabaseError):
            ledger.flush()
    trouble.before = False
    ledger.add("ada")
    ledger.flush()
    ledger.flush()
    assert ledger.spent("ada") == 4


def test_a_batch_whose_answer_got_lost_is_not_added_twice(database: Database) -> None:
    trouble: Any = Trouble(database)
    ledger = UsageLedger(trouble)
    trouble.after = True
    for _ in range(3):  # the first of them is written
        ledger.add("ada")
        with pytest.raises(DatabaseError):
            ledger.flush()
    trouble.after = False
    ledger.flush()
    ledger.flush()
    assert ledger.spent("ada") == 3


def test_no_more_is_kept_than_may_be(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    ledger = UsageLedger(database, most=2)
    for name in ("ada", "bob", "eve", "ada", "eve"):
        ledger.add(name)
    ledger.flush()
    assert [ledger.spent(name) for name in ("ada", "bob", "eve")] == [2, 1, 0]
    assert [one.getMessage() for one in caplog.records] == [
        "usage: too many counts wait for the database, new ones are lost"
    ]
    ledger.add("eve")
    ledger.flush()
    assert ledger.spent("eve") == 1


def test_writers_that_are_gone_are_forgotten(database: Database) -> None:
    for now in (1000, 5000, 90_000):
        ledger = UsageLedger(database, wall=lambda now=now: now)  # type: ignore[misc]
        ledger.add("ada")
        ledger.flush()
    with database.read() as connection:
        left = connection.execute(select(usage_writers.c.updated)).scalars().all()
    assert sorted(left) == [5000, 90_000]


def test_a_thread_writes_behind(database: Database) -> None:
    ledger = UsageLedger(database, interval=0.05)
    ledger.begin()
    ledger.begin()
    ledger.add("ada", amount=3)
    assert wait_for(lambda: ledger.spent("ada") == 3)
    ledger.add("ada")
    ledger.close()
    assert ledger.spent("ada") == 4


def test_the_end_writes_the_rest_at_once(database: Database) -> None:
    ledger = UsageLedger(database, interval=3600)
    ledger.begin()
    assert wait_for(lambda: database.status == "ready")  # it looked, with nothing to write
    ledger.add("ada")
    ledger.close()
    assert ledger.spent("ada") == 1


def test_what_cannot_be_written_in_the_end_is_said(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    trouble: Any = Trouble(database)
    trouble.before = True
    ledger = UsageLedger(trouble, interval=3600)
    ledger.begin()
    ledger.add("ada", amount=3)
    ledger.add("ada", "2026-11-21", 4)
    ledger.close()
    told = "usage: 7 in 2 counts could not be written and are lost"
    assert caplog.records[-1].getMessage() == told


def test_a_child_does_not_write_its_parents_counts(database: Database) -> None:
    trouble: Any = Trouble(database)
    trouble.before = True
    ledger = UsageLedger(trouble, interval=3600)
    ledger.begin()
    ledger.add("ada")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            trouble.before = False
            ledger.begin()
            ledger.add("bob")
            ledger.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert (ledger.spent("ada"), ledger.spent("bob")) == (0, 1)
    trouble.before = False
    ledger.close()
    assert ledger.spent("ada") == 1
