"""The database as a process uses it: opened at first use, with few connections and short waits."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gateway.database.address import parse_url, sqlite_file
from gateway.database.errors import DatabaseError, SchemaError
from gateway.database.tables import SCHEMA, VERSION_TABLE

#: Seconds that one statement may take.
PATIENCE = 2.0
# One connection stays open, two more come and go; who waits longer for one is refused.
_POOL: dict[str, Any] = {"pool_size": 1, "max_overflow": 2, "pool_timeout": 1.0}
# Seconds until tables that were not right are looked at again.
_LOOK = 1.0
_UPGRADE = "run `flask gateway db upgrade`"

log = logging.getLogger("gateway.database")


class Database:
    """One database, for all threads of a process; each process opens it anew after a fork.

    url: as DATABASE_URL. durable: see `sqlite_engine`. clock: monotonic seconds. Raises ValueError
    for a wrong URL; connects to nothing by itself.

    `read` and `write` give a connection inside a transaction, which is committed with the block
    unless it raises. Whatever the database does not do becomes DatabaseError; the first failure
    and the first success after it are logged.
    """

    def __init__(
        self,
        url: str,
        *,
        durable: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = parse_url(url)
        self._durable = durable
        self._clock = clock
        self._opening = threading.Lock()
        self._engine: Engine | None = None
        self._owner = 0
        self._forget()

    def __repr__(self) -> str:
        return f"Database({self._url.render_as_string()!r})"  # the password is left out

    @property
    def status(self) -> str:
        """As this worker last saw it: `unknown` before the first use, `ready`, `unavailable`, or
        SchemaError.status."""
        return self._status

    def read(self) -> AbstractContextManager[Connection]:
        """A context manager: a connection to read by. Raises DatabaseError, SchemaError."""
        return self._transaction(changes=False)

    def write(self) -> AbstractContextManager[Connection]:
        """A context manager: a connection to change by. Raises DatabaseError, SchemaError."""
        return self._transaction(changes=True)

    def check(self) -> None:
        """Whether it answers and has the right tables. Raises DatabaseError, SchemaError."""
        with self.read() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close all connections; a later use opens new ones."""
        with self._opening:
            engine, self._engine = self._engine, None
        if engine is not None and self._owner == os.getpid():
            engine.dispose()

    @contextmanager
    def _transaction(self, *, changes: bool) -> Iterator[Connection]:
        try:
            engine = self._opened()
            with engine.connect() as plain:
                connection = plain.execution_options(changes=changes)
                if not self._right:
                    self._look(connection)
                with connection.begin():
                    yield connection
        except SQLAlchemyError as error:
            raise self._failed(DatabaseError(in_words(error))) from None
        except DatabaseError as error:
            raise self._failed(error) from None
        self._worked()

    def _opened(self) -> Engine:
        if self._engine is not None and self._owner == os.getpid():
            return self._engine
        if self._owner not in (0, os.getpid()):
            # The parent's connections stay open: to end them would end them for the parent.
            if self._engine is not None:
                self._engine.dispose(close=False)
            self._opening = threading.Lock()
            self._engine = None
            self._forget()
        with self._opening:
            self._owner = os.getpid()
            if self._engine is None:
                self._engine = make_engine(self._url, durable=self._durable)
            return self._engine

    def _forget(self) -> None:
        self._right = False
        self._wrong: tuple[float, SchemaError] | None = None
        self._status = "unknown"
        self._down = False

    def _look(self, connection: Connection) -> None:
        """Compare the tables with the code: once, if they are right. A worker goes on when they
        change later, as in a release, until it is replaced."""
        if self._wrong is not None and self._clock() < self._wrong[0]:
            wrong = self._wrong[1]
            raise SchemaError(str(wrong), wrong.status)
        try:
            with connection.begin():
                require_schema(connection)
        except SchemaError as error:
            self._wrong = self._clock() + _LOOK, error
            raise
        self._right = True

    def _failed(self, error: DatabaseError) -> DatabaseError:
        status = error.status if isinstance(error, SchemaError) else "unavailable"
        if not self._down or status != self._status:
            log.error("the database cannot be used: %s", error)
        self._down, self._status = True, status
        return error

    def _worked(self) -> None:
        if self._down:
            log.warning("the database can be used again")
        self._down, self._status = False, "ready"


def make_engine(
    url: Any, *, create: bool = False, durable: bool = False, patience: float = PATIENCE
) -> Engine:
    """An engine for a parsed URL. patience: seconds that one statement may take."""
    path = sqlite_file(url)
    if path is None:
        from gateway.database.postgresql import postgresql_engine  # only if used

        return postgresql_engine(url, patience=patience, pool=_POOL)
    from gateway.database.sqlite import sqlite_engine

    return sqlite_engine(path, create=create, durable=durable, patience=patience, pool=_POOL)


def found_schema(connection: Connection) -> str | None:
    """The migration that the database has; None if it has no tables of ours."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    query = text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608  a constant
    return connection.execute(query).scalar()


def require_schema(connection: Connection) -> None:
    """Raises SchemaError, which says what to do, if the tables are not this code's."""
    found = found_schema(connection)
    if found is None:
        raise SchemaError(f"its tables are not there: {_UPGRADE}", "tables missing")
    if found < SCHEMA:
        words = f"its tables are older ({found}) than this code ({SCHEMA}): {_UPGRADE}"
        raise SchemaError(words, "tables older")
    refuse_newer(found)


def refuse_newer(found: str) -> None:
    """Raises SchemaError for tables that a later version made."""
    if found > SCHEMA:
        words = f"its tables are newer ({found}) than this code ({SCHEMA})"
        raise SchemaError(words, "tables newer")


def in_words(error: SQLAlchemyError) -> str:
    """What went wrong, without the statement and its values, which SQLAlchemy would show."""
    if not isinstance(error, DBAPIError):
        return type(error).__name__
    lines = str(error.orig).splitlines()
    return f"{type(error.orig).__name__}: {lines[0] if lines else ''}"
