"""Keys, and a gateway that knows them, without a server."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gateway.authentication.api_keys.keeping import KeyKeeper, NewKey
from gateway.authentication.api_keys.key import digest_of, new_id, new_key
from gateway.authentication.api_keys.record import NOBODY, KeyRecord, make_record
from gateway.database import DatabaseError
from gateway.database.engine import Database


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def record_of(key_id: str, key: str = "", **changes: Any) -> KeyRecord:
    """The record of a good key with some of its fields changed."""
    usual = {"id": key_id, "digest": digest_of(key), "active": True, "revoked": None}
    return make_record({**NOBODY, **usual, **changes})


class Asked:
    """Stands for the database: what it answers can be changed, and questions are counted."""

    def __init__(self) -> None:
        self.keys: dict[str, KeyRecord] = {}
        self.revision = 0
        self.changed: list[tuple[int, str]] = []
        self.broken = False
        self.finds = self.looks = 0

    def set(self, key_id: str, record: KeyRecord) -> None:
        """Change a key, as a command would."""
        self.revision += 1
        self.keys[key_id] = record
        self.changed.append((self.revision, key_id))

    def find(self, key_id: str) -> tuple[KeyRecord, bool, int]:
        """See KeyQueries.find."""
        self.finds += 1
        if self.broken:
            raise DatabaseError("gone")
        record = self.keys.get(key_id)
        return record or make_record(NOBODY), record is not None, self.revision

    def changes(self, since: int | None) -> tuple[int, list[str] | None]:
        """See KeyQueries.changes."""
        self.looks += 1
        if self.broken:
            raise DatabaseError("gone")
        if since is None:
            return self.revision, None
        return self.revision, [key_id for number, key_id in self.changed if number > since]


def unused_key() -> str:
    """A key by its form, of an id that there is not."""
    return new_key(new_id())


def basic(password: str, user: str = "anything") -> tuple[str, str]:
    """The field of HTTP basic authentication."""
    return "Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@contextmanager
def keeping(url: str) -> Iterator[KeyKeeper]:
    """What changes keys, on a connection of its own, as the command has."""
    database = Database(url)
    try:
        yield KeyKeeper(database)
    finally:
        database.close()


def made(url: str, **said: Any) -> str:
    """A key in the database."""
    with keeping(url) as keeper:
        return keeper.create(NewKey(**{"name": "n", "owner": "ada", **said}))[1]


def secret_changed(key: str) -> str:
    """A key of the same id with another secret."""
    return new_key(key[3:15])
