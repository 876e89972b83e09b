"""What keeps answers is lost, damaged or full: every request is answered as if nothing was kept."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from gateway.testing import Received, ScriptedUpstream, Send
from tests.rate_limiting.redis_server import needs_redis, start_redis
from tests.support.client import Ended, exchange
from tests.support.gunicorn import Gateway, start_gateway, wait_for
from tests.support.messages import request, response
from tests.workers.pinned import Client, pinned

APP = "tests.workers.cache_app:app"
WORKERS = 2
FRESH = b"Cache-Control: max-age=600"
#: Quick to set aside.
SMALL = {"CACHE_BYTES": str(16 << 20)}
#: Bodies are long enough to take several pages.
REPEATED = 400
#: LMDB's pages, and what it says of one that holds keys and values.
PAGE, LEAF = 4096, 2
NAMES = ("KEPT_URL", "HASTY_URL", "OWN_URL", "DOOMED_URL")


def body(received: Received) -> bytes:
    """What the backend answers: never another's."""
    return received.target * REPEATED


def fresh(received: Received) -> list[Send]:
    """Answers that are fresh for long."""
    return [Send(response(b"200 OK", FRESH, body=body(received)))]


@pytest.fixture
def backend(upstream: ScriptedUpstream) -> ScriptedUpstream:
    """One whose answers are fresh for long."""
    upstream.answer(fresh)
    return upstream


class Running:
    """A gateway of two workers, asked in turn."""

    def __init__(self, gateway: Gateway, clients: list[Client]) -> None:
        self._gateway = gateway
        self._clients = clients
        self.workers = gateway.worker_pids()

    def ask(self, path: str, times: int = 4) -> list[bytes]:
        """What the cache said each time; every answer is whole and right."""
        target = f"/kept/{path}".encode()
        said = []
        for number in range(times):
            reply = self._clients[number % WORKERS].get(target)
            assert (reply.status, reply.body) == (200, target * REPEATED)
            said += reply.header(b"X-Cache")
        assert len(said) == times
        return said

    def works(self, path: str) -> bool:
        """Whether an answer is kept and used by both workers."""
        return self.ask(path)[1:] == [b"HIT"] * 3

    def warnings(self) -> list[str]:
        """What was said of the store of answers."""
        lines = self._gateway.stderr_text().splitlines()
        return [line for line in lines if "response store" in line]

    def all_said(self, what: str) -> bool:
        """Whether every worker, asked once more, has said this of the store, and once."""
        self.ask("anything")
        return sum(what in line for line in self.warnings()) == WORKERS


def settings(backend: ScriptedUpstream, folder: Path, **env: str) -> dict[str, str]:
    """Where everything is."""
    return {
        **dict.fromkeys(NAMES, backend.url),
        "STATE_URL": f"lmdb://{folder}",
        "KEEPALIVE_SECONDS": "60",
        "ACCESS_LOG": "false",
        **env,
    }


@contextlib.contextmanager
def gateway(backend: ScriptedUpstream, folder: Path, **env: str) -> Iterator[Running]:
    """None of the workers dies, and nothing is raised that nobody expects."""
    with start_gateway(APP, workers=WORKERS, env=settings(backend, folder, **env)) as started:
        with pinned(started, WORKERS, WORKERS) as clients:
            running = Running(started, clients)
            yield running
            assert started.worker_pids() == running.workers
            assert "Traceback" not in started.stderr_text()


def store_file(folder: Path) -> Path:
    """Where the answers are."""
    [found] = (folder / "responses").rglob("data.mdb")
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the store."""
    return tmp_path / "state"


@pytest.fixture(scope="module")
def filled(scripted: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with answers, of a gateway that is over."""
    folder = tmp_path_factory.mktemp("filled") / "state"
    scripted.answer(fresh)
    with gateway(scripted, folder, **SMALL) as running:
        for number in range(40):
            running.ask(f"{number}", 1)
    return folder


def test_the_folder_is_deleted(backend: ScriptedUpstream, folder: Path) -> None:
    with gateway(backend, folder, **SMALL) as running:
        assert running.works("a")
        shutil.rmtree(folder / "responses")
        running.ask("a")
        assert wait_for(lambda: running.works("b") and (folder / "responses").exists())
        # Both of them have found the new files.
        assert wait_for(lambda: running.works("a"))
        assert not running.warnings()


def garbage(path: Path) -> None:
    """Nothing is what it was."""
    path.write_bytes(os.urandom(path.stat().st_size))


def cut_short(path: Path) -> None:
    """What was kept last is not there any more."""
    os.truncate(path, 3 * PAGE)


def half_garbage(path: Path) -> None:
    """It looks right at first."""
    with path.open("r+b") as file:
        file.seek(2 * PAGE)
        file.write(os.urandom(path.stat().st_size - 2 * PAGE))


@pytest.mark.parametrize("damage", [garbage, cut_short, half_garbage])
def test_the_files_are_damaged_before_the_start(
    backend: ScriptedUpstream, filled: Path, folder: Path, damage: Callable[[Path], None]
) -> None:
    shutil.copytree(filled, folder)
    damage(store_file(folder))
    with gateway(backend, folder, **SMALL) as running:
        for number in range(40):
            running.ask(f"{number}", 1)
        assert wait_for(lambda: running.works("afterwards"))
        assert len(running.warnings()) <= 2 * WORKERS  # failed, and back


