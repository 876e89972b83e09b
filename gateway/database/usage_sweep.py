"""What was used in days and months that are long over, taken out of the database again."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import delete, select, tuple_

from gateway.database.engine import Database
from gateway.database.tables import usage, usage_writers
from gateway.database.upserting import inserting

# Seconds between two sweeps, whoever makes them, and after one that failed.
_EVERY, _PAUSE = 21_600, 60
# Rows that one step takes away at the most.
_CHUNK = 500
# Which row of the writers says when it was begun last. No writer is called so.
_MARK = "sweep"
_DAY = 86_400


class UsageSweep:
    """Takes away what was counted for days and months of which the whole month was over so many
    days ago; what is counted for ever stays. Every worker has one, of any number of machines: the
    database says whose turn it is, and each sweep is made once. wall: seconds since the epoch.
    """

    def __init__(
        self,
        database: Database,
        days: int,
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._days = days
        self._wall = wall
        self._clock = clock
        self._again = clock()
        self._sweeping = False

    def turn(self) -> int:
        """A step of a sweep, if it is time; returns how many rows it took away. Costs nothing
        otherwise. Raises DatabaseError: a later turn goes on."""
        now = self._clock()
        if now < self._again:
            return 0
        self._again = now + _PAUSE
        self._sweeping = self._sweeping or self._begun()
        gone = self._step() if self._sweeping else 0
        self._sweeping = gone == _CHUNK
        self._again = now if self._sweeping else now + _EVERY
        return gone

    def _begun(self) -> bool:
        """Whether this sweep is ours to make: nobody else has begun it."""
        now = int(self._wall())
        row = {"id": _MARK, "batch": 0, "updated": now}
        with self._database.write() as connection:
            statement = inserting(connection)(usage_writers).values(row)
            statement = statement.on_conflict_do_update(
                index_elements=["id"],
                set_={"updated": now},
                where=~usage_writers.c.updated.between(now - _EVERY + 1, now),
            )
            found = connection.execute(statement.returning(usage_writers.c.id)).first()
        return found is not None

    def _step(self) -> int:
        month = datetime.fromtimestamp(self._wall() - self._days * _DAY, UTC).strftime("%Y-%m")
        key = usage.c.name, usage.c.period
        old = select(*key).where(usage.c.period != "", usage.c.period < month).limit(_CHUNK)
        with self._database.write() as connection:
            # Who comes twice to the same rows, after a pause, does not wait for them.
            rows = connection.execute(old.with_for_update(skip_locked=True)).all()
            if rows:
                connection.execute(delete(usage).where(tuple_(*key).in_(rows)))
        return len(rows)
