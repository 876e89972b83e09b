"""A store of answers that goes away: left alone, tried by one, and purged first when it is back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from gateway.caching.fallback import OWED, FallbackResponses
from gateway.caching.memory import MemoryResponses
from gateway.caching.store import Found, Outcome, Purge, StoreFault, Ticket

KEY = b"k" * 16
OWNER = b"o" * 8
URL = "/orders"


class Broken(Exception):
    """What a store raises that is not there."""


class Fragile(MemoryResponses):
    """A store that fails when told to; notes what it was asked."""

    lag = 0.25

    def __init__(self) -> None:
        super().__init__(1 << 20)
        self.failing: set[str] = set()
        self.asked: list[str] = []
        self.purged: list[Purge] = []
        self.during: Callable[[], object] = lambda: None

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        during, self.during = self.during, lambda: None
        during()
        if what in self.failing:
            raise Broken("at 10.0.0.1:6379")

    def read(self, key: bytes, known: bytes = b"") -> Found | None:
        """See ResponseStore.read."""
        self._ask("read")
        return super().read(key, known)

    def ticket(self, url: str) -> Ticket:
        """See ResponseStore.ticket."""
        self._ask("ticket")
        return super().ticket(url)

    def write(
        self, key: bytes, data: bytes, *, url: str, tags: Sequence[str], ticket: Ticket
    ) -> bytes | None:
        """See ResponseStore.write."""
        self._ask("write")
        return super().write(key, data, url=url, tags=tags, ticket=ticket)

    def drop(self, key: bytes) -> None:
        """See ResponseStore.drop."""
        self._ask("drop")
        super().drop(key)

    def purge(self, purge: Purge) -> int:
        """See ResponseStore.purge."""
        self._ask("purge")
        self.purged.append(purge)
        return super().purge(purge)

    def claim(self, key: bytes, owner: bytes, seconds: float) -> bool:
        """See ResponseStore.claim."""
        self._ask("claim")
        return super().claim(key, owner, seconds)

    def release(self, key: bytes, owner: bytes, outcome: Outcome) -> None:
        """See ResponseStore.release."""
        self._ask("release")
        super().release(key, owner, outcome)

    def outcome(self, key: bytes, waited: float) -> Outcome | None:
        """See ResponseStore.outcome."""
        self._ask("outcome")
        return super().outcome(key, waited)

    def usage(self) -> tuple[int, int]:
        """See ResponseStore.usage."""
        self._ask("usage")
        return super().usage()


class Setup:
    """A fragile store behind its fallback."""

    def __init__(self) -> None:
        self.now = 100.0
        self.store = Fragile()
        self.responses = FallbackResponses(self.store, name="far", monotonic=lambda: self.now)

    def fail(self, *what: str) -> None:
        """Let it fail, and be noticed."""
        self.store.failing = set(what) or ALL
        with pytest.raises(StoreFault):
            DOING[min(self.store.failing)](self)

    def fails(self, what: str = "read") -> bool:
        """Whether it does."""
        try:
            DOING[what](self)
        except StoreFault:
            return True
        return False

    def later(self) -> None:
        """When it is to be tried again."""
        self.now += 1.0


def write(setup: Setup) -> object:
    """Keep something; the ticket costs a question."""
    ticket = Ticket(b"")
    return setup.responses.write(KEY, b"data", url=URL, tags=["t"], ticket=ticket)


DOING: dict[str, Callable[[Setup], object]] = {
    "read": lambda setup: setup.responses.read(KEY),
    "ticket": lambda setup: setup.responses.ticket(URL),
    "write": write,
    "drop": lambda setup: setup.responses.drop(KEY),
    "purge": lambda setup: setup.responses.purge(Purge("url", URL)),
    "claim": lambda setup: setup.responses.claim(KEY, OWNER, 5.0),
    "release": lambda setup: setup.responses.release(KEY, OWNER, "again"),
    "outcome": lambda setup: setup.responses.outcome(KEY, 5.0),
    "usage": lambda setup: setup.responses.usage(),
}
ALL = set(DOING)


@pytest.fixture
def setup() -> Setup:
    """It works so far."""
    return Setup()


def test_it_is_the_store_while_that_works(setup: Setup) -> None:
    responses = setup.responses
    stamp = responses.write(KEY, b"data", url=URL, tags=["t"], ticket=responses.ticket(URL))
    assert stamp is not None
    assert responses.read(KEY) == Found(stamp, b"data")
    assert responses.read(KEY, stamp) == Found(stamp, None)
    assert responses.lag == Fragile.lag
    assert responses.usage()[0] == 1
    assert responses.claim(KEY, OWNER, 5.0)
    assert responses.outcome(KEY, 5.0) is None
    responses.release(KEY, OWNER, "failed")
    assert responses.outcome(KEY, 5.0) == "failed"
    assert responses.purge(Purge("tag", "t")) == 1
    responses.drop(KEY)
    assert responses.read(KEY) is None


@pytest.mark.parametrize("what", sorted(ALL))
def test_whatever_fails_it_is_left_alone_for_a_moment(setup: Setup, what: str) -> None:
    setup.fail(what)
    asked = len(setup.store.asked)
    assert all(setup.fails(each) for each in sorted(ALL))
    setup.now += 0.9
    assert all(setup.fails(each) for each in sorted(ALL))
    assert len(setup.store.asked) == asked


def test_it_says_so_once_and_names_no_address(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    setup.fail()
    for _ in range(3):
        setup.later()
        assert setup.fails()
        with pytest.raises(StoreFault) as fault:
            setup.responses.read(KEY)
        assert "10.0.0.1" not in str(fault.value)
    setup.store.failing = set()
    setup.later()
    assert not setup.fails()
    assert [record.getMessage() for record in caplog.records] == [
        "response store far failed (Broken): nothing is kept or used",
        "response store far is back",
    ]


def test_one_tries_in_each_pause(setup: Setup) -> None:
    setup.fail()
    setup.store.asked.clear()
    for _ in range(3):
        setup.later()
        assert all([setup.fails(), setup.fails("claim"), setup.fails()])
    assert setup.store.asked == ["ticket"] * 3


@pytest.mark.parametrize("what", ["ticket", "claim", "release"])
def test_it_is_back_only_when_it_can_be_changed(setup: Setup, what: str) -> None:
    setup.fail(what)
    setup.later()
    assert setup.fails("read")
    setup.store.failing = set()
    setup.later()
    assert not setup.fails("read")


def test_while_one_tries_the_others_do_not_wait(setup: Setup) -> None:
    setup.fail()
    setup.later()
    asked = len(setup.store.asked)
    failed: list[bool] = []

    def others() -> None:
        setup.now += 5
        threads = [threading.Thread(target=lambda: failed.append(setup.fails())) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    setup.store.during = others
    assert setup.fails()
    assert failed == [True] * 5
    assert len(setup.store.asked) == asked + 1


PURGES = [Purge("path", "/a"), Purge("tag", "t")]


def test_purges_that_failed_are_made_up_for_before_anything_is_read(setup: Setup) -> None:
    setup.store.write(KEY, b"data", url=URL, tags=["t"], ticket=setup.store.ticket(URL))
    setup.fail("read")
    for purge in [*PURGES, *PURGES]:
        with pytest.raises(StoreFault):
            setup.responses.purge(purge)
    assert setup.store.purged == []
    setup.store.failing = {"purge"}
    setup.later()
    assert setup.fails()
    setup.store.failing = set()
    setup.later()
    assert setup.responses.read(KEY) is None
    assert sorted(setup.store.purged, key=PURGES.index) == PURGES
    assert not setup.fails("ticket")
    assert len(setup.store.purged) == 2


def test_a_purge_that_fails_while_another_finds_the_store_back(setup: Setup) -> None:
    setup.fail("read")
    setup.store.failing = set()
    with pytest.raises(StoreFault):
        setup.responses.purge(PURGES[0])
    setup.later()
    original = setup.store.purge
    failed: list[bool] = []

    def purge(purge: Purge) -> int:
        dropped = original(purge)
        if not failed:  # another one, who still finds it down
            failed.append(setup.fails("purge"))
            with pytest.raises(StoreFault):
                setup.responses.purge(purge)
        return dropped

    setup.store.purge = purge  # type: ignore[method-assign]
    assert not setup.fails()
    assert failed == [True]
    assert setup.store.purged == [PURGES[0]]
    assert not setup.fails("claim")
    assert setup.store.purged == [PURGES[0], Purge("url", URL), PURGES[0]]


@pytest.mark.parametrize("way", ["all", "many"])
def test_more_than_a_few_are_one_of_everything(setup: Setup, way: str) -> None:
    setup.fail("read")
    setup.store.failing = set()
    purges = [Purge("path", f"/{number}") for number in range(OWED + 5 if way == "many" else 5)]
    if way == "all":
        purges.insert(3, Purge("all"))
    for purge in purges:
        with pytest.raises(StoreFault):
            setup.responses.purge(purge)
    setup.later()
    assert not setup.fails()
    assert setup.store.purged == [Purge("all")]
