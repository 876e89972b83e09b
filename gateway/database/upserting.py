"""Inserts that may meet a row that is there: each database has its own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite


def inserting(connection: Connection) -> Any:
    """The `insert` of the database behind a connection, with `on_conflict_...`."""
    return {"postgresql": postgresql.insert, "sqlite": sqlite.insert}[connection.dialect.name]
