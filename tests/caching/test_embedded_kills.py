"""An embedded store whose workers are killed, wherever they are: what it keeps stays whole."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import signal
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.caching.embedded import EmbeddedResponses
from gateway.caching.store import Purge
from gateway.state import files
from tests.caching.embedded_store import NAMES, SIZE, body, data_file, fill_up, works
from tests.caching.stores import data_of, kept, key_of, put
from tests.state.test_embedded import in_child

KILLS = 200
#: What a worker writes again and again.
OWN = range(20)
_VERSION = struct.Struct(">I")
_context = multiprocessing.get_context("fork")


@pytest.fixture
def responses(tmp_path: Path) -> Iterator[EmbeddedResponses]:
    """A store that was filled, with ample room."""
    made = EmbeddedResponses(tmp_path / "responses", 32 * SIZE)
    fill_up(made)
    yield made
    made.close()


def killed(tmp_path: Path, work: Callable[[EmbeddedResponses], object]) -> None:
    """Have another worker do something in the middle of which it is killed."""
    end = in_child(lambda: int(bool(work(EmbeddedResponses(tmp_path / "responses", 32 * SIZE)))))
    assert end == -signal.SIGKILL


def end() -> None:
    """The end of this worker."""
    os.kill(os.getpid(), signal.SIGKILL)


def while_it_writes(theirs: EmbeddedResponses) -> None:
    """In a transaction, with changes that nobody is to see."""
    opened = theirs._store.current()
    with opened.write(b"answers") as transaction:
        for name in NAMES:
            transaction.put(key_of(name), b"nonsense")
        end()


def while_it_reads(theirs: EmbeddedResponses) -> None:
    """In a transaction that keeps old pages."""
    with theirs._store.read(b"answers"):
        end()


def before_it_writes(theirs: EmbeddedResponses) -> None:
    """With the lock, and nothing done."""
    theirs._store.current().lock()
    end()


@pytest.mark.parametrize("work", [while_it_writes, while_it_reads, before_it_writes])
def test_one_that_is_killed_takes_nothing_along(
    responses: EmbeddedResponses, tmp_path: Path, work: Callable[[EmbeddedResponses], object]
) -> None:
    ticket = responses.ticket("/")
    killed(tmp_path, work)

    def whole(its: EmbeddedResponses) -> bool:
        found = [data_of(its, name) for name in NAMES]
        return its.ticket("/") == ticket and found == [body(name) for name in NAMES]

    # For whoever opens it next, while others have it open, and for those.
    assert in_child(lambda: whole(EmbeddedResponses(tmp_path / "responses", 32 * SIZE))) == 1
    assert responses.claim(key_of("one"), b"worker 1", 60)
    assert whole(responses)
    assert works(responses)


def with_garbage(path: Path) -> None:
    """All pages but where the trees are."""
    with path.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(os.urandom(path.stat().st_size - 2 * 4096))


@pytest.mark.parametrize("work", [while_it_writes, while_it_reads])
def test_damage_that_ended_one_is_thrown_away(
    responses: EmbeddedResponses, tmp_path: Path, work: Callable[[EmbeddedResponses], object]
) -> None:
    killed(tmp_path, work)
    with_garbage(data_file(tmp_path))
    assert in_child(lambda: works(EmbeddedResponses(tmp_path / "responses", 32 * SIZE))) == 1
    responses._store.current().look_at = 0.0
    assert kept(responses, NAMES) == []
    assert works(responses)


def test_what_is_not_looked_through_in_time_is_thrown_away(
    responses: EmbeddedResponses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_PATIENCE", -1.0)
    killed(tmp_path, while_it_writes)
    assert responses.claim(key_of("one"), b"worker 1", 60)
    assert kept(responses, NAMES) == []
    assert works(responses)


def version_of(data: bytes) -> int:
    """Which of a worker's answers it is; it is whole."""
    (version,) = _VERSION.unpack_from(data)
    assert data == answer(version)
    return int(version)


def answer(version: int) -> bytes:
    """Of every length that is kept in another way."""
    length = (10, 600, 3000, 9000)[version % 4]
    return (_VERSION.pack(version) * (1 + length // 4))[: 4 + length]


def write(folder: Path, versions: Any, begun: Any) -> None:
    """Write without end, and tell of each what is kept for certain."""
    made = EmbeddedResponses(folder, 32 * SIZE)
    for turn in itertools.count():
        name = turn % len(OWN)
        version = versions[name] + 1
        if put(made, ("own", name), answer(version), url=f"/own/{name}", tags=["own", f"o{name}"]):
            versions[name] = version
        if turn == 2:
            begun.send_bytes(b"begun")


def test_hundreds_that_are_killed_take_nothing_along(
    responses: EmbeddedResponses, tmp_path: Path
) -> None:
    """Each somewhere in its writes; what was told to be kept is there, or what came after it."""
    chance = random.Random(5)
    versions = _context.Array("Q", len(OWN), lock=False)
    ticket = responses.ticket("/")
    inside = 0
    for _ in range(KILLS):
        begun, theirs = _context.Pipe(duplex=False)
        process = _context.Process(target=write, args=(tmp_path / "responses", versions, theirs))
        process.start()
        assert begun.poll(20)
        time.sleep(chance.uniform(0.0, 0.002))
        process.kill()
        process.join(10)
        process.close()
        inside += data_file(tmp_path).with_name("writer").read_bytes() == files._INSIDE
        assert responses.claim(key_of("one"), b"worker 1", 60)
        for name in OWN:
            if versions[name]:
                assert version_of(data_of(responses, ("own", name)) or b"") >= versions[name]
    assert inside > KILLS // 10
    assert responses.ticket("/") == ticket
    assert [data_of(responses, name) for name in NAMES] == [body(name) for name in NAMES]
    assert responses.purge(Purge("prefix", "/own/")) == len(OWN)
    assert responses.usage()[0] == len(NAMES)
    assert works(responses)
