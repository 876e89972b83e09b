"""Making, rotating and revoking keys: each change and the new revision in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, insert, select, update

from gateway.authentication.api_keys.key import digest_of, new_id, new_key
from gateway.authentication.api_keys.record import usage_name
from gateway.authentication.api_keys.verifier import day_of
from gateway.database.engine import Database
from gateway.database.tables import api_keys, key_revision, usage


class KeeperError(Exception):
    """A change that cannot be made; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """What is said of a key when it is made. expires: seconds since the epoch; None: never."""

    name: str
    owner: str
    scopes: Sequence[str] = ()
    roles: Sequence[str] = ()
    plan: str = ""
    expires: int | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)


class KeyKeeper:
    """Changes keys. wall: seconds since the epoch. All methods raise DatabaseError."""

    def __init__(self, database: Database, *, wall: Callable[[], float] = time.time) -> None:
        self._database = database
        self._wall = wall

    def create(self, new: NewKey) -> tuple[str, str]:
        """Make a key; returns its id and the key itself, which cannot be had again."""
        key_id = new_id()
        key = new_key(key_id)
        row = {
            "id": key_id,
            "digest": digest_of(key),
            "name": new.name,
            "owner": new.owner,
            "active": True,
            "expires": new.expires,
            "scopes": list(new.scopes),
            "roles": list(new.roles),
            "plan": new.plan,
            "overrides": dict(new.overrides),
            "created": int(self._wall()),
        }
        with self._database.write() as connection:
            connection.execute(insert(api_keys).values(**row, revision=_next(connection)))
        return key_id, key

    def rotate(self, key_id: str, overlap: int) -> str:
        """Give a key a new secret and return it; the old one is valid for `overlap` seconds more,
        0 for none. Raises KeeperError for a key that there is not, or was revoked."""
        key = new_key(key_id)
        now = int(self._wall())
        with self._database.write() as connection:
            row = _row(connection, key_id)
            if row["revoked"] is not None:
                raise KeeperError(f"the key {key_id} was revoked: make a new one")
            previous = {
                "previous_digest": row["digest"] if overlap else None,
                "previous_until": now + overlap if overlap else None,
            }
            _change(connection, key_id, digest=digest_of(key), rotated=now, **previous)
        return key

    def revoke(self, key_id: str) -> None:
        """End a key for good; nothing more, if it was revoked before. Raises KeeperError."""
        with self._database.write() as connection:
            if _row(connection, key_id)["revoked"] is None:
                _change(connection, key_id, active=False, revoked=int(self._wall()))

    def set_active(self, key_id: str, *, active: bool) -> None:
        """Suspend a key, or have it go on. Raises KeeperError, also for one that was revoked."""
        with self._database.write() as connection:
            if _row(connection, key_id)["revoked"] is not None:
                raise KeeperError(f"the key {key_id} was revoked: make a new one")
            _change(connection, key_id, active=active)

    def all(self, owner: str | None = None) -> list[dict[str, Any]]:
        """Every key, oldest first, as `one` gives it. owner: of that one alone."""
        query = self._with_usage().order_by(api_keys.c.created, api_keys.c.id)
        if owner is not None:
            query = query.where(api_keys.c.owner == owner)
        with self._database.read() as connection:
            return [_plain(row) for row in connection.execute(query).mappings()]

    def one(self, key_id: str) -> dict[str, Any]:
        """All that is known of a key but its hashes; times in seconds since the epoch; `used`,
        `today` and `total` of its requests. Raises KeeperError."""
        query = self._with_usage().where(api_keys.c.id == key_id)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise _unknown(key_id)
        return _plain(row)

    def _with_usage(self) -> Select[Any]:
        hidden = ("digest", "previous_digest", "revision")
        columns = [column for column in api_keys.c if column.name not in hidden]
        total, today = usage.alias("total"), usage.alias("today")
        name = usage_name("") + api_keys.c.id
        day = day_of(self._wall())
        joined = api_keys.outerjoin(total, and_(total.c.name == name, total.c.period == ""))
        joined = joined.outerjoin(today, and_(today.c.name == name, today.c.period == day))
        return select(
            *columns,
            total.c.updated.label("used"),
            today.c.amount.label("today"),
            total.c.amount.label("total"),
        ).select_from(joined)


def _plain(row: RowMapping) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}


def _next(connection: Connection) -> int:
    """The revision of a change. Others that change keys wait until this transaction is over."""
    number = key_revision.c.number
    query = update(key_revision).values(number=number + 1).returning(number)
    return int(connection.execute(query).scalar_one())


def _row(connection: Connection, key_id: str) -> RowMapping:
    query = select(api_keys).where(api_keys.c.id == key_id).with_for_update()
    row = connection.execute(query).mappings().first()
    if row is None:
        raise _unknown(key_id)
    return row


def _change(connection: Connection, key_id: str, **values: Any) -> None:
    changed = update(api_keys).where(api_keys.c.id == key_id)
    connection.execute(changed.values(**values, revision=_next(connection)))


def _unknown(key_id: str) -> KeeperError:
    return KeeperError(f"there is no key {key_id}")