def lead_astray(path: Path) -> None:
    """Whoever looks for anything in a page looks beyond the end of the file."""
    with path.open("r+b") as file:
        for begin in range(2 * PAGE, path.stat().st_size, PAGE):
            file.seek(begin)
            *_, flags, lower, _ = struct.unpack("<QHHHH", file.read(16))
            if flags == LEAF:
                file.write(b"\xfe" * (lower - 16))


def test_damage_that_ends_a_worker_ends_no_other(
    backend: ScriptedUpstream, filled: Path, folder: Path
) -> None:
    shutil.copytree(filled, folder)
    lead_astray(store_file(folder))
    with start_gateway(APP, workers=WORKERS, env=settings(backend, folder, **SMALL)) as started:

        def served() -> bool:
            with contextlib.suppress(Ended, OSError):
                return exchange(started.address, request(b"/kept/1")).status == 200
            return False

        assert wait_for(served)
        assert all(served() for _ in range(40))
        assert started.stderr_text().count("was sent SIG") <= 1


def test_bytes_flip_inside(backend: ScriptedUpstream, folder: Path) -> None:
    """Whatever comes of it is an answer as the backend gave it."""
    with gateway(backend, folder, CACHE_WORKER_BYTES="0", **SMALL) as running:
        for number in range(50):
            assert running.works(f"flipped/{number}")
        asked = len(backend.requests)
        path = store_file(folder)
        bodies = re.compile(rb"(?:/kept/flipped/(\d+)(?=/)){50}")
        flips = [
            (one.start() + int(one[1]), int(one[1])) for one in bodies.finditer(path.read_bytes())
        ]
        assert {number for _, number in flips} == set(range(50))
        with path.open("r+b") as file:
            for place, _ in flips:
                file.seek(place)
                [old] = file.read(1)
                file.seek(place)
                file.write(bytes([old ^ 1]))
        for number in range(50):
            running.ask(f"flipped/{number}", 2)
        assert len(backend.requests) > asked
        assert running.works("flipped/1")
        assert not running.warnings()


class Disk:
    """A folder on a disk with little room; where nobody may mount one, files that cannot grow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)]
        self._mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0

    def room(self, running: Running, size: int) -> None:
        """Have so many bytes in all."""
        if self._mounted:
            command = ["mount", "-o", f"remount,size={size}", str(self.folder)]
            subprocess.run(command, check=True)
            return
        for pid in running.workers:
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))

    def fill(self, running: Running) -> None:
        """Take all that is left."""
        if not self._mounted:
            self.room(running, 32 << 10)
            return
        with contextlib.suppress(OSError), (self.folder / "other").open("wb") as other:
            while other.write(bytes(1 << 20)):
                pass
        assert shutil.disk_usage(self.folder).free < 4096

    def close(self) -> None:
        """Give it back."""
        if self._mounted:
            subprocess.run(["umount", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk with 2 MiB."""
    made = Disk(tmp_path / "disk")
    yield made
    made.close()


def test_the_disk_is_full(backend: ScriptedUpstream, disk: Disk) -> None:
    with gateway(backend, disk.folder) as running:
        disk.fill(running)
        assert set(running.ask("a", 40)) == {b"MISS"}
        assert wait_for(lambda: running.all_said("lmdb failed"))
        disk.room(running, 256 << 20)
        assert wait_for(lambda: running.works("a"))
        assert wait_for(lambda: running.all_said("lmdb is back"))
        assert len(running.warnings()) == 2 * WORKERS


def test_the_disk_fills_up(backend: ScriptedUpstream, disk: Disk) -> None:
    """What is there is used for what comes."""
    with gateway(backend, disk.folder) as running:
        disk.room(running, 2 << 20)
        assert running.works("a")
        for number in range(100):
            running.ask(f"{number}/{'x' * 100}", 1)
        assert wait_for(lambda: running.works("b"))
        assert 1 <= len(running.warnings()) <= 6 * WORKERS  # and not one for each request


@needs_redis
def test_redis_goes_hangs_forgets_and_comes_back(backend: ScriptedUpstream, folder: Path) -> None:
    with start_redis() as server:
        env = {"REDIS_URL": server.url, "REDIS_TIMEOUT": "0.2", "CACHE_WORKER_BYTES": "0"}
        with gateway(backend, folder, **env) as running:
            assert running.works("a")
            server.stop()
            assert set(running.ask("a", 40)) == {b"MISS"}
            assert wait_for(lambda: running.all_said("redis failed"))
            server.start()
            assert wait_for(lambda: running.works("a"))
            assert wait_for(lambda: running.all_said("redis is back"))
            assert len(running.warnings()) == 2 * WORKERS

            with redis.Redis.from_url(server.url) as client:
                client.flushall()
            assert running.ask("a")[0] == b"MISS"
            assert running.works("a")
            assert len(running.warnings()) == 2 * WORKERS

            server.hang()
            begun = time.monotonic()
            assert set(running.ask("a", 100)) == {b"MISS"}
            assert time.monotonic() - begun < 15  # twenty, if each waited for it once
            server.go_on()
            assert wait_for(lambda: running.works("a"))
            assert len(running.warnings()) <= 4 * WORKERS
