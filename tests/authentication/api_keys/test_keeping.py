"""Making, rotating and revoking keys, over both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from gateway.authentication.api_keys.keeping import KeeperError, KeyKeeper, NewKey
from gateway.authentication.api_keys.key import digest_of, id_of
from gateway.authentication.api_keys.queries import KeyQueries
from gateway.authentication.api_keys.record import usage_name
from gateway.database.engine import Database
from gateway.database.tables import api_keys
from gateway.database.usage import UsageLedger
from tests.authentication.api_keys.support import Clock

NEW = NewKey("what for", "ada")


@pytest.fixture
def wall() -> Clock:
    """The time of day: 00:01:40 of the second day."""
    return Clock(86_500.5)


@pytest.fixture
def keeper(database: Database, wall: Clock) -> KeyKeeper:
    """What changes keys."""
    return KeyKeeper(database, wall=wall)


def revision(database: Database) -> int:
    """How often keys were changed."""
    return KeyQueries(database).changes(None)[0]


def test_made_and_found(database: Database, keeper: KeyKeeper) -> None:
    new = NewKey(
        "naïve",
        "ada & co",
        scopes=["order:read", "user:*"],
        roles=["partner"],
        plan="gold",
        expires=99_999,
        overrides={"rate": "5/second", "concurrency": 2},
    )
    key_id, key = keeper.create(new)
    assert id_of(key) == key_id
    record, known, number = KeyQueries(database).find(key_id)
    assert (known, number) == (True, 1)
    assert record.digest == digest_of(key)
    assert (record.active, record.revoked, record.expires) == (True, False, 99_999)
    identity = record.identity
    assert (identity.subject, identity.kind, identity.scheme) == (key_id, "key", "api_key")
    assert identity.permissions == identity.scopes == ("order:read", "user:*")
    assert (identity.roles, identity.plan) == (("partner",), "gold")
    assert identity.overrides == new.overrides
    assert ("X-Key-Owner", "ada & co") in identity.headers
    assert key not in repr(record)
    assert digest_of(key).hex() not in repr(record)


def test_an_unknown_id(database: Database) -> None:
    record, known, number = KeyQueries(database).find("0" * 12)
    assert (known, number) == (False, 0)
    assert not record.active
    assert record.revoked


def test_nothing_that_could_be_used_is_kept(database: Database, keeper: KeyKeeper) -> None:
    key_id, key = keeper.create(NEW)
    later = keeper.rotate(key_id, 60)
    with database.read() as connection:
        row = repr(connection.execute(select(api_keys)).one())
    for one in (key, later):
        assert one[16:] not in row
    shown = repr(keeper.one(key_id)) + repr(keeper.all())
    assert "digest" not in shown
    assert repr(digest_of(later)) in row
    assert repr(digest_of(later)) not in shown


def test_rotated_with_an_overlap(database: Database, keeper: KeyKeeper) -> None:
    key_id, key = keeper.create(NEW)
    later = keeper.rotate(key_id, 60)
    record = KeyQueries(database).find(key_id)[0]
    assert id_of(later) == key_id
    assert (record.digest, record.previous) == (digest_of(later), digest_of(key))
    assert record.previous_until == 86_560
    # Once more: the first of the three is over.
    last = keeper.rotate(key_id, 60)
    record = KeyQueries(database).find(key_id)[0]
    assert (record.digest, record.previous) == (digest_of(last), digest_of(later))


def test_rotated_without(database: Database, keeper: KeyKeeper) -> None:
    key_id, _ = keeper.create(NEW)
    keeper.rotate(key_id, 60)
    keeper.rotate(key_id, 0)
    record = KeyQueries(database).find(key_id)[0]
    assert (record.previous, record.previous_until) == (bytes(32), 0)


def test_suspended_resumed_and_revoked(database: Database, keeper: KeyKeeper, wall: Clock) -> None:
    key_id, _ = keeper.create(NEW)
    keeper.set_active(key_id, active=False)
    assert not KeyQueries(database).find(key_id)[0].active
    keeper.set_active(key_id, active=True)
    assert KeyQueries(database).find(key_id)[0].active
    keeper.revoke(key_id)
    wall.now += 100
    keeper.revoke(key_id)
    assert KeyQueries(database).find(key_id)[0].revoked
    assert keeper.one(key_id)["revoked"] == 86_500
    for change in (
        lambda: keeper.rotate(key_id, 60),
        lambda: keeper.set_active(key_id, active=True),
    ):
        with pytest.raises(KeeperError, match=f"{key_id} was revoked"):
            change()


def test_a_key_that_there_is_not(database: Database, keeper: KeyKeeper) -> None:
    nobody = "0" * 12
    for change in (
        lambda: keeper.rotate(nobody, 60),
        lambda: keeper.revoke(nobody),
        lambda: keeper.set_active(nobody, active=True),
        lambda: keeper.one(nobody),
    ):
        with pytest.raises(KeeperError, match="there is no key 000000000000"):
            change()
    assert revision(database) == 0


def test_every_change_shows_in_the_revision(database: Database, keeper: KeyKeeper) -> None:
    queries = KeyQueries(database)
    first, _ = keeper.create(NEW)
    assert queries.changes(0) == (1, [first])
    second, _ = keeper.create(NEW)
    keeper.rotate(first, 60)
    assert queries.changes(1)[0] == 3
    assert sorted(queries.changes(1)[1] or []) == sorted([first, second])
    keeper.set_active(first, active=False)
    assert queries.changes(3) == (4, [first])
    keeper.revoke(second)
    assert queries.changes(4) == (5, [second])
    assert queries.changes(5) == (5, [])
    assert queries.changes(6) == (5, None)
    assert queries.changes(None) == (5, None)


def test_a_list_with_the_use_of_each(database: Database, keeper: KeyKeeper, wall: Clock) -> None:
    (first, _), (second, _) = keeper.create(NEW), keeper.create(NewKey("other", "bob"))
    ledger = UsageLedger(database, wall=wall)
    for day, amount in (("1970-01-01", 5), ("1970-01-02", 2)):
        ledger.add(usage_name(first), day, amount)
        ledger.add(usage_name(first), "", amount)
    ledger.flush()
    rows = {row["id"]: row for row in keeper.all()}
    assert [row["id"] for row in keeper.all(owner="bob")] == [second]
    told: list[dict[str, Any]] = [rows[first], rows[second], keeper.one(first)]
    assert [(row["today"], row["total"], row["used"]) for row in told] == [
        (2, 7, 86_500),
        (None, None, None),
        (2, 7, 86_500),
    ]
