"""The queue over both databases: stored once, claimed once, settled by who holds the claim."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import delete, func, select

from gateway.database.engine import Database
from gateway.database.schema import upgrade
from gateway.database.tables import webhook_deliveries, webhook_events
from gateway.webhooks.event import Event, IdTaken
from gateway.webhooks.queue import Claim, Verdict, WebhookQueue
from tests.webhooks.conftest import Clock


def event(identifier: str = "e1", data: str = '{"n":1}') -> Event:
    return Event(identifier, "order.shipped", data)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, module_url: str) -> Iterator[Database]:
    """A database of each kind, for all tests here."""
    url = module_url
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").new_database()
        upgrade(url)
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def database(shared: Database) -> Iterator[Database]:
    """One with nothing in it."""
    yield shared
    with shared.write() as connection:
        for table in (webhook_deliveries, webhook_events):
            connection.execute(delete(table))


@pytest.fixture
def queue(database: Database, clock: Clock) -> WebhookQueue:
    """A queue in a database of each kind."""
    return WebhookQueue(database, wall=clock)


def rows(database: Database) -> tuple[int, int]:
    """How many events and deliveries there are."""
    with database.read() as connection:
        tables = (webhook_events, webhook_deliveries)
        events, deliveries = (
            connection.execute(select(func.count()).select_from(one)).scalar_one() for one in tables
        )
    return events, deliveries


def claim(queue: WebhookQueue, partner: str = "acme", most: int = 10) -> list[Claim]:
    return queue.claim({partner: most}, 20)


def state(queue: WebhookQueue, partner: str = "acme") -> tuple[str, int, int | None, str | None]:
    """State, tries, status and reason of a partner's only delivery."""
    (row,) = queue.listed(partner)
    return row["state"], row["tries"], row["status"], row["reason"]


def test_an_event_is_stored_with_a_delivery_for_each_partner(
    queue: WebhookQueue, database: Database, clock: Clock
) -> None:
    stored = queue.add(event(), ["acme", "beta"])
    assert not stored.known
    assert len(set(stored.deliveries)) == 2
    assert queue.due(["acme", "beta", "gamma"]) == ["acme", "beta"]
    (one,) = claim(queue)
    assert (one.partner, one.tries, one.event, one.type) == ("acme", 1, "e1", "order.shipped")
    assert one.body == event().body(int(clock.now))
    assert one.id in stored.deliveries


def test_an_event_that_nobody_wants_is_not_stored(queue: WebhookQueue, database: Database) -> None:
    assert queue.add(event(), []).deliveries == ()
    assert rows(database) == (0, 0)


def test_an_id_is_stored_once(queue: WebhookQueue, database: Database, clock: Clock) -> None:
    first = queue.add(event(), ["acme", "beta"])
    clock.now += 100
    again = queue.add(event(), ["acme", "beta"])
    assert again.known
    assert sorted(again.deliveries) == sorted(first.deliveries)
    with pytest.raises(IdTaken):
        queue.add(event(data='{"n":2}'), ["acme"])
    assert rows(database) == (1, 2)


def test_an_id_is_stored_once_by_several_at_once(queue: WebhookQueue, database: Database) -> None:
    together = threading.Barrier(3)
    found: list[bool] = []

    def add() -> None:
        together.wait(10)
        found.append(queue.add(event(), ["acme"]).known)

    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == [False, True, True]
    assert rows(database) == (1, 1)


def test_a_claim_keeps_others_away_for_its_time(queue: WebhookQueue, clock: Clock) -> None:
    queue.add(event(), ["acme"])
    assert [one.tries for one in claim(queue)] == [1]
    clock.now += 19
    assert queue.due(["acme"]) == []
    assert claim(queue) == []
    clock.now += 1  # whoever claimed it is gone
    assert queue.due(["acme"]) == ["acme"]
    assert [one.tries for one in claim(queue)] == [2]


def test_several_claim_apart(queue: WebhookQueue) -> None:
    for number in range(40):
        queue.add(event(f"e{number}"), ["acme"])
    together = threading.Barrier(3)
    found: list[str] = []

    def take() -> None:
        together.wait(10)
        while claims := claim(queue, most=3):
            found.extend(one.event for one in claims)

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == len(set(found)) == 40


def test_the_longest_due_come_first_and_no_more_than_wanted(
    queue: WebhookQueue, clock: Clock
) -> None:
    for number in range(4):
        queue.add(event(f"e{number}"), ["acme", "beta"])
        clock.now += 1
    claims = queue.claim({"acme": 3, "beta": 1}, 20)
    assert [(one.partner, one.event) for one in claims] == [
        *(("acme", "e0"), ("acme", "e1"), ("acme", "e2")),
        ("beta", "e0"),
    ]


