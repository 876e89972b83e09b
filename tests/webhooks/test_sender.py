"""The sender's turns, step by step with a clock that is told, and real servers at the other end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from gateway.database import DatabaseError
from gateway.database.engine import Database
from gateway.webhooks.courier import EACH, Courier
from gateway.webhooks.event import Event
from gateway.webhooks.queue import WebhookQueue
from gateway.webhooks.schedule import Schedule
from gateway.webhooks.sender import MOST, Sender
from gateway.webhooks.subscriptions import read_subscriptions
from tests.support.gunicorn import wait_for
from tests.support.wsgi import make_settings
from tests.webhooks.conftest import Clock
from tests.webhooks.receiver import Receiver, Reply, receiving, webhooks


class Bench:
    """A sender with its queue, and partners by name."""

    def __init__(self, database: Database, clock: Clock, *partners: tuple[str, str]) -> None:
        self.queue = WebhookQueue(database, wall=clock)
        subscriptions = read_subscriptions(make_settings(WEBHOOKS=webhooks(*partners)))[0]
        schedule = Schedule((5, 30), chance=lambda: 0.0)
        couriers = {
            name: Courier(one, schedule, seconds=10, wall=clock)
            for name, one in subscriptions.items()
        }
        self.couriers = couriers
        self.ticks = 0.0
        self.sender = Sender(
            self.queue, couriers, seconds=10, days=1, wall=clock, clock=lambda: self.ticks
        )
        self.ticks = 1.0

    def add(self, *ids: str, partners: tuple[str, ...] = ("acme",)) -> None:
        for identifier in ids:
            self.queue.add(Event(identifier, "order.shipped", "{}"), partners)

    def end(self) -> None:
        """Settle, and leave no connection open."""
        self.settle()
        for courier in self.couriers.values():
            courier.close()

    def settle(self) -> None:
        """Have everything that is under way end, and be written down."""
        assert wait_for(lambda: len(self.sender._done) == self.sender._busy.total())
        self.sender._settle()
        assert self.sender._busy.total() == 0

    def states(self, partner: str | None = None) -> dict[str, tuple[str, int]]:
        """State and tries of deliveries, by event."""
        return {row["event"]: (row["state"], row["tries"]) for row in self.queue.listed(partner)}


@pytest.fixture
def bench(sqlite: Database, clock: Clock, partner: Receiver) -> Iterator[Bench]:
    """A sender with one partner."""
    made = Bench(sqlite, clock, ("acme", partner.url))
    yield made
    made.end()


def test_what_is_due_is_sent_and_settled(bench: Bench, partner: Receiver) -> None:
    bench.add("e1", "e2")
    assert bench.sender.turn() == 2
    bench.settle()
    assert bench.states() == {"e1": ("delivered", 1), "e2": ("delivered", 1)}
    assert sorted(partner.ids) == ["e1", "e2"]
    assert bench.sender.turn() == 0


def test_500_then_200(bench: Bench, partner: Receiver, clock: Clock) -> None:
    partner.replies = [Reply(500), Reply(500)]
    bench.add("e1")
    for seconds, tries in ((5, 1), (30, 2)):
        assert bench.sender.turn() == 1
        bench.settle()
        assert bench.states() == {"e1": ("pending", tries)}
        clock.now += seconds - 1
        assert bench.sender.turn() == 0
        clock.now += 1
    assert bench.sender.turn() == 1
    bench.settle()
    assert bench.states() == {"e1": ("delivered", 3)}
    assert partner.ids == ["e1"] * 3


def test_it_is_given_up_and_can_be_sent_again(
    bench: Bench, partner: Receiver, clock: Clock
) -> None:
    partner.always = Reply(500)
    bench.add("e1")
    for _ in range(4):
        bench.sender.turn()
        bench.settle()
        clock.now += 1000
    assert bench.states() == {"e1": ("failed", 3)}
    assert len(partner.received) == 3
    partner.always = None
    bench.queue.retry_failed("acme")
    bench.sender.turn()
    bench.settle()
    assert bench.states() == {"e1": ("delivered", 1)}


def test_a_partner_has_so_many_at_a_time_and_one_while_it_fails(
    bench: Bench, partner: Receiver, clock: Clock
) -> None:
    over = threading.Event()
    partner.always = Reply(500, wait=over)
    bench.add(*(f"e{number}" for number in range(EACH + 2)))
    assert bench.sender.turn() == EACH
    assert bench.sender.turn() == 0
    over.set()
    bench.settle()
    assert bench.sender.turn() == 1
    bench.settle()
    partner.always = None
    clock.now += 5
    assert bench.sender.turn() == 1
    bench.settle()
    assert bench.sender.turn() == EACH  # it is well again


def test_who_asks_to_be_left_alone_is(bench: Bench, partner: Receiver, clock: Clock) -> None:
    partner.replies = [Reply(429, {"Retry-After": "60"})]
    bench.add("e1")
    bench.sender.turn()
    bench.settle()
    bench.add("e2")
    clock.now += 59
    assert bench.sender.turn() == 0
    clock.now += 1
    assert bench.sender.turn() == 1


def test_a_silent_partner_delays_no_other(
    sqlite: Database, clock: Clock, partner: Receiver
) -> None:
    over = threading.Event()
    with receiving() as silent:
        silent.always = Reply(wait=over)
        names = [f"silent{number}" for number in range(MOST // EACH - 1)]
        partners = [(name, silent.url) for name in names]
        bench = Bench(sqlite, clock, *partners, ("acme", partner.url))
        for name in names:
            bench.add(*(f"{name}-{number}" for number in range(EACH + 1)), partners=(name,))
        assert bench.sender.turn() == MOST - EACH
        bench.add(*(f"e{number}" for number in range(10)))
        for _ in range(3):
            assert bench.sender.turn() > 0
            assert wait_for(lambda: bench.sender._done)
            bench.sender._settle()
            assert wait_for(lambda: bench.sender._busy["acme"] == len(bench.sender._done))
        assert len(partner.received) == 10
        over.set()
        bench.end()


def test_all_together_have_a_bound_and_those_who_fail_come_last(
    sqlite: Database, clock: Clock, partner: Receiver
) -> None:
    over = threading.Event()
    partner.always = Reply(wait=over)
    names = [f"p{number:02}" for number in range(MOST // EACH + 2)]
    bench = Bench(sqlite, clock, *((name, partner.url) for name in names))
    for name in names:
        bench.add(*(f"{name}-{number}" for number in range(EACH)), partners=(name,))
    bench.couriers["p00"].failing = True
    assert bench.sender.turn() == MOST
    assert bench.sender.turn() == 0
    assert wait_for(lambda: len(partner.received) == MOST)
    assert not any(identifier.startswith("p00") for identifier in partner.ids)
    over.set()
    bench.end()


def test_a_killed_sender_loses_nothing(
    sqlite: Database, clock: Clock, partner: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (Bench(sqlite, clock, ("acme", partner.url)) for _ in range(2))
    monkeypatch.setattr(first.sender._workers, "start", lambda task: True)  # dies before it sends
    first.add("e1")
    assert first.sender.turn() == 1
    clock.now += 14
    assert second.sender.turn() == 0
    clock.now += 1  # the exchange's ten seconds, and five
    assert second.sender.turn() == 1
    second.settle()
    assert partner.ids == ["e1"]
    assert second.states() == {"e1": ("delivered", 2)}
    second.end()


def test_no_thread_to_be_had(
    bench: Bench, partner: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.add("e1")
    with monkeypatch.context() as patched:
        patched.setattr(bench.sender._workers, "start", lambda task: False)
        assert bench.sender.turn() == 1
    bench.settle()
    assert bench.states() == {"e1": ("pending", 0)}
    clock.now += 1
    assert bench.sender.turn() == 1


def test_what_cannot_be_written_down_is_kept_until_it_can(
    bench: Bench, partner: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.add("e1", "e2", "e3", "e4", "e5")
    assert bench.sender.turn() == EACH
    assert wait_for(lambda: len(bench.sender._done) == EACH)

    def away(*_: object) -> None:
        raise DatabaseError("away")

    with monkeypatch.context() as patched:
        patched.setattr(bench.queue, "settle", away)
        for _ in range(3):
            with pytest.raises(DatabaseError):
                bench.sender.turn()
    assert len(partner.received) == EACH  # no more were begun
    assert bench.sender.turn() == 1
    bench.settle()
    assert sorted(partner.ids) == ["e1", "e2", "e3", "e4", "e5"]
    assert set(bench.states().values()) == {("delivered", 1)}


def test_old_rows_are_swept_and_a_sweep_that_fails_stops_nothing(
    bench: Bench, partner: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.add("e1")
    bench.sender.turn()
    bench.settle()
    clock.now += 86_401
    bench.ticks += 3600
    bench.sender.turn()
    assert bench.states() == {}

    def slow(*_: object) -> bool:
        raise DatabaseError("too slow")

    monkeypatch.setattr(bench.queue, "sweep", slow)
    bench.add("e2")
    bench.ticks += 3600
    with pytest.raises(DatabaseError):
        bench.sender.turn()
    assert bench.sender.turn() == 1


@pytest.fixture
def running(bench: Bench) -> Iterator[Callable[[], None]]:
    """Runs the duty; what is given ends it."""
    over = threading.Event()
    thread = threading.Thread(target=bench.sender.run, args=(over,))
    thread.start()

    def end() -> None:
        over.set()
        thread.join(30)
        assert not thread.is_alive()

    yield end
    end()


def test_the_duty_sends_what_comes_and_settles_what_is_under_way_at_its_end(
    bench: Bench, partner: Receiver, running: Callable[[], None]
) -> None:
    slow = threading.Event()
    bench.add("e1")
    assert wait_for(lambda: bench.states() == {"e1": ("delivered", 1)})
    partner.always = Reply(wait=slow)
    bench.add("e2")
    assert wait_for(lambda: len(partner.received) == 2)
    threading.Timer(0.2, slow.set).start()
    running()
    assert bench.states()["e2"] == ("delivered", 1)


def test_the_duty_waits_for_a_database_that_is_away(
    bench: Bench,
    partner: Receiver,
    running: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[float] = []

    def away(*_: object) -> list[str]:
        asked.append(time.monotonic())
        raise DatabaseError("away")

    with monkeypatch.context() as patched:
        patched.setattr(bench.queue, "due", away)
        bench.add("e1")
        assert wait_for(lambda: len(asked) >= 2)
        assert partner.ids == []
    assert asked[1] - asked[0] > 0.3
    assert wait_for(lambda: partner.ids == ["e1"])
