"""What was used, by name and period: counted by each worker, added up in the database."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select

from gateway.database.engine import Database
from gateway.database.errors import DatabaseError
from gateway.database.tables import usage, usage_writers
from gateway.database.upserting import inserting
from gateway.database.usage_sweep import UsageSweep

#: Seconds between two batches: what a worker that is killed can lose.
INTERVAL = 2.0
#: Most counts a worker keeps while the database is away: names times periods.
MOST = 100_000
# Counts written by one statement.
_ROWS = 200
# Seconds after which a worker that wrote nothing is taken for gone.
_GONE = 86_400
# Seconds for which the end of a worker waits for its last batch.
_FAREWELL = 6.0

Counts = dict[tuple[str, str], int]

log = logging.getLogger("gateway.database")


class UsageLedger:
    """Counts that are kept: `add` costs a look into memory, a thread of its own writes them.

    Each worker has one. What it added is in the database at most `interval` seconds later; at a
    graceful stop nothing is lost unless the database is away just then, at SIGKILL that interval.
    While the database is away counts are kept, of at most `most` names and periods, and written
    when it is back: each batch once, also when the answer to the first try got lost. sweep: has its
    turns between batches; None: nothing is ever taken away. wall: seconds since the epoch, for
    `updated`.
    """

    def __init__(
        self,
        database: Database,
        *,
        interval: float = INTERVAL,
        most: int = MOST,
        sweep: UsageSweep | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._interval = interval
        self._most = most
        self._sweep = sweep
        self._wall = wall
        self._owner = 0
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()  # around memory alone: nobody waits or asks inside it
        self._flushing = threading.Lock()
        self._pending: Counts = {}
        self._batch: Counts = {}  # being written, or to be written again as it is
        self._number = 0
        self._writer = os.urandom(16).hex()
        self._full = False
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, name: str, period: str = "", amount: int = 1) -> None:
        """Count. period: such as "2026-11-21", "2026-11", or empty for ever; 16 characters at
        most. Never waits for the database."""
        key = (name, period)
        with self._lock:
            pending = self._pending
            if key in pending:
                pending[key] += amount
            elif len(pending) < self._most:
                pending[key] = amount
            elif not self._full:
                self._full = True
                log.error("usage: too many counts wait for the database, new ones are lost")

    def spent(self, name: str, period: str = "") -> int:
        """How much the database knows of: all workers' batches, the last intervals not yet.
        Raises DatabaseError; asking again is safe."""
        query = select(usage.c.amount).where(usage.c.name == name, usage.c.period == period)
        with self._database.read() as connection:
            return connection.execute(query).scalar() or 0

    def begin(self) -> None:
        """Start writing, once in each process; it looks at the database's tables, too. Never
        waits, and costs nothing when it was called before."""
        if self._owner == os.getpid():
            return
        if self._owner:
            self._forget()  # the parent's counts are the parent's
        self._owner = os.getpid()
        self._thread = threading.Thread(target=self._run, name="gateway-usage", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is left and stop, within a few seconds."""
        if self._thread is not None and self._owner == os.getpid():
            self._over.set()
            self._thread.join(_FAREWELL)
            with self._lock:
                left = [*self._pending.values(), *self._batch.values()]
            if left:
                # A request counts in several: of a key and a quota, for the day and longer.
                log.error(
                    "usage: %d in %d counts could not be written and are lost", sum(left), len(left)
                )

    def flush(self) -> None:
        """Write what was counted so far. Raises DatabaseError: nothing is lost, the next call
        tries again."""
        with self._flushing:
            if not self._batch:
                with self._lock:
                    self._batch, self._pending, self._full = self._pending, {}, False
                if not self._batch:
                    return
                self._number += 1
            with self._database.write() as connection:
                if self._is_new(connection):
                    self._write(connection)
            self._batch = {}

    def _run(self) -> None:
        self._write_behind()
        while not self._over.wait(self._interval):
            self._write_behind()
            self._tidy()
        self._write_behind()  # what may have failed before,
        self._write_behind()  # and what came since

    def _write_behind(self) -> None:
        try:
            if self._database.status != "ready":
                self._database.check()
            self.flush()
        except DatabaseError:
            pass  # it is logged, and tried again
        except Exception:
            log.exception("usage could not be written")

    def _tidy(self) -> None:
        try:
            if self._sweep is not None and self._database.status == "ready":
                self._sweep.turn()
        except DatabaseError:
            pass  # it is logged, and tried again
        except Exception:
            log.exception("usage of the past could not be taken away")

    def _is_new(self, connection: Connection) -> bool:
        """Whether this batch was not written before. Noted with it, in one transaction."""
        now = int(self._wall())
        if self._number == 1:
            gone = usage_writers.c.updated < now - _GONE
            connection.execute(delete(usage_writers).where(gone))
        row = {"id": self._writer, "batch": self._number, "updated": now}
        statement: Any = inserting(connection)(usage_writers).values(row)
        statement = statement.on_conflict_do_update(
            index_elements=["id"],
            set_={"batch": self._number, "updated": now},
            where=usage_writers.c.batch < self._number,
        )
        return connection.execute(statement.returning(usage_writers.c.id)).first() is not None

    def _write(self, connection: Connection) -> None:
        now = int(self._wall())
        # In order: two workers that wait for each other's rows would never end.
        rows = [
            {"name": name, "period": period, "amount": amount, "updated": now}
            for (name, period), amount in sorted(self._batch.items())
        ]
        for at in range(0, len(rows), _ROWS):
            connection.execute(_added(connection, rows[at : at + _ROWS]))


def _added(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Any:
    statement = inserting(connection)(usage).values(rows)
    return statement.on_conflict_do_update(
        index_elements=["name", "period"],
        set_={
            "amount": usage.c.amount + statement.excluded.amount,
            "updated": statement.excluded.updated,
        },
    )