def test_what_was_delivered_is_not_sent_again(queue: WebhookQueue, clock: Clock) -> None:
    queue.add(event(), ["acme"])
    (one,) = claim(queue)
    queue.settle([Verdict(one, "delivered", status=204)])
    assert state(queue) == ("delivered", 1, 204, None)
    clock.now += 1e6
    assert claim(queue) == []


def test_what_failed_is_sent_again_when_it_is_due(queue: WebhookQueue, clock: Clock) -> None:
    queue.add(event(), ["acme"])
    (one,) = claim(queue)
    due = int(clock.now) + 5
    queue.settle([Verdict(one, "pending", due, 500, "it answers 500")])
    assert state(queue) == ("pending", 1, 500, "it answers 500")
    clock.now += 4
    assert claim(queue) == []
    clock.now += 1
    (one,) = claim(queue)
    assert one.tries == 2
    queue.settle([Verdict(one, "failed", reason="no answer")])
    assert state(queue) == ("failed", 2, None, "no answer")
    clock.now += 1e6
    assert claim(queue) == []


def test_a_try_that_was_not_begun_does_not_count(queue: WebhookQueue, clock: Clock) -> None:
    queue.add(event(), ["acme"])
    (one,) = claim(queue)
    queue.settle([Verdict(one, "pending", int(clock.now) + 1, begun=False)])
    assert state(queue) == ("pending", 0, None, None)
    clock.now += 1
    assert [one.tries for one in claim(queue)] == [1]


def test_a_late_failure_does_not_undo_what_another_does(queue: WebhookQueue, clock: Clock) -> None:
    queue.add(event(), ["acme"])
    (slow,) = claim(queue)
    clock.now += 20
    (quick,) = claim(queue)
    queue.settle([Verdict(slow, "failed", reason="late")])
    assert state(queue)[:2] == ("pending", 2)
    queue.settle([Verdict(quick, "delivered", status=200)])
    queue.settle([Verdict(slow, "pending", 0, reason="late")])
    assert state(queue) == ("delivered", 2, 200, None)


def test_a_late_success_is_one(queue: WebhookQueue, clock: Clock) -> None:
    queue.add(event(), ["acme"])
    (slow,) = claim(queue)
    clock.now += 20
    (quick,) = claim(queue)
    queue.settle([Verdict(slow, "delivered", status=200), Verdict(quick, "failed", reason="no")])
    assert state(queue)[0] == "delivered"


def test_an_operator_sends_again(queue: WebhookQueue, clock: Clock) -> None:
    deliveries = [queue.add(event(f"e{n}"), ["acme"]).deliveries[0] for n in range(3)]
    first, second, third = claim(queue)
    queue.settle([Verdict(first, "failed"), Verdict(second, "failed"), Verdict(third, "delivered")])
    assert queue.retry([deliveries[2], "unknown"]) == [deliveries[2]]
    assert [one.id for one in claim(queue)] == [deliveries[2]]
    assert queue.retry_failed("beta") == []
    assert queue.retry_failed("acme") == sorted(deliveries[:2])
    assert [one.tries for one in claim(queue)] == [1, 1]


def test_what_is_over_is_swept_after_its_time(
    queue: WebhookQueue, database: Database, clock: Clock
) -> None:
    for number in range(3):
        queue.add(event(f"e{number}"), ["acme", "left"])
    first, second, _waiting = claim(queue)
    queue.settle([Verdict(first, "delivered"), Verdict(second, "failed")])
    clock.now += 100
    queue.add(event("new"), ["acme"])
    assert not queue.sweep(int(clock.now) - 101, ["acme"])
    assert rows(database) == (4, 7)
    assert not queue.sweep(int(clock.now) - 99, ["acme"])
    # The one that waits stays however old it is; those to a partner that is none any more go.
    assert rows(database) == (2, 2)
    assert [row["event"] for row in queue.listed()] == ["new", "e2"]


def test_a_sweep_is_in_pieces(
    queue: WebhookQueue, clock: Clock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.webhooks.queue._CHUNK", 2)
    for number in range(5):
        queue.add(event(f"e{number}"), ["acme"])
    queue.settle([Verdict(one, "delivered") for one in claim(queue)])
    steps = 1
    while queue.sweep(int(clock.now) + 1, ["acme"]):
        steps += 1
    assert steps == 3
    assert rows(database) == (0, 0)


def test_what_operators_see(queue: WebhookQueue, clock: Clock) -> None:
    queue.add(event("e1", '{"secret":"hunter2"}'), ["acme", "beta"])
    clock.now += 5
    queue.settle([Verdict(one, "failed", reason="no answer") for one in claim(queue)])
    assert [row["partner"] for row in queue.listed()] == ["acme", "beta"]
    assert [row["partner"] for row in queue.listed(state="pending")] == ["beta"]
    assert len(queue.listed(most=1)) == 1
    assert "hunter2" not in str(queue.listed())
    assert queue.counts() == {("acme", "failed"): 1, ("beta", "pending"): 1}
