"""Workers that die, stand still, or lose their files: whose slots count."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.rate_limiting.concurrency.presence import Presence
from gateway.rate_limiting.concurrency.slots import Claim
from gateway.state import EmbeddedStore
from tests.rate_limiting.concurrency.conftest import embedded_worker, redis_worker
from tests.rate_limiting.redis_server import RedisServer
from tests.support.gunicorn import ROOT, suspend, wait_for

CLAIM = Claim("orders", 2)
_OTHER = """
import sys
from pathlib import Path
from gateway.rate_limiting.concurrency.slots import Claim
from gateway.state import EmbeddedStore
from tests.rate_limiting.concurrency.conftest import embedded_worker

worker = embedded_worker(EmbeddedStore(Path(sys.argv[1])))
print(*[len(worker.take(Claim("orders", 2))[1]) for _ in range(int(sys.argv[2]))], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the workers meet."""
    return tmp_path / "state"


@pytest.fixture
def store(folder: Path) -> Iterator[EmbeddedStore]:
    """The store of this process."""
    opened = EmbeddedStore(folder)
    yield opened
    opened.close()


@contextmanager
def other_process(folder: Path, slots: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds so many slots, until it is ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", _OTHER, str(folder), str(slots)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b" ".join([b"0"] * slots) + b"\n"
        yield process
    finally:
        process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()


def test_slots_of_a_killed_process_are_free_at_the_next_beat(
    folder: Path, store: EmbeddedStore
) -> None:
    worker = embedded_worker(store)
    with other_process(folder, 2) as process:
        assert not worker.fits(CLAIM)
        worker.store.keep()
        assert not worker.fits(CLAIM)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert not worker.fits(CLAIM)
    worker.store.keep()
    assert worker.fits(CLAIM)
    assert len(list((folder / "workers").iterdir())) == 1


def test_who_merely_stands_still_keeps_its_slots(folder: Path, store: EmbeddedStore) -> None:
    worker = embedded_worker(store)
    with other_process(folder, 2) as process:
        suspend(process)
        for _ in range(3):
            worker.store.keep()
        assert not worker.fits(CLAIM)


def test_who_comes_later_clears_up_after_the_dead(folder: Path, store: EmbeddedStore) -> None:
    with other_process(folder, 2) as process:
        process.kill()
        process.wait(10)
    assert embedded_worker(store).fits(CLAIM)


def test_one_whose_file_was_deleted_after_its_death(folder: Path, store: EmbeddedStore) -> None:
    with other_process(folder, 2) as process:
        process.kill()
        process.wait(10)
    shutil.rmtree(folder / "workers")
    assert embedded_worker(store).fits(CLAIM)


def test_a_live_one_whose_file_was_deleted(folder: Path, store: EmbeddedStore) -> None:
    one, other = embedded_worker(store), embedded_worker(store)
    one.take(CLAIM)
    one.take(CLAIM)
    shutil.rmtree(folder / "workers")
    assert other.fits(CLAIM)  # one seems to be dead, until its next beat
    one.store.keep()
    other.store.keep()
    assert not other.fits(CLAIM)


def test_everything_was_deleted(
    folder: Path, store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.state.files._LOOK", 0.0)  # each use looks for its files
    one, other = embedded_worker(store), embedded_worker(store)
    one.take(CLAIM)
    assert other.take(CLAIM)[1] == ()
    shutil.rmtree(folder)
    one.store.keep()
    other.store.keep()
    assert not one.fits(CLAIM)
    assert not other.fits(CLAIM)


class Breaking:
    """A store that fails when it is told to."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.store = store
        self.folder = store.folder
        self.fails = False

    def write(self, name: bytes) -> Any:
        """A write transaction, or an error."""
        if self.fails:
            raise OSError("no space left")
        return self.store.write(name)

    def read(self, name: bytes) -> Any:
        """A read transaction."""
        return self.store.read(name)


def test_no_slot_is_lost_with_the_store(store: EmbeddedStore) -> None:
    breaking: Any = Breaking(store)
    worker, other = embedded_worker(breaking), embedded_worker(store)
    token, _ = worker.take(CLAIM)
    second, _ = worker.take(CLAIM)
    breaking.fails = True
    with pytest.raises(OSError, match="space"):
        worker.free(token, CLAIM)
    with pytest.raises(OSError, match="space"):
        worker.take(CLAIM)
    assert worker.held.count(CLAIM.key) == 1  # what was not taken is not held
    with pytest.raises(OSError, match="space"):
        worker.store.keep()
    assert not other.fits(CLAIM)
    breaking.fails = False
    worker.store.keep()
    assert other.take(CLAIM)[1] == ()
    assert not other.fits(CLAIM)
    worker.free(second, CLAIM)
    assert other.fits(CLAIM)


def test_presence(tmp_path: Path) -> None:
    one, other = Presence(tmp_path), Presence(tmp_path)
    buried: list[bytes] = []
    assert not one.entered
    one.enter()
    other.enter()
    one.enter()  # again, to no effect
    one.bury(buried.append)
    other.bury(buried.append)
    assert buried == []
    assert one.known(other.name)
    name = other.name
    del other
    one.bury(buried.append)
    one.bury(buried.append)
    assert buried == [name]
    assert not one.known(name)


def test_a_mourner_that_fails_is_followed_by_another(tmp_path: Path) -> None:
    one, other = Presence(tmp_path), Presence(tmp_path)
    one.enter()
    other.enter()
    name = other.name
    del other

    def fail(_name: bytes) -> None:
        raise OSError("busy")

    with pytest.raises(OSError, match="busy"):
        one.bury(fail)
    buried: list[bytes] = []
    one.bury(buried.append)
    assert buried == [name]


def test_leases_in_redis(redis_server: RedisServer) -> None:
    claim = Claim("leases", 2)
    one, other = redis_worker(redis_server), redis_worker(redis_server)
    one.take(claim)  # renewed by its beats
    dead = redis_worker(redis_server)
    dead.take(claim)

    def free() -> bool:
        one.store.keep()
        return other.fits(claim)

    assert not free()
    assert wait_for(free)
    for _ in range(3):
        one.store.keep()
    other.take(claim)
    assert not other.fits(claim)


def test_redis_that_lost_everything_is_told_again(redis_server: RedisServer) -> None:
    import redis

    now = [100.0]
    from gateway.rate_limiting.concurrency.redis_slots import RedisSlots
    from gateway.rate_limiting.concurrency.slots import Held

    held = Held()
    slots = RedisSlots(redis_server.url, 5.0, held, clock=lambda: now[0])
    claim = Claim("lost", 2)
    slots.take([claim], "a")
    slots.take([claim], "b")
    client = redis.Redis.from_url(redis_server.url)
    client.delete("{gatehouse}:slots:lost")
    other = redis_worker(redis_server)
    assert other.fits(claim)
    assert not slots.keep()  # it is not time yet
    now[0] += 1
    assert slots.keep()
    assert not other.fits(claim)
    assert client.zcard("{gatehouse}:slots:lost") == 2
    assert client.pttl("{gatehouse}:slots:lost") > 0
    held.remove(["lost"], "a")
    slots.free(["lost"], "a")
    now[0] += 1
    slots.keep()
    assert client.zrange("{gatehouse}:slots:lost", 0, -1) == [b"b"]
    client.close()


def test_a_call_that_was_sent_twice_counts_once(redis_server: RedisServer) -> None:
    claim = Claim("twice", 2)
    worker = redis_worker(redis_server)
    for _ in range(4):
        assert worker.store.take([claim], "the same") == ()
    assert worker.take(claim)[1] == ()
    assert worker.take(claim)[1] == (0,)
