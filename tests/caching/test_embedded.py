"""The embedded store's own: bounds, a full disk, and workers that share it or are killed."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.caching import embedded
from gateway.caching.embedded import EmbeddedResponses
from gateway.caching.embedded_purging import Purging
from gateway.caching.store import OUTCOME_SECONDS, Purge
from gateway.state import StoreError, files
from tests.caching.embedded_store import NAMES, SIZE, body, data_file, fill_up, works
from tests.caching.stores import data_of, kept, key_of, put
from tests.rate_limiting.test_embedded_processes import processes
from tests.state.test_embedded import in_child
from tests.support.full_disk import fill, small_disk
from tests.support.gunicorn import wait_for

_context = multiprocessing.get_context("fork")


@pytest.fixture
def responses(tmp_path: Path) -> Iterator[EmbeddedResponses]:
    """A store that has not been used."""
    made = EmbeddedResponses(tmp_path / "responses", SIZE)
    yield made
    made.close()


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done in one transaction at most is very little."""
    monkeypatch.setattr(embedded, "_CHANGES", 7)
    monkeypatch.setattr(embedded, "Purging", partial(Purging, much=3))


def test_nothing_is_opened_before_it_is_used(tmp_path: Path) -> None:
    made = EmbeddedResponses(tmp_path / "responses", SIZE)
    assert not (tmp_path / "responses").exists()
    assert made.read(key_of(1)) is None
    assert not data_file(tmp_path).stat().st_size > 100_000
    made.close()


def test_workers_share_it(responses: EmbeddedResponses, tmp_path: Path) -> None:
    stamp = put(responses, "one", b"mine") or b""

    def work() -> int:
        theirs = EmbeddedResponses(tmp_path / "responses", SIZE)
        assert theirs.read(key_of("one"), stamp) is not None
        put(theirs, "one", b"theirs")
        return theirs.purge(Purge("all")) + 10 * theirs.claim(key_of("one"), b"worker 1", 60)

    assert in_child(work) == 11
    assert responses.read(key_of("one")) is None
    assert not responses.claim(key_of("one"), b"worker 2", 60)


def test_claims_end_when_the_clock_is_set_back(tmp_path: Path) -> None:
    now = [1e9]
    made = EmbeddedResponses(tmp_path / "responses", SIZE, clock=lambda: now[0])
    key = key_of(1)
    assert made.claim(key, b"worker 1", 5)
    now[0] += 4.9
    assert not made.claim(key, b"worker 2", 5)
    now[0] -= 3600
    assert made.outcome(key, 60) == "again"
    assert made.claim(key, b"worker 2", 5)
    made.close()


def test_how_it_ended_counts_for_a_moment_of_the_clock(tmp_path: Path) -> None:
    now = [1e9]
    made = EmbeddedResponses(tmp_path / "responses", SIZE, clock=lambda: now[0])
    key = key_of(1)
    assert made.claim(key, b"worker 1", 5)
    made.release(key, b"worker 1", "failed")
    assert made.outcome(key, 60) == "failed"
    now[0] -= 3600
    assert made.outcome(key, 60) == "again"
    now[0] += 3600 + OUTCOME_SECONDS
    assert made.outcome(key, 60) == "again"
    made.close()


@pytest.mark.parametrize("length", [0, 1, 8, 13, 14, 24, 25, 40])
def test_records_of_another_layout_are_nothing(responses: EmbeddedResponses, length: int) -> None:
    """Workers of another release may use the same files for a moment."""
    key = key_of(1)
    with responses._store.write(b"claims") as transaction:
        for name in (key, key + b"\0", key + b"\1"):
            transaction.put(name, bytes(length))
    assert responses.outcome(key, 60) == "again"
    assert responses.claim(key, b"worker 1", 5)
    assert responses.outcome(key, 60) is None
    responses.release(key, b"worker 1", "alone")
    assert responses.outcome(key, 60) == "alone"


def test_how_it_ended_is_swept(tmp_path: Path) -> None:
    now = [1e9]
    made = EmbeddedResponses(tmp_path / "responses", SIZE, clock=lambda: now[0])
    for number in range(1000):
        now[0] += 0.5
        assert made.claim(key_of(number), b"worker 1", 5)
        made.release(key_of(number), b"worker 1", "alone")
    with made._store.read(b"claims") as transaction:
        assert transaction.stat(made._store.table(b"claims"))["entries"] < 50
    made.close()


def test_claims_that_nobody_released_are_swept(tmp_path: Path) -> None:
    now = [1e9]
    made = EmbeddedResponses(tmp_path / "responses", SIZE, clock=lambda: now[0])
    for number in range(3000):
        now[0] += 1
        assert made.claim(key_of(number), b"worker 1", 5)
    with made._store.read(b"claims") as transaction:
        assert transaction.stat(made._store.table(b"claims"))["entries"] < 50
    made.close()


# -- bounds --------------------------------------------------------------------------------


