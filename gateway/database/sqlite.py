"""SQLite for many processes and greenlets: a log of changes, and waits that let others work.

SQLite waits for a lock in C, where a gevent worker stands still as a whole. So it hardly waits by
itself, and what has to wait sleeps here.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from gateway.database.errors import DatabaseError, SchemaError

#: Milliseconds for which SQLite itself waits for a lock; reading hardly ever needs one.
_BUSY = 20
_PAUSE = 0.005


def sqlite_engine(
    path: Path, *, create: bool, durable: bool, patience: float, pool: dict[str, Any]
) -> Engine:
    """An engine for a file. create: make the file if it is not there, for its owner alone.

    durable: a change is on the disk before it counts as made; otherwise the last ones may be lost
    when the machine fails, but not when a process does. patience: seconds to wait for a lock.
    """

    def connect() -> sqlite3.Connection:
        if create:
            _make(path)
        elif not path.exists():
            raise SchemaError(
                f"{path} is not there: run `flask gateway db upgrade`", "tables missing"
            )
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw",
            uri=True,
            timeout=_BUSY / 1000,
            isolation_level=None,  # transactions are begun below
            check_same_thread=False,
        )
        if create:
            _execute(connection, "PRAGMA journal_mode = WAL", patience)
        level = "FULL" if durable else "NORMAL"
        _execute(connection, f"PRAGMA synchronous = {level}", patience)
        return connection

    engine = create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, hide_parameters=True, **pool
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        raw: Any = connection.connection.dbapi_connection
        if connection.get_execution_options().get("changes"):
            # At once, as a transaction that read first cannot wait for the lock later.
            _execute(raw, "BEGIN IMMEDIATE", patience)
        else:
            # Reading needs a lock where another process opens or closes the file just now.
            _execute(raw, "BEGIN", patience)
            _execute(raw, "SELECT 1 FROM sqlite_schema LIMIT 1", patience)

    return engine


def _execute(connection: sqlite3.Connection, statement: str, patience: float) -> None:
    """Execute what needs the lock, when it is free."""
    end = time.monotonic() + patience
    while True:
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise DatabaseError(str(error)) from None
            if time.monotonic() > end:
                raise DatabaseError("the file stayed locked by others") from None
        time.sleep(_PAUSE)


def _make(path: Path) -> None:
    """SQLite gives its further files the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
