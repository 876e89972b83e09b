"""Whether a file of LMDB is whole: as it was made, and after each damage to its pages."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest

from gateway.state.checking import is_whole

PAGE = 4096
LEAF, BRANCH, LONG = 2, 1, 4


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file with trees, long values and free pages, after many transactions."""
    folder = tmp_path_factory.mktemp("made")
    chance = random.Random(1)
    with lmdb.open(str(folder), map_size=1 << 22, max_dbs=3, sync=False) as environment:
        tables = [environment.open_db(name) for name in (b"one", b"two", b"empty")]
        for turn in range(150):
            with environment.begin(write=True) as transaction:
                for _ in range(10):
                    key = b"%d" % chance.randrange(300)
                    value = chance.randbytes(chance.choice([0, 90, 3000, 9000]))
                    transaction.put(key, value, db=tables[turn % 2])
                    transaction.delete(b"%d" % chance.randrange(300), db=tables[turn % 2])
    return (folder / "data.mdb").read_bytes()


def pages(data: bytes, kind: int) -> Iterator[int]:
    """Where pages begin that are of a kind, and in use or were."""
    for begin in range(2 * PAGE, len(data), PAGE):
        if struct.unpack_from("<QHH", data, begin)[2] == kind:
            yield begin


def whole(folder: Path, data: bytes, seconds: float = 60.0) -> bool:
    """What is said of these bytes."""
    path = folder / "data.mdb"
    path.write_bytes(data)
    return is_whole(path, seconds)


def test_as_it_was_made(made: bytes, tmp_path: Path) -> None:
    assert whole(tmp_path, made)
    assert {LEAF, BRANCH, LONG} == {kind for kind in (1, 2, 4) if list(pages(made, kind))}


def test_one_with_nothing_in_it(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path)):
        pass
    assert is_whole(tmp_path / "data.mdb", 60.0)


def test_what_takes_too_long_is_not_known_to_be_whole(made: bytes, tmp_path: Path) -> None:
    assert not whole(tmp_path, made, seconds=-1.0)


@pytest.mark.parametrize("length", [0, 7, 100, PAGE, PAGE + 100, 2 * PAGE, -PAGE])
def test_cut_short(made: bytes, tmp_path: Path, length: int) -> None:
    assert not whole(tmp_path, made[:length])


@pytest.mark.parametrize("at", [16, 20, 40, 44, 94, 104, 120, 128, 136], ids=lambda at: f"at-{at}")
def test_where_the_trees_are(made: bytes, tmp_path: Path, at: int) -> None:
    """Magic and version, page size and flags, depth, leaves, entries, root, last page."""
    data = bytearray(made)
    data[at] ^= 0x55
    data[PAGE + at] ^= 0x55
    assert not whole(tmp_path, bytes(data))


def number(data: bytearray, page: int) -> None:
    data[page] ^= 1


def kind(data: bytearray, page: int) -> None:
    data[page + 10] ^= BRANCH | LEAF


def beginning_of_room(data: bytearray, page: int) -> None:
    data[page + 12] += 2


def end_of_room(data: bytearray, page: int) -> None:
    data[page + 14] ^= 2


def place_of_an_entry(data: bytearray, page: int) -> None:
    data[page + 17] ^= 0x80


def same_place_twice(data: bytearray, page: int) -> None:
    data[page + 18 : page + 20] = data[page + 16 : page + 18]


def length_of_a_key(data: bytearray, page: int) -> None:
    (entry,) = struct.unpack_from("<H", data, page + 16)
    data[page + entry + 7] ^= 0x10


def length_of_a_value(data: bytearray, page: int) -> None:
    """Or the page below."""
    (entry,) = struct.unpack_from("<H", data, page + 16)
    data[page + entry + 2] ^= 0x01


def kind_of_an_entry(data: bytearray, page: int) -> None:
    """Or the page below."""
    (entry,) = struct.unpack_from("<H", data, page + 16)
    data[page + entry + 4] ^= 0x04


DAMAGES = [
    number,
    kind,
    beginning_of_room,
    end_of_room,
    place_of_an_entry,
    same_place_twice,
    length_of_a_key,
    length_of_a_value,
    kind_of_an_entry,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("of", [BRANCH, LEAF], ids=["branch", "leaf"])
def test_a_page(
    made: bytes, tmp_path: Path, damage: Callable[[bytearray, int], None], of: int
) -> None:
    """Each that is in use; what lies in free pages does not matter."""
    found = 0
    for page in pages(made, of):
        data = bytearray(made)
        damage(data, page)
        found += not whole(tmp_path, bytes(data))
    assert found >= 2


@pytest.mark.parametrize("at", [0, 10, 12], ids=["number", "kind", "pages"])
def test_a_long_value(made: bytes, tmp_path: Path, at: int) -> None:
    found = 0
    for page in list(pages(made, LONG))[:40]:
        data = bytearray(made)
        data[page + at] ^= 0x07
        found += not whole(tmp_path, bytes(data))
    assert found >= 2


def test_a_page_that_is_free_and_in_use(made: bytes, tmp_path: Path) -> None:
    """Whoever writes would write over what others read."""
    newer = max(0, PAGE, key=lambda begin: struct.unpack_from("<Q", made, begin + 144)[0])
    free, main = (struct.unpack_from("<Q", made, newer + at)[0] for at in (80, 128))
    (entry,) = struct.unpack_from("<H", made, free * PAGE + 16)
    listed = free * PAGE + entry + 8 + 8 + 8  # its head, its key, the count
    data = bytearray(made)
    assert struct.unpack_from("<Q", data, listed)[0] != main
    struct.pack_into("<Q", data, listed, main)
    assert not whole(tmp_path, bytes(data))