@pytest.mark.parametrize("longest", [60, 3000, 100_000])
def test_it_never_takes_more_than_its_size(
    responses: EmbeddedResponses, tmp_path: Path, longest: int
) -> None:
    chance = random.Random(longest)
    written: list[object] = []
    for number in range(2500 if longest < 100_000 else 500):
        name: object = chance.randrange(100) if chance.random() < 0.1 else f"name {number}"
        length = int(longest ** chance.random())
        url = f"/{number % 7}?{'q' * chance.randrange(500)}"
        assert put(responses, name, body(name, length), url=url, tags=[f"t{number % 5}"])
        if name in written:
            written.remove(name)
        written.append(name)
        if chance.random() < 0.02:
            responses.purge(Purge("tag", f"t{chance.randrange(5)}"))
    assert data_file(tmp_path).stat().st_size <= SIZE
    assert 1 < responses.usage()[0] < len(written)
    left = [name for name in written if responses.read(key_of(name)) is not None]
    assert responses.usage()[0] == len(left)
    for name in left:
        assert (data_of(responses, name) or b"") == body(name, len(data_of(responses, name) or b""))
    assert responses.purge(Purge("prefix", "/")) == len(left)
    assert responses.usage() == (0, 0)


def test_what_a_killed_reader_saw_is_used_again(
    responses: EmbeddedResponses, tmp_path: Path
) -> None:
    """A process that dies while it reads keeps every page that it may have seen, and is gone."""
    assert responses.claim(key_of("one"), b"worker 1", 600)

    def work() -> int:
        transaction = EmbeddedResponses(tmp_path / "responses", SIZE)._store.read(b"answers")
        os._exit(int(transaction is None))

    assert in_child(work) == 0
    for number in range(300):
        assert put(responses, number, body(number))
    assert data_file(tmp_path).stat().st_size <= SIZE
    assert responses.outcome(key_of("one"), 60) is None  # it did not begin anew


def test_a_reader_that_stays_does_not_stop_it(responses: EmbeddedResponses, tmp_path: Path) -> None:
    put(responses, "one")
    with responses._store.read(b"answers"):
        for number in range(300):
            put(responses, number, body(number))
    assert works(responses)
    assert data_file(tmp_path).stat().st_size <= SIZE


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize(
    "purge",
    [Purge("all"), Purge("prefix", "/"), Purge("tag", "t"), Purge("path", "/one")],
    ids=lambda purge: purge.kind,
)
def test_much_is_purged_in_many_steps(responses: EmbeddedResponses, purge: Purge) -> None:
    for name in NAMES:
        put(responses, name, url=f"/one?{name}", tags=["t", "u"])
    put(responses, "other", url="?", tags=["u"])
    assert responses.purge(purge) == len(NAMES) + (purge.kind == "all")
    assert kept(responses, NAMES) == []
    assert kept(responses, ["other"]) == ([] if purge.kind == "all" else ["other"])


def test_room_is_made_in_many_steps(responses: EmbeddedResponses) -> None:
    count = -1
    while count < responses.usage()[0]:
        count = responses.usage()[0]
        for number in range(500):
            assert put(responses, (count, number), b"small")
    assert put(responses, "large", bytes(9_000))
    assert responses.usage()[0] < count - 50
    assert data_of(responses, "large") == bytes(9_000)


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize(
    "purge",
    [Purge("all"), Purge("prefix", "/one"), Purge("tag", "t"), Purge("path", "/one")],
    ids=lambda purge: purge.kind,
)
def test_much_is_hidden_before_it_is_removed(responses: EmbeddedResponses, purge: Purge) -> None:
    for name in NAMES:
        put(responses, name, url=f"/one?{name}", tags=["t"])
    steps = responses._purging.steps(purge)
    dropped = 0
    while dropped < len(NAMES):
        dropped += next(steps)
    assert kept(responses, NAMES) == []
    assert responses.usage()[0] == len(NAMES)
    assert put(responses, NAMES[0], b"new", url=f"/one?{NAMES[0]}", tags=["t"])
    assert sum(steps) == 0
    # Its names are its own, and not those of what it stands in the place of.
    assert responses.usage()[0] == 1
    assert data_of(responses, NAMES[0]) == b"new"
    assert responses.purge(Purge("tag", "t")) == 1


@pytest.mark.usefixtures("small_steps")
def test_what_a_purge_hid_and_never_removed_makes_room(responses: EmbeddedResponses) -> None:
    fill_up(responses)
    assert next(responses._purging.steps(Purge("all")))
    fill_up(responses)
    assert kept(responses, NAMES) == list(NAMES)
    assert works(responses)


