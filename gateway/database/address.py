"""Where the database is: DATABASE_URL, as an address that SQLAlchemy understands."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

#: The file used where DATABASE_URL is empty, in the working directory.
DEFAULT = "sqlite:///gatehouse.db"

_POSTGRESQL = ("postgres", "postgresql", "postgresql+psycopg")


def parse_url(text: str) -> URL:
    """The address of a database; for empty text, DEFAULT. `postgres://` is PostgreSQL, too, as
    platforms write it. Raises ValueError without repeating the text: it may hold a password."""
    try:
        url = make_url(text or DEFAULT)
    except (ArgumentError, ValueError):
        raise ValueError("it is not a URL such as postgresql://user@host/name") from None
    if url.drivername in _POSTGRESQL:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername != "sqlite":
        raise ValueError("it must begin with postgresql://, postgres:// or sqlite:///")
    if url.host or url.query or not url.database or url.database == ":memory:":
        raise ValueError(
            "a SQLite database is a file: sqlite:///name.db or sqlite:////path/name.db"
        )
    return url


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite database; None for a server."""
    return Path(url.database or "") if url.drivername == "sqlite" else None
