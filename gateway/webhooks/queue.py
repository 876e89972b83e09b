"""Events and their deliveries in the database: stored, claimed by whoever sends, settled, swept."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, delete, exists, func, insert, or_, select, update

from gateway.authentication.api_keys.key import new_id
from gateway.database.engine import Database
from gateway.database.tables import webhook_deliveries, webhook_events
from gateway.database.upserting import inserting
from gateway.webhooks.event import Event, IdTaken

State = Literal["pending", "delivered", "failed"]
# Rows that one sweep takes away at the most, and values in one statement.
_CHUNK = 500

_rows, _events = webhook_deliveries.c, webhook_events.c


@dataclass(frozen=True, slots=True)
class Stored:
    """What came of an event. deliveries: their ids, none if nobody subscribed. known: it was
    handed in before."""

    deliveries: Sequence[str]
    known: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is ours to send. tries: this one included."""

    id: str
    partner: str
    tries: int
    event: str
    type: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a claimed delivery. due: seconds since the epoch, of one that stays pending.
    begun: False if it was not sent, so that the try does not count."""

    claim: Claim
    state: State
    due: int = 0
    status: int | None = None
    reason: str = ""
    begun: bool = True


class WebhookQueue:
    """Every method is one transaction, or a few, and raises DatabaseError. wall: seconds since the
    epoch. Nothing is remembered here: all workers and machines see the same."""

    def __init__(self, database: Database, *, wall: Callable[[], float] = time.time) -> None:
        self._database = database
        self._wall = wall

    def add(self, event: Event, partners: Collection[str]) -> Stored:
        """Store an event with a delivery to each of these partners, all or nothing.

        One that is stored already is not stored again; IdTaken if it says something else. After a
        DatabaseError the event may be stored: adding it again is safe.
        """
        if not partners:
            return Stored(())
        now = int(self._wall())
        row = {"id": event.id, "type": event.type, "body": event.body(now), "created": now}
        with self._database.write() as connection:
            statement = inserting(connection)(webhook_events).values(row)
            statement = statement.on_conflict_do_nothing(index_elements=["id"])
            if connection.execute(statement.returning(_events.id)).first() is None:
                return _known(connection, event)
            rows = [
                {
                    "id": new_id(),
                    "event": event.id,
                    "partner": partner,
                    "state": "pending",
                    "tries": 0,
                    "due": now,
                    "created": now,
                    "updated": now,
                }
                for partner in partners
            ]
            connection.execute(insert(webhook_deliveries), rows)
        return Stored([str(row["id"]) for row in rows])

    def due(self, partners: Collection[str]) -> list[str]:
        """Those of these partners for whom something is to be sent now."""
        wanted = _due(int(self._wall()))
        with self._database.read() as connection:

            def some(partner: str) -> bool:
                # One of each, by the index: what waits may be much.
                query = select(_rows.id).where(_rows.partner == partner, *wanted).limit(1)
                return connection.execute(query).first() is not None

            return [partner for partner in partners if some(partner)]

    def claim(self, wanted: Mapping[str, int], seconds: int) -> list[Claim]:
        """Take what is due, the longest due first: so much of each partner. For so many seconds no
        other takes it; then it may be sent again, as whoever took it may be gone."""
        now = int(self._wall())
        claims: list[Claim] = []
        with self._database.write() as connection:
            for partner, most in sorted(wanted.items()):
                claims += _claimed(connection, partner, most, now, now + seconds)
        return claims

    def settle(self, verdicts: Iterable[Verdict]) -> None:
        """Write down what became of claimed deliveries. What was delivered is, in any case; other
        verdicts count only while nobody else has claimed the delivery meanwhile."""
        now = int(self._wall())
        with self._database.write() as connection:
            for verdict in verdicts:
                _settle(connection, verdict, now)

    def retry(self, ids: Collection[str]) -> list[str]:
        """Have deliveries sent again from the beginning of their schedule, now; also those that
        arrived. Returns the ids that there are."""
        return self._again(_rows.id.in_(ids))

    def retry_failed(self, partner: str) -> list[str]:
        """Have all sent again that failed for good. Returns their ids."""
        return self._again(_rows.partner == partner, _rows.state == "failed")

    def _again(self, *which: Any) -> list[str]:
        now = int(self._wall())
        query = update(webhook_deliveries).where(*which)
        query = query.values(state="pending", tries=0, due=now, updated=now)
        with self._database.write() as connection:
            return sorted(connection.execute(query.returning(_rows.id)).scalars())

    def sweep(self, before: int, partners: Collection[str]) -> bool:
        """Take away what nothing has happened to since a time: finished deliveries, those to
        others than these partners, and events without deliveries. True if there may be more."""
        old = select(_rows.id).where(
            _rows.updated < before,
            or_(_rows.state != "pending", _rows.partner.not_in(partners)),
        )
        left = exists().where(_rows.event == _events.id)
        lone = select(_events.id).where(_events.created < before, ~left)
        with self._database.write() as connection:
            found = connection.execute(old.limit(_CHUNK)).scalars().all()
            connection.execute(delete(webhook_deliveries).where(_rows.id.in_(found)))
            alone = connection.execute(lone.limit(_CHUNK)).scalars().all()
            connection.execute(delete(webhook_events).where(_events.id.in_(alone)))
        return _CHUNK in (len(found), len(alone))

    def listed(
        self, partner: str | None = None, state: str | None = None, most: int = 50
    ) -> list[dict[str, Any]]:
        """Deliveries, what happened last first, without what they hold."""
        query = select(*_rows, _events.type).join(webhook_events, _rows.event == _events.id)
        if partner is not None:
            query = query.where(_rows.partner == partner)
        if state is not None:
            query = query.where(_rows.state == state)
        query = query.order_by(_rows.updated.desc(), _rows.id).limit(most)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings()
            return [{str(name): value for name, value in row.items()} for row in rows]

    def counts(self) -> dict[tuple[str, str], int]:
        """How many deliveries there are, by partner and state."""
        query = select(_rows.partner, _rows.state, func.count()).group_by(
            _rows.partner, _rows.state
        )
        with self._database.read() as connection:
            return {(row[0], row[1]): row[2] for row in connection.execute(query)}


def _due(now: int) -> tuple[Any, ...]:
    return _rows.state == "pending", _rows.due <= now


def _known(connection: Connection, event: Event) -> Stored:
    """An event of this id that is stored. Raises IdTaken for another one."""
    row = connection.execute(select(webhook_events).where(_events.id == event.id)).one()
    if row.body != event.body(row.created):
        raise IdTaken
    query = select(_rows.id).where(_rows.event == event.id).order_by(_rows.id)
    return Stored(connection.execute(query).scalars().all(), known=True)


def _claimed(connection: Connection, partner: str, most: int, now: int, until: int) -> list[Claim]:
    query = select(_rows.id, _rows.tries, _rows.event, _events.type, _events.body)
    query = query.join(webhook_events, _rows.event == _events.id)
    query = query.where(_rows.partner == partner, *_due(now)).order_by(_rows.due).limit(most)
    # What another is about to claim is not waited for. SQLite lets one claim at a time.
    query = query.with_for_update(skip_locked=True, of=webhook_deliveries)
    claims = [
        Claim(row.id, partner, row.tries + 1, row.event, row.type, row.body)
        for row in connection.execute(query)
    ]
    taken = update(webhook_deliveries).where(_rows.id.in_([claim.id for claim in claims]))
    connection.execute(taken.values(tries=_rows.tries + 1, due=until, updated=now))
    return claims


def _settle(connection: Connection, verdict: Verdict, now: int) -> None:
    claim = verdict.claim
    values: dict[str, Any] = {"state": verdict.state, "updated": now}
    if verdict.begun:
        values |= {"status": verdict.status, "reason": verdict.reason or None}
    if verdict.state == "pending":
        values |= {"due": verdict.due, "tries": claim.tries - (not verdict.begun)}
    query = update(webhook_deliveries).where(_rows.id == claim.id, _rows.state == "pending")
    if verdict.state != "delivered":
        query = query.where(_rows.tries == claim.tries)
    connection.execute(query.values(**values))