@pytest.mark.usefixtures("small_steps")
def test_what_is_written_during_a_purge_stays(
    responses: EmbeddedResponses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked for after the purge began."""
    fill_up(responses)
    fresh = itertools.count()

    def others_write(_seconds: float) -> None:
        number = next(fresh)
        put(responses, ("fresh", number), url=f"/{number}", tags=["t"])

    monkeypatch.setattr(time, "sleep", others_write)
    for purge in (Purge("tag", "t"), Purge("prefix", "/"), Purge("all")):
        before = responses.usage()[0]
        assert responses.purge(purge) == before
        assert kept(responses, NAMES) == []
        assert kept(responses, [("fresh", next(fresh) - 1)])


# -- others --------------------------------------------------------------------------------


def test_a_purge_reaches_new_files_that_others_made(
    responses: EmbeddedResponses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_up(responses)
    monkeypatch.setattr(files, "_LOOK", 60.0)
    responses._store.current().look_at = time.monotonic() + 60

    def work() -> int:
        theirs = EmbeddedResponses(tmp_path / "responses", SIZE)
        fill_up(theirs)
        theirs._store.discard()
        return int(put(theirs, "one", tags=["t"]) is not None)

    assert in_child(work) == 1
    assert kept(responses, NAMES) == list(NAMES)  # for a second at most
    assert responses.purge(Purge("tag", "t")) == len(NAMES) + 1
    assert kept(responses, ["one", *NAMES]) == []


def churn(folder: Path, counted: Any) -> None:
    """Write and purge without end."""
    made = EmbeddedResponses(folder, SIZE)
    for number in itertools.count():
        name = number % 50
        put(made, name, body(name, 100 + number % 9000), url=f"/{name}", tags=["t", f"t{name}"])
        if number % 10 == 0:
            made.purge(Purge("tag", f"t{name}"))
        found = made.read(key_of(name))
        assert found is None or found.data == body(name, len(found.data or b""))
        counted.value += 1


def test_workers_killed_while_they_write(responses: EmbeddedResponses, tmp_path: Path) -> None:
    chance = random.Random(3)
    for _ in range(8):
        counts = [_context.Value("Q", 0, lock=False) for _ in range(2)]
        with (
            processes(1, churn, tmp_path / "responses", counts[0]) as [killed],
            processes(1, churn, tmp_path / "responses", counts[1]) as [survivor],
        ):
            assert wait_for(lambda: all(count.value > 5 for count in counts))  # noqa: B023
            time.sleep(chance.uniform(0.0, 0.03))
            killed.kill()
            killed.join(10)
            before = counts[1].value
            assert wait_for(lambda: counts[1].value > before + 10)  # noqa: B023
            assert survivor.is_alive()
    left = kept(responses, range(50))
    for name in left:
        data = data_of(responses, name) or b""
        assert data == body(name, len(data))
    assert responses.purge(Purge("tag", "t")) == len(left) == responses.usage()[0] + len(left)
    assert works(responses)


def test_a_purge_misses_nothing_while_others_write(
    responses: EmbeddedResponses, tmp_path: Path
) -> None:
    counted = _context.Value("Q", 0, lock=False)
    with processes(1, churn, tmp_path / "responses", counted):
        assert wait_for(lambda: counted.value > 100)
        for number in range(20):
            mine = [(number, other) for other in range(20)]
            for name in mine:
                while put(responses, name, url=f"/{name}", tags=["t"]) is None:
                    pass  # the other purged something meanwhile
            responses.purge(Purge("tag", "t"))
            assert kept(responses, mine) == []


def full_disk(folder: Path) -> int:
    """Use a store on a small disk that gets full; 1 if it goes on working."""
    disk = folder / "disk"
    disk.mkdir()
    small_disk(disk, 4 * SIZE)
    made = EmbeddedResponses(disk / "responses", 64 * SIZE)
    assert put(made, "first")
    fill(disk, SIZE)
    for number in range(400):
        put(made, number, body(number), tags=["t"])
    assert made.usage()[0] > 5
    fill(disk)
    for number in range(100):
        put(made, number, body(number), tags=["t"])
    assert kept(made, [99]) == [99]
    assert data_of(made, 99) == body(99)
    assert made.claim(key_of(1), b"worker 1", 5)
    made.purge(Purge("tag", "t"))
    assert kept(made, range(400)) == []
    return int(works(made))


def test_a_full_disk_bounds_the_store(tmp_path: Path) -> None:
    assert in_child(lambda: full_disk(tmp_path)) == 1


def no_disk(folder: Path) -> int:
    """Open a store on a disk that is full; 1 if that is an error until there is room."""
    disk = folder / "disk"
    disk.mkdir()
    small_disk(disk, 16 * 4096)
    fill(disk)
    made = EmbeddedResponses(disk / "responses", 64 * SIZE)
    for use in (lambda: made.ticket("/"), lambda: made.read(key_of(1))):
        try:
            use()
        except (OSError, StoreError):
            continue
        return 0
    (disk / "ballast").unlink()
    return 1


def test_no_room_to_open_it_is_an_error(tmp_path: Path) -> None:
    assert in_child(lambda: no_disk(tmp_path)) == 1
