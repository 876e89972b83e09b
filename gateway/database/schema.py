"""Bringing the tables to what the code expects: Alembic, and one at a time."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.database.address import parse_url
from gateway.database.engine import found_schema, in_words, make_engine, refuse_newer
from gateway.database.errors import DatabaseError
from gateway.database.tables import SCHEMA

# Seconds to wait for another upgrade, and for a statement of a migration.
_PATIENCE = 300.0
# Any number that is ours: PostgreSQL's advisory locks are numbers.
_LOCK = 7_226_283_101


def upgrade(url: str) -> tuple[str | None, str]:
    """Run the migrations that are missing, in one transaction; a SQLite file is made if there is
    none. Returns the migration that was there, None for no tables, and the one that is now.

    Running it again, or twice at the same time, changes nothing. Raises ValueError for a wrong
    URL, SchemaError if the tables are newer than this code, and DatabaseError.
    """
    engine = make_engine(parse_url(url), create=True, durable=True, patience=_PATIENCE)
    try:
        with engine.connect().execution_options(changes=True) as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            found = found_schema(connection)
            if found is not None:
                refuse_newer(found)
            _migrate(connection)
    except SQLAlchemyError as error:
        raise DatabaseError(in_words(error)) from None
    except OSError as error:
        raise DatabaseError(f"{error.filename} cannot be made: {error.strerror}") from None
    finally:
        engine.dispose()
    return found, SCHEMA


def current(url: str) -> str | None:
    """The migration that the database has; None for no tables. Raises ValueError, DatabaseError."""
    engine = make_engine(parse_url(url))
    try:
        with engine.connect() as connection:
            return found_schema(connection)
    except SQLAlchemyError as error:
        raise DatabaseError(in_words(error)) from None
    finally:
        engine.dispose()


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "gateway.database:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
