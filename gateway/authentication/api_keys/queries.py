"""What a worker asks the database about API keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from gateway.authentication.api_keys.record import NOBODY, KeyRecord, make_record
from gateway.database.engine import Database
from gateway.database.tables import api_keys, key_revision

# More changes than that at once: whoever asks had better forget everything.
_MOST = 1000

_COLUMNS = [api_keys.c[name] for name in NOBODY]


class KeyQueries:
    """Reads API keys. All methods raise DatabaseError; asking again is safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, key_id: str) -> tuple[KeyRecord, bool, int]:
        """The key's record, whether there is such a key, and the revision at that moment. For an
        unknown id the record is one that no secret fits."""
        # One statement: what it finds is of one moment, in both databases.
        joined = key_revision.outerjoin(api_keys, api_keys.c.id == key_id)
        query = select(key_revision.c.number, *_COLUMNS).select_from(joined)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().one()
        known = row["id"] is not None
        found: Mapping[Any, Any] = row if known else NOBODY
        return make_record(found), known, row["number"]

    def changes(self, since: int | None) -> tuple[int, list[str] | None]:
        """The revision, and the ids of the keys that changed since an earlier one; None: whatever
        was known may have changed."""
        with self._database.read() as connection:
            number = connection.execute(select(key_revision.c.number)).scalar_one()
            if number == since:
                return number, []
            if since is None or number < since:  # a database that was restored
                return number, None
            query = select(api_keys.c.id).where(api_keys.c.revision > since).limit(_MOST)
            ids = list(connection.execute(query).scalars())
        return number, ids if len(ids) < _MOST else None
