"""How asking the database can fail."""

from __future__ import annotations


class DatabaseError(Exception):
    """The database did not do what it was asked, or did not say so in time.

    The message is for the log and for commands: no password, no statement, no values. Reading
    again is safe; a change may have been made although its answer got lost.
    """


class SchemaError(DatabaseError):
    """The tables are not those of this code. Nothing was changed.

    status: `tables missing`, `tables older` or `tables newer`, which anybody may read.
    """

    def __init__(self, message: str, status: str) -> None:
        super().__init__(message)
        self.status = status
