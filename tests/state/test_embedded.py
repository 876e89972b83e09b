"""The embedded store: one for all processes, made anew when its files go, never half of it."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import stat
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest

from gateway.state import EmbeddedStore, StoreError, StoreFull, files, store_folder
from gateway.state.files import Layout
from tests.support.full_disk import fill, small_disk


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    """A store in a folder that is not there yet."""
    made = EmbeddedStore(tmp_path / "deep" / "state")
    yield made
    made.close()


@pytest.fixture
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store looks at its files before every use."""
    monkeypatch.setattr(files, "_LOOK", 0.0)


def in_child(work: Callable[[], int]) -> int:
    """What a forked process answers: a number below 200."""
    child = os.fork()
    if child == 0:
        answer = 255
        try:
            answer = work()
        finally:
            os._exit(answer)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def place(store: EmbeddedStore) -> Path:
    """Where the files are."""
    [folder] = store.folder.iterdir()
    return folder


def test_counts(store: EmbeddedStore) -> None:
    assert store.count("a", 0) == 0
    assert [store.count("a"), store.count("a", 5), store.count("b"), store.count("a", 0)] == [
        1,
        6,
        1,
        6,
    ]


def test_stores_of_one_folder_are_one(store: EmbeddedStore) -> None:
    other = EmbeddedStore(store.folder / ".." / "state")
    assert [store.count("a"), other.count("a")] == [1, 2]
    other.close()
    assert store.count("a") == 3


def test_children_count_along(store: EmbeddedStore) -> None:
    store.count("a")

    def work() -> int:
        gc.collect()  # what the parent has open goes, in this process
        return store.count("a")

    assert [in_child(work), in_child(work), store.count("a")] == [2, 3, 4]


def test_children_do_not_use_what_the_parent_has_open(store: EmbeddedStore) -> None:
    store.count("a")
    inherited = weakref.ref(store._opened)

    def work() -> int:
        store.count("a")
        return int(inherited() is not None)

    assert in_child(work) == 0
    assert inherited() is not None


def test_threads_count_along(store: EmbeddedStore) -> None:
    def work() -> None:
        for _ in range(300):
            store.count("a")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert store.count("a", 0) == 2400


def test_a_block_that_raises_changes_nothing(store: EmbeddedStore) -> None:
    def work() -> None:
        with store.write(b"counters") as transaction:
            transaction.put(b"key", b"value")
            raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            work()
    with store.read(b"counters") as transaction:
        assert transaction.get(b"key") is None
    assert store.count("a") == 1


def test_nobody_else_may_look(store: EmbeddedStore) -> None:
    store.count("a")
    folder = place(store)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


@pytest.mark.usefixtures("looks_at_once")
def test_deleted_folder_is_made_anew_and_all_meet_there(store: EmbeddedStore) -> None:
    store.count("a", 5)
    shutil.rmtree(store.folder)
    assert store.count("a") == 1
    assert [in_child(lambda: EmbeddedStore(store.folder).count("a")), store.count("a")] == [2, 3]


@pytest.mark.usefixtures("looks_at_once")
@pytest.mark.parametrize("name", ["data.mdb", "lock.mdb", "writer"])
def test_one_deleted_file(store: EmbeddedStore, name: str) -> None:
    store.count("a", 5)
    (place(store) / name).unlink()
    here = store.count("a")
    assert in_child(lambda: EmbeddedStore(store.folder).count("a")) == here + 1
    assert store.count("a") == here + 2


def test_files_from_before_the_machine_started_go(store: EmbeddedStore) -> None:
    old, unknown = store.folder / "1-0123456789ab", store.folder / "notes"
    for folder in (old, unknown):
        folder.mkdir(parents=True)
        (folder / "data.mdb").write_bytes(b"half written")
    assert store.count("a") == 1
    assert not old.exists()
    assert unknown.exists()


