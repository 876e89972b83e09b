"""An embedded store whose files are damaged, cut, deleted, or of another size."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import pytest

from gateway.caching.embedded import EmbeddedResponses
from gateway.caching.records import PART
from gateway.caching.store import Purge
from gateway.state import StoreError, files
from tests.caching.embedded_store import NAMES, SIZE, body, data_file, fill_up, works
from tests.caching.stores import data_of, kept, key_of, put
from tests.state.test_embedded import in_child


@pytest.fixture
def responses(tmp_path: Path) -> Iterator[EmbeddedResponses]:
    """A store that has not been used."""
    made = EmbeddedResponses(tmp_path / "responses", SIZE)
    yield made
    made.close()


@pytest.fixture
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store looks at its files before every use."""
    monkeypatch.setattr(files, "_LOOK", 0.0)


def cut_short(path: Path) -> None:
    os.truncate(path, 5 * 4096)


def with_garbage(path: Path) -> None:
    path.write_bytes(b"garbage" * 10_000)


def with_a_bit_of_garbage(path: Path) -> None:
    path.write_bytes(b"garbage")


def with_an_empty_file(path: Path) -> None:
    path.write_bytes(b"")


def with_zeros_for_pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(bytes(path.stat().st_size - 2 * 4096))


def with_another_version(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for page in (0, 4096):
        data[page + 20] ^= 0xFF
    path.write_bytes(data)


DAMAGES: list[Callable[[Path], None]] = [
    cut_short,
    with_garbage,
    with_a_bit_of_garbage,
    with_an_empty_file,
    with_zeros_for_pages,
    with_another_version,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged_files_begin_anew_when_opened(
    responses: EmbeddedResponses, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    fill_up(responses)
    ticket = responses.ticket("/")
    responses.close()
    damage(data_file(tmp_path))

    def work() -> int:
        opened = EmbeddedResponses(tmp_path / "responses", SIZE)
        assert kept(opened, NAMES) == []
        assert opened.write(key_of(1), b"", url="/", tags=[], ticket=ticket) is None
        return int(works(opened))

    assert in_child(work) == 1


def test_a_damaged_lock_file(responses: EmbeddedResponses, tmp_path: Path) -> None:
    fill_up(responses)
    responses.close()
    data_file(tmp_path).with_name("lock.mdb").write_bytes(b"garbage" * 10_000)
    assert in_child(lambda: works(EmbeddedResponses(tmp_path / "responses", SIZE))) == 1


@pytest.mark.usefixtures("looks_at_once")
@pytest.mark.parametrize("name", ["data.mdb", "lock.mdb", "folder"])
def test_deleted_while_it_is_used(responses: EmbeddedResponses, tmp_path: Path, name: str) -> None:
    fill_up(responses)
    ticket = responses.ticket("/")
    if name == "folder":
        shutil.rmtree(tmp_path / "responses")
    else:
        data_file(tmp_path).with_name(name).unlink()
    if name != "lock.mdb":
        assert responses.write(key_of(1), b"", url="/", tags=[], ticket=ticket) is None
        assert kept(responses, NAMES) == []
    assert works(responses)
    assert in_child(lambda: works(EmbeddedResponses(tmp_path / "responses", SIZE))) == 1


@pytest.mark.usefixtures("looks_at_once")
def test_cut_short_while_it_is_used(responses: EmbeddedResponses, tmp_path: Path) -> None:
    def work() -> int:
        opened = EmbeddedResponses(tmp_path / "responses", SIZE)
        fill_up(opened)
        cut_short(data_file(tmp_path))
        assert kept(opened, NAMES) == []
        return int(works(opened))

    assert in_child(work) == 1
    assert works(responses)


USES: dict[str, Callable[[EmbeddedResponses], object]] = {
    "read": lambda responses: responses.read(key_of(3)),
    "write": lambda responses: put(responses, "one"),
    "purge": lambda responses: responses.purge(Purge("tag", "t")),
    "drop": lambda responses: responses.drop(key_of(3)),
    "claim": lambda responses: responses.claim(key_of(3), b"worker 1", 5),
    "usage": lambda responses: responses.usage(),
    "ticket": lambda responses: responses.ticket("/"),
}


@pytest.mark.parametrize("use", USES.values(), ids=list(USES))
def test_cut_short_just_before_it_is_used(
    responses: EmbeddedResponses, tmp_path: Path, use: Callable[[EmbeddedResponses], object]
) -> None:
    """What is not there any more is not touched, which would end the worker."""

    def work() -> int:
        opened = EmbeddedResponses(tmp_path / "responses", SIZE)
        fill_up(opened)
        opened._store.current().look_at += 3600
        os.truncate(data_file(tmp_path), 4096)
        use(opened)
        return int(works(opened))

    assert in_child(work) == 1
    assert works(responses)


def test_pages_damaged_while_it_is_used(
    responses: EmbeddedResponses, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill_up(responses)
    uses: list[Callable[[], object]] = [
        lambda: responses.read(key_of(3)),
        lambda: put(responses, "one"),
        lambda: responses.purge(Purge("tag", "t")),
        lambda: responses.purge(Purge("all")),
        lambda: responses.drop(key_of(3)),
        lambda: responses.claim(key_of(3), b"worker 1", 5),
        lambda: responses.usage(),
        lambda: responses.ticket("/"),
    ]
    for use in uses:
        fill_up(responses)
        with_zeros_for_pages(data_file(tmp_path))
        with caplog.at_level(logging.WARNING):
            use()
        assert kept(responses, NAMES) == []
        assert works(responses)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["response store lmdb is damaged or stuck: it begins anew"]


@pytest.mark.parametrize("place", [0, 3, PART + 5, 8999], ids=["0", "3", "part", "end"])
def test_a_flipped_byte_is_a_miss(responses: EmbeddedResponses, tmp_path: Path, place: int) -> None:
    fill_up(responses)
    file = data_file(tmp_path)
    begin = place // PART * PART
    at = file.read_bytes().index(body(7)[begin : begin + 500])
    with file.open("r+b") as data:
        data.seek(at + place - begin)
        data.write(bytes([body(7)[place] ^ 1]))
    assert responses.read(key_of(7)) is None
    assert responses.usage()[0] == len(NAMES) - 1
    assert data_of(responses, 8) == body(8)
    assert put(responses, 7, body(7), url="/7", tags=["t7"])
    assert data_of(responses, 7) == body(7)
    assert responses.purge(Purge("tag", "t7")) == 1


def test_an_answer_under_another_key_is_a_miss(responses: EmbeddedResponses) -> None:
    """Whatever damage leads there: it may be somebody else's."""
    stamp = put(responses, "mine", b"mine")
    put(responses, "yours", b"yours")
    with responses._store.write(b"answers") as transaction:
        transaction.put(key_of("yours"), stamp)
    assert responses.read(key_of("yours")) is None
    assert data_of(responses, "mine") is None  # was dropped with it, and is asked for anew
    assert works(responses)


def test_damaged_heads_do_not_stop_purges_and_eviction(
    responses: EmbeddedResponses, tmp_path: Path
) -> None:
    fill_up(responses)
    file = data_file(tmp_path)
    data = bytearray(file.read_bytes())
    for name in NAMES[::2]:  # keys stand in heads, too
        for place in find_all(bytes(data), key_of(name)):
            if data[place - 12 : place - 8] == (9000).to_bytes(4, "little"):
                data[place - 12] ^= 1
    with file.open("r+b") as opened:
        opened.write(data)
    assert responses.purge(Purge("tag", "t4")) == 1
    assert kept(responses, [3, 4, 5]) == [3, 5]
    for number in range(300):
        put(responses, ("more", number), body(number))
    assert kept(responses, NAMES) == []
    assert works(responses)


def find_all(data: bytes, what: bytes) -> Iterator[int]:
    """Where it stands."""
    place = data.find(what)
    while place >= 0:
        yield place
        place = data.find(what, place + 1)


def test_what_is_damaged_again_and_again_is_an_error(
    responses: EmbeddedResponses, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: Any) -> None:
        raise lmdb.CorruptedError("broken")

    fill_up(responses)
    with monkeypatch.context() as patch:
        patch.setattr("gateway.caching.claims.Claims.take", broken)
        with pytest.raises(StoreError):
            responses.claim(key_of(1), b"worker 1", 5)
    assert kept(responses, NAMES) == []
    assert works(responses)


def test_a_store_that_was_larger_begins_anew(responses: EmbeddedResponses, tmp_path: Path) -> None:
    large = EmbeddedResponses(tmp_path / "large", 4 * SIZE)
    for number in range(300):
        put(large, number, body(number))
    large.close()
    small = EmbeddedResponses(tmp_path / "large", SIZE)
    assert kept(small, range(300)) == []
    assert works(small)
    put(small, "one")
    small.close()
    large = EmbeddedResponses(tmp_path / "large", 4 * SIZE)
    assert kept(large, ["one"]) == ["one"]
    large.close()
