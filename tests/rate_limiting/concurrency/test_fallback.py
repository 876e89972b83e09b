"""When the store of slots fails: who counts then, and what is known to whom afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest

from gateway.rate_limiting.concurrency.embedded import EmbeddedSlots
from gateway.rate_limiting.concurrency.fallback import FallbackSlots, LocalFallback
from gateway.rate_limiting.concurrency.slots import Claim, Held, MemorySlots
from gateway.rate_limiting.windows import StoreUnavailable
from gateway.state import EmbeddedStore
from tests.rate_limiting.concurrency.conftest import embedded_worker
from tests.rate_limiting.shifted import Clock


class Far:
    """A store elsewhere that can be away. It knows what it was told, by token."""

    def __init__(self, held: Held) -> None:
        self.away = False
        self.asked = 0
        self.known: dict[str, set[str]] = {}
        self._held = held

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise ConnectionError("away")

    def take(self, claims: Sequence[Claim], token: str) -> tuple[int, ...]:
        """See SlotStore.take."""
        self._ask()
        full = tuple(n for n, c in enumerate(claims) if len(self.known.get(c.key, ())) >= c.limit)
        if not full:
            for claim in claims:
                self.known.setdefault(claim.key, set()).add(token)
            self._held.add([claim.key for claim in claims], token)
        return full

    def free(self, keys: Sequence[str], token: str) -> None:
        """See SlotStore.free."""
        self._ask()
        for key in keys:
            self.known[key].discard(token)

    def taken(self, keys: Sequence[str]) -> list[int]:
        """See SlotStore.taken."""
        return [len(self.known.get(key, ())) for key in keys]

    def keep(self) -> bool:
        """See SlotStore.keep."""
        everything = self._held.everything()
        if everything:
            self._ask()
            for key, tokens in everything.items():
                self.known.setdefault(key, set()).update(tokens)
        return bool(everything)


class Set:
    """A far store, a local one, and a clock."""

    def __init__(self) -> None:
        self.held = Held()
        self.far = Far(self.held)
        self.clock = Clock()
        self.slots = FallbackSlots(
            self.far, MemorySlots(self.held), name="far", pause=1.0, clock=self.clock
        )

    def local(self) -> bool:
        """Whether the local store counts."""
        return self.slots.degraded

    def free(self, key: str, token: str) -> None:
        """As the end of a request does."""
        self.slots.free(self.held.remove([key], token), token)


CLAIM = Claim("orders", 2)


def test_goes_on_with_what_is_held_and_comes_back() -> None:
    one = Set()
    assert one.slots.take([CLAIM], "a") == ()
    one.far.known["orders"].add("another worker's")
    assert one.slots.taken(["orders"]) == [2]
    one.far.known["orders"].remove("another worker's")
    one.far.away = True
    assert one.slots.take([CLAIM], "b") == ()
    assert one.slots.taken(["orders"]) == [2]
    assert one.slots.take([CLAIM], "c") == (0,)
    assert one.local()
    asked = one.far.asked
    one.free("orders", "b")
    assert one.slots.take([CLAIM], "d") == ()
    assert one.far.asked == asked  # within the pause, nobody waits for it
    one.far.away = False
    one.clock.now += 1
    assert one.slots.take([CLAIM], "e") == (0,)
    assert not one.local()
    assert one.far.known["orders"] == {"a", "d"}


def test_still_away_when_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    one = Set()
    one.far.away = True
    for token in "abc":
        one.slots.take([CLAIM], token)
        one.clock.now += 1
    assert one.far.asked == 3
    assert [record.message for record in caplog.records] == [
        "slots in far failed (ConnectionError): counted locally"
    ]
    one.far.away = False
    one.slots.take([CLAIM], "d")
    assert caplog.records[-1].message == "slots in far are back"


def test_a_slot_given_back_while_it_is_away() -> None:
    one = Set()
    one.slots.take([CLAIM], "a")
    one.slots.take([CLAIM], "b")
    one.far.away = True
    one.free("orders", "a")
    assert one.held.count("orders") == 1
    assert one.slots.take([CLAIM], "c") == ()


def test_a_beat_finds_that_it_is_back() -> None:
    one = Set()
    one.far.away = True
    one.slots.keep()
    assert not one.local()  # there was nothing to say
    one.slots.take([CLAIM], "a")
    one.clock.now += 1
    one.slots.keep()
    assert one.local()
    one.far.away = False
    one.slots.keep()
    assert one.local()  # it is not time yet
    one.clock.now += 1
    one.slots.keep()
    assert not one.local()
    assert one.far.known == {"orders": {"a"}}


def test_a_beat_without_anything_to_say_proves_nothing() -> None:
    one = Set()
    one.far.away = True
    one.slots.take([CLAIM], "a")
    one.free("orders", "a")
    one.clock.now += 1
    one.slots.keep()
    assert one.local()
    asked = one.far.asked
    one.slots.take([CLAIM], "b")  # so a request may try at once
    assert one.far.asked > asked


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize("on_failure", ["open", "closed"])
def test_on_failure(on_failure: Literal["open", "closed"], dry: bool) -> None:
    one = Set()
    one.far.away = True
    claims = [Claim("first", 1, dry=dry, on_failure=on_failure), Claim("second", 2)]
    if on_failure == "closed" and not dry:
        with pytest.raises(StoreUnavailable) as raised:
            one.slots.take(claims, "a")
        assert raised.value.retry == 1
        assert one.held.everything() == {}
        return
    assert [one.slots.take(claims, token) for token in "abc"] == [(), (), (1,)]
    assert (one.held.count("first"), one.held.count("second")) == (0, 2)


def test_local_slots_of_several_workers(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "state")
    workers = []
    for _ in range(2):
        held = Held()
        far, clock = Far(held), Clock()
        local = LocalFallback(EmbeddedSlots(store, held), MemorySlots(held), name="lmdb")
        workers.append((FallbackSlots(far, local, name="far", clock=clock), far, clock, held))
    (one, one_far, one_clock, _), (other, other_far, *_) = workers
    one.take([CLAIM], "a")
    one_far.away = other_far.away = True
    assert one.take([CLAIM], "b") == ()
    assert other.take([CLAIM], "c") == (0,)  # both of the first's count, wherever they are from
    one_far.away = False
    one_clock.now += 1
    assert one.take([CLAIM], "d") == (0,)
    assert other.take([CLAIM], "e") == ()  # its slots are not this machine's any more
    one.free(["orders"], "x")
    store.close()


def test_the_embedded_store_fails_too(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "state")
    worker = embedded_worker(store)
    slots = LocalFallback(worker.store, MemorySlots(worker.held), name="lmdb")  # type: ignore[arg-type]
    assert slots.take([CLAIM], "a") == ()
    store.close()
    (tmp_path / "state").rename(tmp_path / "away")
    (tmp_path / "state").write_text("in the way")
    for token, full in (("b", ()), ("c", (0,))):
        assert slots.take([CLAIM], token) == full
    assert slots.degraded
    worker.held.remove(["orders"], "a")
    slots.free(["orders"], "a")
    assert slots.take([CLAIM], "d") == ()
