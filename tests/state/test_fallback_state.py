"""Shared state whose store goes away: requests go on, and it is used again when it is back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from gateway.state import FallbackState, MemoryState, Value


class Broken(Exception):
    """What a store raises that is not there."""


class Fragile(MemoryState):
    """A store that fails when told to; counts what it was asked."""

    lag = 0.5

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.failing: set[str] = set()
        self.asked: list[str] = []
        self.during: Callable[[], object] = lambda: None

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        during, self.during = self.during, lambda: None
        during()
        if what in self.failing:
            raise Broken

    def get(self, key: str) -> Value | None:
        """See SharedState.get."""
        self._ask("get")
        return super().get(key)

    def scan(self, prefix: str) -> dict[str, Value]:
        """See SharedState.scan."""
        self._ask("scan")
        return super().scan(prefix)

    def change(self, key: str, edit: Any) -> Value | None:
        """See SharedState.change."""
        self._ask("change")
        return super().change(key, edit)

    def refresh(self) -> None:
        """See SharedState.refresh."""
        self._ask("refresh")


ALL = {"get", "scan", "change", "refresh"}


class Setup:
    """A fragile store with a local one to step in."""

    def __init__(self) -> None:
        self.now = 100.0
        self.primary = Fragile(lambda: self.now + 5000)
        self.local = MemoryState(lambda: 0.0)
        self.state = FallbackState(self.primary, self.local, monotonic=lambda: self.now)

    def put(self, number: int) -> Value | None:
        """Change a value."""
        return self.state.change("key", lambda old: {"n": number})


@pytest.fixture
def setup() -> Setup:
    """Both stores work."""
    return Setup()


def test_the_primary_is_used_while_it_works(setup: Setup) -> None:
    assert setup.put(1) == {"n": 1}
    assert setup.state.get("key") == {"n": 1}
    assert setup.state.scan("k") == {"key": {"n": 1}}
    setup.state.refresh()
    assert setup.local.scan("") == {}
    assert not setup.state.degraded
    assert setup.state.lag == 0.5
    setup.primary.failing = ALL
    setup.state.refresh()
    assert setup.state.lag == 0.0


@pytest.mark.parametrize("what", sorted(ALL))
def test_whatever_fails_the_local_one_steps_in(setup: Setup, what: str) -> None:
    setup.put(1)
    setup.primary.failing = {what}
    doing: dict[str, Callable[[], object]] = {
        "get": lambda: setup.state.get("key"),
        "scan": lambda: setup.state.scan("key"),
        "change": lambda: setup.put(2),
        "refresh": setup.state.refresh,
    }
    doing[what]()
    assert setup.state.degraded
    asked = len(setup.primary.asked)
    assert setup.put(3) == {"n": 3}
    assert setup.state.get("key") == {"n": 3}
    assert setup.local.get("key") == {"n": 3}
    assert len(setup.primary.asked) == asked


def test_the_clock_stays_the_primarys(setup: Setup) -> None:
    before = setup.state.clock()
    setup.primary.failing = ALL
    setup.put(1)
    assert setup.state.clock() == before == 5100.0


def test_the_beat_tries_again_and_requests_do_not(setup: Setup) -> None:
    setup.primary.failing = ALL
    setup.put(1)
    setup.primary.failing = set()
    asked = len(setup.primary.asked)
    setup.now += 1.5
    assert setup.state.get("key") == {"n": 1}
    assert len(setup.primary.asked) == asked
    setup.state.refresh()
    assert not setup.state.degraded
    assert setup.state.get("key") is None


def test_without_a_beat_a_request_tries_in_the_end(setup: Setup) -> None:
    setup.primary.failing = ALL
    setup.put(1)
    setup.primary.failing = set()
    setup.now += 5.5
    assert setup.state.get("key") is None
    assert not setup.state.degraded


@pytest.mark.parametrize("what", ["change", "refresh"])
def test_it_is_back_only_when_it_can_be_read_and_changed(
    setup: Setup, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    setup.primary.failing = {what}
    setup.put(1)
    setup.state.refresh()
    for _ in range(20):
        setup.now += 1.1
        setup.state.refresh()
        setup.put(1)
        assert setup.state.degraded
    setup.primary.failing = set()
    setup.now += 1.1
    setup.state.refresh()
    assert not setup.state.degraded
    assert [record.getMessage() for record in caplog.records] == [
        "state store shared failed (Broken): this worker goes on with what it knows",
        "state store shared is back",
    ]


def test_while_one_tries_the_others_do_not_wait(setup: Setup) -> None:
    setup.primary.failing = ALL
    setup.put(1)
    setup.now += 10
    asked = len(setup.primary.asked)
    answers: list[Value | None] = []

    def others() -> None:
        threads = [
            threading.Thread(target=lambda: answers.append(setup.state.get("key")))
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    setup.primary.during = others
    setup.state.refresh()
    assert answers == [{"n": 1}] * 5
    assert len(setup.primary.asked) == asked + 1


def test_an_edit_that_fails_is_no_fault_of_the_store(setup: Setup) -> None:
    def edit(old: Value | None) -> Value | None:
        raise KeyError("ours")

    setup.put(1)
    for _ in range(2):
        with pytest.raises(KeyError, match="ours"):
            setup.state.change("key", edit)
        assert not setup.state.degraded
        assert setup.state.get("key") == {"n": 1}
    setup.primary.failing = ALL
    with pytest.raises(KeyError, match="ours"):
        setup.state.change("key", edit)


def test_one_above_the_other(setup: Setup) -> None:
    last = MemoryState()
    inner = FallbackState(setup.local, last, name="inner", monotonic=lambda: setup.now)
    state = FallbackState(setup.primary, inner, name="outer", monotonic=lambda: setup.now)
    setup.primary.failing = ALL
    assert state.change("key", lambda old: {"n": 1}) == {"n": 1}
    assert setup.local.get("key") == {"n": 1}
    assert state.get("key") == {"n": 1}
    setup.primary.failing = set()
    setup.now += 2
    state.refresh()
    assert state.get("key") is None
