"""What a worker has ready: confirmed or believed, bounded, and none of it after a purge."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import pytest

from gateway.caching.entry import Kept, Passed, Variants
from gateway.caching.store import Purge, StoreFault
from gateway.caching.tiers import TieredResponses
from tests.caching.tiered import KEY, LAG, OTHER, URL, Watched, Worker, entry


@pytest.fixture(params=[0.0, LAG], ids=["near", "far"])
def store(request: pytest.FixtureRequest) -> Watched:
    """A store that is asked each time, and one that is believed for a while."""
    return Watched(request.param)


@pytest.fixture
def far() -> Watched:
    """One that is believed for a while."""
    return Watched(LAG)


@pytest.mark.parametrize(
    "kept", [entry(), Variants(("accept",)), Passed(9.0)], ids=lambda kept: type(kept).__name__
)
def test_what_is_put_is_found_by_every_worker(store: Watched, kept: Kept) -> None:
    one, two = Worker(store), Worker(store)
    assert two.responses.get(KEY) is None
    assert one.put(kept)
    assert one.responses.get(KEY) == two.responses.get(KEY) == kept
    assert one.responses.peek(KEY) == kept


def test_what_is_ready_is_not_decoded_again() -> None:
    store = Watched()
    worker = Worker(store)
    worker.put(entry())
    first = worker.responses.get(KEY)
    assert worker.responses.get(KEY) is first is worker.responses.peek(KEY)
    assert all(store.reads[1:])  # each but the first asked for what is not known already


def test_what_is_written_to_a_near_store_is_ready_when_it_was_used() -> None:
    """Much that is never asked for again must not fill the worker."""
    worker = Worker(Watched())
    worker.put(entry())
    assert not worker.responses._ready
    assert worker.responses.get(KEY) == entry()
    assert list(worker.responses._ready) == [KEY]
    worker.put(entry(b"new"))
    assert worker.responses.get(KEY) == entry(b"new")


def test_a_near_store_is_asked_each_time() -> None:
    store = Watched()
    one, two = Worker(store), Worker(store)
    one.put(entry(b"old"))
    assert two.responses.get(KEY) == entry(b"old")
    one.put(entry(b"new"))
    assert two.responses.peek(KEY) == entry(b"new")
    one.responses.drop(KEY)
    assert two.responses.peek(KEY) is None
    assert two.responses.get(KEY) is None


def test_a_far_store_is_believed_for_its_lag(far: Watched) -> None:
    one, two = Worker(far), Worker(far)
    one.put(entry(b"old"))
    assert two.responses.peek(KEY) is None
    assert far.reads == []
    assert two.responses.get(KEY) == entry(b"old")
    one.put(entry(b"new"))
    two.now += LAG - 0.01
    assert two.responses.get(KEY) == two.responses.peek(KEY) == entry(b"old")
    two.now += 0.02
    assert two.responses.peek(KEY) is None
    assert two.responses.get(KEY) == entry(b"new")


def test_a_confirmation_counts_from_when_it_was_asked_for(far: Watched) -> None:
    worker = Worker(far)
    worker.put(entry())
    worker.now += LAG + 0.1

    def slowly() -> None:
        worker.now += LAG + 0.1

    far.after = slowly
    assert worker.responses.get(KEY) == entry()
    assert worker.responses.peek(KEY) is None
    assert worker.responses.get(KEY) == entry()
    assert worker.responses.peek(KEY) == entry()


def test_own_changes_count_at_once(store: Watched) -> None:
    worker = Worker(store)
    worker.put(entry(b"old"))
    worker.put(entry(b"new"))
    assert worker.responses.get(KEY) == entry(b"new")
    worker.responses.drop(KEY)
    assert worker.responses.get(KEY) is None
    worker.put(entry(), tags=["t"])
    assert worker.responses.purge(Purge("tag", "t")) == 1
    assert worker.responses.get(KEY) is None


def test_a_purge_leaves_what_it_does_not_mean(far: Watched) -> None:
    worker = Worker(far)
    worker.put(entry(), tags=["t"])
    first = worker.responses.get(KEY)
    assert worker.responses.purge(Purge("tag", "other")) == 0
    assert worker.responses.peek(KEY) is None
    worker.now += 0.01
    assert worker.responses.get(KEY) is first  # asked for, and not read again
    assert worker.responses.peek(KEY) is first


@pytest.mark.parametrize("what", ["drop", "purge"])
@pytest.mark.parametrize("during", ["read", "write"])
def test_what_is_dropped_does_not_come_back_by_an_answer_on_its_way(
    far: Watched, what: str, during: str
) -> None:
    worker = Worker(far)
    ticket = worker.responses.ticket(URL)
    if during == "read":
        Worker(far).put(entry())

    def happens() -> None:
        if what == "drop":
            worker.responses.drop(KEY)
        else:
            worker.responses.purge(Purge("url", URL))

    far.after = happens
    if during == "read":
        worker.responses.get(KEY)
    else:
        worker.responses.put(KEY, entry(), url=URL, tags=(), ticket=ticket)
    assert worker.responses.peek(KEY) is None
    assert worker.responses.get(KEY) is None


@pytest.mark.parametrize("body", [b"new", b"n" * 300_000], ids=["small", "large"])
@pytest.mark.parametrize("known", [False, True])
def test_an_answer_that_comes_late_hides_nothing_newer(
    far: Watched, body: bytes, known: bool
) -> None:
    worker, other = Worker(far), Worker(far)
    other.put(entry(b"old"))
    if known:
        worker.responses.get(KEY)
        other.put(entry(b"older"))
        worker.now += LAG + 0.1
    far.after = lambda: worker.put(entry(body))
    worker.responses.get(KEY)
    assert worker.responses.peek(KEY) in (entry(body), None)
    assert worker.responses.get(KEY) == entry(body)


def test_a_purge_while_a_write_is_on_its_way(store: Watched) -> None:
    worker = Worker(store)
    ticket = worker.responses.ticket(URL)
    assert ticket is not None
    worker.responses.purge(Purge("all"))
    assert not worker.responses.put(KEY, entry(), url=URL, tags=(), ticket=ticket)
    assert worker.responses.get(KEY) is None


def test_a_store_that_is_down_is_a_miss(store: Watched) -> None:
    worker = Worker(store)
    worker.put(entry())
    worker.now += LAG * 2
    store.down = True
    assert worker.responses.get(KEY) is None
    assert worker.responses.peek(KEY) is None
    assert worker.responses.get(OTHER) is None
    assert worker.responses.ticket(URL) is None
    assert not worker.put(entry())
    assert worker.responses.claim(KEY, b"a" * 8, 1.0)
    assert worker.responses.outcome(KEY, 5.0) == "again"
    worker.responses.release(KEY, b"a" * 8, "alone")
    worker.responses.drop(KEY)
    with pytest.raises(StoreFault):
        worker.responses.purge(Purge("all"))
    with pytest.raises(StoreFault):
        worker.responses.usage()


def test_a_write_that_may_have_failed_leaves_nothing_ready(far: Watched) -> None:
    worker = Worker(far)
    worker.put(entry(b"old"))
    ticket = worker.responses.ticket(URL)
    far.down = True
    assert not worker.responses.put(KEY, entry(b"new"), url=URL, tags=(), ticket=ticket)
    assert worker.responses.peek(KEY) is None


def test_a_purge_that_failed_is_not_forgotten_here(far: Watched) -> None:
    worker = Worker(far)
    worker.put(entry())
    far.down = True
    with pytest.raises(StoreFault):
        worker.responses.purge(Purge("url", URL))
    assert worker.responses.peek(KEY) is None


def test_damage_is_dropped(store: Watched) -> None:
    worker = Worker(store)
    assert store.write(KEY, b"\xffnonsense", url=URL, tags=(), ticket=store.ticket(URL))
    assert worker.responses.get(KEY) is None
    assert store.usage()[0] == 0


def test_claims_are_the_stores(store: Watched) -> None:
    one, two = Worker(store).responses, Worker(store).responses
    assert one.claim(KEY, b"1" * 8, 5.0)
    assert not two.claim(KEY, b"2" * 8, 5.0)
    assert two.outcome(KEY, 5.0) is None
    one.release(KEY, b"1" * 8, "alone")
    assert two.outcome(KEY, 5.0) == "alone"
    assert one.usage() == (0, 0)


def ready(worker: Worker, keys: Sequence[bytes]) -> list[bytes]:
    """Those that the worker need not read."""
    return [key for key in keys if worker.responses.peek(key) is not None]


@pytest.mark.parametrize(
    "kept",
    [
        entry(b"x" * 5000),
        entry(b"", fields=30),
        replace(entry(b""), tags=("tag",) * 30),
        Variants(("name",) * 30),
        Passed(1.0),
    ],
    ids=["bodies", "fields", "tags", "names", "small"],
)
def test_it_is_bounded_in_bytes_and_keeps_what_was_used(far: Watched, kept: Kept) -> None:
    worker = Worker(far, 100_000)
    keys = [bytes([number]) * 16 for number in range(1, 201)]
    for key in keys:
        worker.put(kept, key)
        worker.responses.peek(keys[0])
    there = ready(worker, keys)
    assert there[0] == keys[0]
    assert there[1:] == keys[-len(there) + 1 :]
    assert 10 <= len(there) <= (97 if isinstance(kept, Passed) else 18)  # at least a KiB each


def test_one_that_is_large_drives_no_others_out(far: Watched) -> None:
    worker = Worker(far, 100_000)
    worker.put(entry(), OTHER)
    worker.put(entry())
    assert worker.put(entry(b"x" * 25_000))
    assert ready(worker, [OTHER, KEY]) == [OTHER]
    assert worker.responses.get(KEY) == entry(b"x" * 25_000)


def test_none_is_ready_without_room(store: Watched) -> None:
    worker = Worker(store, 0)
    assert worker.put(entry())
    assert worker.responses.get(KEY) == entry() == worker.responses.get(KEY)
    assert store.reads == [b"", b""]


def test_many_threads(store: Watched) -> None:
    worker, wrong = Worker(store, 20_000), []

    def work(number: int) -> None:
        try:
            for turn in range(150):
                key = bytes([turn % 40]) * 16
                worker.put(entry(key * 30), key)
                found = worker.responses.get(key)
                assert found is None or found == entry(key * 30)
                if turn % 50 == number:
                    worker.responses.purge(Purge("all"))
                elif turn % 7 == 0:
                    worker.responses.drop(key)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def _in_child(worker: Worker, pipe: Any) -> None:
    pipe.send((ready(worker, [KEY]), worker.responses.get(KEY) == entry()))


def test_a_child_begins_with_nothing_ready(far: Watched) -> None:
    worker = Worker(far)
    worker.put(entry())
    here, there = get_context("fork").Pipe()
    with worker.responses._lock:  # as if another thread had it at that moment
        child = get_context("fork").Process(target=_in_child, args=(worker, there))
        child.start()
    try:
        assert here.poll(20)
        assert here.recv() == ([], True)
    finally:
        child.kill()
        child.join(10)
        child.close()
    assert ready(worker, [KEY]) == [KEY]


def test_of_a_near_store_what_was_read_once_is_not_ready() -> None:
    store = Watched()
    mine, other = TieredResponses(store, 1 << 20), TieredResponses(store, 1 << 20)
    assert other.put(KEY, entry(), url=URL, tags=(), ticket=other.ticket(URL))
    for _ in range(4):
        assert mine.get(KEY) == entry()
    nothing_known = [known for known in store.reads if not known]
    assert (len(nothing_known), len(store.reads)) == (2, 4)


def test_what_was_read_once_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.caching.tiers._ONCE", 2)
    store = Watched()
    mine, other = TieredResponses(store, 1 << 20), TieredResponses(store, 1 << 20)
    keys = [bytes([number]) * 16 for number in range(3)]
    for key in keys:
        assert other.put(key, entry(), url=URL, tags=(), ticket=other.ticket(URL))
    for key in [*keys, keys[0], keys[0]]:  # the first one was forgotten by then
        assert mine.get(key) == entry()
    assert store.reads == [b""] * 5