def test_used_files_look_used(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LOOK", 0.0)
    monkeypatch.setattr(files, "_TOUCH", 0.0)
    store.count("a")
    for file in place(store).iterdir():
        os.utime(file, (1, 1))
    store.count("a")
    assert all(file.stat().st_mtime > 1 for file in place(store).iterdir())


def test_no_room_for_the_file(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        for _ in range(2):
            with pytest.raises(OSError, match="full"):
                store.count("a")
    assert store.count("a") == 1


def test_file_system_without_allocation(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_args: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    assert store.count("a") == 1


def test_the_file_has_all_its_blocks(store: EmbeddedStore) -> None:
    store.count("a")
    assert (place(store) / "data.mdb").stat().st_blocks * 512 >= files.USUAL.size


def test_the_lock_file_has_all_its_blocks(store: EmbeddedStore) -> None:
    """Or a full disk would end the process that writes a page of it."""
    store.count("a")
    found = (place(store) / "lock.mdb").stat()
    assert found.st_blocks * 512 >= found.st_size > 0


def opens_on_a_full_disk(folder: Path) -> int:
    """Whether opening a store where there is no room is an error."""
    disk = folder / "disk"
    disk.mkdir()
    small_disk(disk, 16 * 4096)
    fill(disk)
    try:
        EmbeddedStore(disk / "state").count("a")
    except OSError:
        return 1
    return 0


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    assert in_child(lambda: opens_on_a_full_disk(tmp_path)) == 1


def test_a_layout_has_its_own_tables_and_size(tmp_path: Path) -> None:
    layout = Layout(tables=(b"one",), number=7, size=4 * 1024 * 1024, filled=False)
    store = EmbeddedStore(tmp_path, layout)
    for number in range(50):
        with store.write(b"one") as transaction:
            transaction.put(b"%d" % number, bytes(4000))
    opened = store.current()
    with opened.read(b"one", buffers=True) as transaction:
        assert isinstance(transaction.get(b"7"), memoryview)
        assert 200_000 < opened.taken(transaction) < 300_000
        assert not store.crowded(transaction)
    assert set(opened.tables) == {b"one"}
    assert place(store).name.startswith("7-")
    assert (place(store) / "data.mdb").stat().st_size < 400_000
    store.close()


def test_discarded_files_are_left_by_all(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not store.discard()
    store.count("a", 5)
    child = EmbeddedStore(store.folder)

    def work() -> int:
        child.count("a")
        return child.discard() + 2 * child.count("a")

    assert in_child(work) == 3
    assert store.count("a") in (1, 2, 7)  # for a second at most it has its own
    assert store.moved()
    assert store.count("a", 0) == 1
    assert not store.moved()


def test_discarded_by_two_at_once(store: EmbeddedStore, looks_at_once: None) -> None:
    """The second of them does not throw away what the first began."""
    store.count("a", 5)
    stale = store._opened
    assert stale is not None
    store.discard()
    assert store.count("a") == 1
    stale.throw_away()
    assert store.count("a") == 2


def test_a_reader_that_was_killed_is_forgotten(store: EmbeddedStore) -> None:
    store.count("a")

    def work() -> int:
        child = EmbeddedStore(store.folder)
        transaction = child.read(b"counters")
        os._exit(int(transaction is None))

    assert in_child(work) == 0
    with store.read(b"counters"):
        assert len(readers(store)) == 2
    store.current().environment.reader_check()
    with store.read(b"counters"):
        assert len(readers(store)) == 1


def readers(store: EmbeddedStore) -> list[str]:
    """Those that LMDB knows of, a line each."""
    assert store._opened is not None
    return str(store._opened.environment.readers()).strip().splitlines()[1:]


def test_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="Not a directory"):
        EmbeddedStore(tmp_path / "file" / "state").count("a")


def test_full_store_says_so(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, Layout(size=256 * 1024))

    def fill() -> None:
        with store.write(b"windows") as transaction:
            transaction.put(b"key", b"x" * 1024 * 1024)

    for _ in range(2):
        with pytest.raises(StoreFull):
            fill()
    assert issubclass(StoreFull, StoreError)
    assert store.count("a") == 1
    store.close()


def test_garbage_is_an_error(store: EmbeddedStore) -> None:
    store.count("a")
    folder = place(store)
    store.close()
    (folder / "data.mdb").write_bytes(b"garbage" * 10_000)
    with pytest.raises(lmdb.Error):
        store.count("a")


def test_cut_short_is_an_error(store: EmbeddedStore) -> None:
    store.count("a")
    folder = place(store)
    store.close()
    os.truncate(folder / "data.mdb", 3 * 4096)
    with pytest.raises(lmdb.CorruptedError):
        store.count("a")


def test_cut_short_while_it_is_used(tmp_path: Path, looks_at_once: None) -> None:
    def work() -> int:
        store = EmbeddedStore(tmp_path)
        store.count("a")
        os.truncate(place(store) / "data.mdb", 3 * 4096)
        try:
            store.count("a")
        except StoreError:
            return 1
        return 0

    assert in_child(work) == 1


def test_disposable_files_are_made_anew(tmp_path: Path) -> None:
    layout = Layout(disposable=True, size=1024 * 1024)
    store = EmbeddedStore(tmp_path, layout)
    for damage in (b"", b"garbage", b"garbage" * 10_000):
        store.count("a")
        store.close()
        (place(store) / "data.mdb").write_bytes(damage)
        assert store.count("a") == 1
    store.close()


def test_folder_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert store_folder("lmdb:///a/b") == Path("/a/b")
    usual = store_folder("lmdb://")
    assert usual == store_folder("lmdb://")
    monkeypatch.chdir(tmp_path)
    assert store_folder("lmdb://") != usual
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert "12345" in store_folder("lmdb://").name
