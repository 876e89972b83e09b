"""Windows in the embedded store: they are forgotten in time, and stay together in a transaction."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.rate_limiting import embedded as module
from gateway.rate_limiting.embedded import EmbeddedWindows
from gateway.rate_limiting.memory import MemoryWindows
from gateway.rate_limiting.windows import Hit
from gateway.state import EmbeddedStore, StoreFull
from gateway.state.files import Layout
from tests.rate_limiting.shifted import Clock
from tests.support.gunicorn import ROOT


def entries(store: EmbeddedStore) -> int:
    """How much is kept, of whatever kind."""
    with store.read(b"windows") as transaction:
        return sum(
            transaction.stat(store.table(name))["entries"] for name in (b"windows", b"expiry")
        )


@pytest.fixture
def no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps happen only where they must."""
    monkeypatch.setattr(module, "_SWEEP_ODDS", 0.0)


@pytest.mark.usefixtures("no_chance")
def test_a_crowd_of_clients_does_not_stay(embedded: EmbeddedStore) -> None:
    clock = Clock()
    windows = EmbeddedWindows(embedded, clock)
    sizes = []
    for number in range(3000):
        windows.acquire([Hit(f"client {number}", 5, 1), Hit(f"client {number}", 9, 60)])
        clock.now += 1
        if number % 500 == 499:
            sizes.append(entries(embedded))
    assert max(sizes[1:]) < 1.2 * sizes[0], "there is more and more of it"


@pytest.mark.usefixtures("no_chance")
def test_levels_of_a_crowd_do_not_stay(embedded: EmbeddedStore) -> None:
    clock = Clock()
    windows = EmbeddedWindows(embedded, clock)
    sizes = []
    for number in range(3000):
        bucket = Hit(f"client {number}", 5, 10, burst=3)
        period = Hit(f"client {number}", 9, 60, ends=clock.now + 30)
        assert windows.acquire([bucket, period])[0]
        clock.now += 1
        if number % 500 == 499:
            sizes.append(entries(embedded))
    assert max(sizes[1:]) < 1.2 * sizes[0], "there is more and more of it"


def test_used_levels_are_not_swept(
    embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SWEEP_ODDS", 1.0)
    clock = Clock()
    windows = EmbeddedWindows(embedded, clock)
    bucket = Hit("busy", 1, 60, burst=500)
    period = Hit("busy", 500, 86400, ends=clock.now + 86400)
    for _ in range(100):
        windows.acquire([bucket, period])
        clock.now += 30
    assert windows.peek(bucket).remaining == 501 - 50
    assert windows.peek(period).remaining == 400
    assert entries(embedded) == 4
    clock.now += 86400 + 300
    windows.acquire([Hit("another", 1, 1)])
    assert entries(embedded) == 3


@pytest.mark.usefixtures("no_chance")
def test_one_busy_client_does_not_grow(embedded: EmbeddedStore) -> None:
    clock = Clock()
    windows = EmbeddedWindows(embedded, clock)
    for cost in (1, 1000):
        for _ in range(1000):
            assert windows.acquire([Hit(f"client {cost}", 5000, 5, cost)])[0]
            clock.now += 2
    assert entries(embedded) < 150


def test_used_keys_are_not_swept(embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SWEEP_ODDS", 1.0)
    clock = Clock()
    windows = EmbeddedWindows(embedded, clock)
    for _ in range(100):
        windows.acquire([Hit("busy", 500, 3600)])
        clock.now += 30
    assert windows.peek(Hit("busy", 500, 3600)).remaining == 400
    clock.now += 3600 + 120
    windows.acquire([Hit("another", 1, 1)])
    assert entries(embedded) == 3


def test_a_key_kept_alive_by_a_clock_set_back_is_not_swept(
    embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SWEEP_ODDS", 1.0)
    clock = Clock()
    windows = EmbeddedWindows(embedded, clock)
    windows.acquire([Hit("steady", 9, 180)])
    clock.now -= 59
    windows.acquire([Hit("steady", 9, 180)])
    clock.now += 59 + 179
    windows.acquire([Hit("another", 1, 1)])
    assert windows.peek(Hit("steady", 9, 180)).remaining == 7


def test_short_of_room_the_soonest_to_expire_go(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = EmbeddedStore(tmp_path / "small", Layout(size=2 * 1024 * 1024))
    clock = Clock()
    windows = EmbeddedWindows(store, clock)
    windows.acquire([Hit("patient", 9, 86400)])
    with caplog.at_level(logging.WARNING):
        for number in range(20_000):
            clock.now += 0.001
            assert windows.acquire([Hit(f"client {number}", 9, 60)])[0]
    assert windows.peek(Hit("patient", 9, 86400)).remaining == 8
    latest = [windows.peek(Hit(f"client {n}", 9, 60)).remaining for n in range(19_900, 20_000)]
    assert latest == [8] * 100
    said = [record.message for record in caplog.records if record.name == "gateway.rate_limiting"]
    assert said == ["rate limit store lmdb is crowded: hits are forgotten before they expire"]
    store.close()


def test_short_of_room_quotas_go_last(tmp_path: Path) -> None:
    """A flood of addresses with windows that last longer lifts nobody's quota."""
    store = EmbeddedStore(tmp_path / "small", Layout(size=2 * 1024 * 1024))
    clock = Clock()
    windows = EmbeddedWindows(store, clock)
    quotas = [Hit(f"user {n}", 9, 86400, ends=clock.now + 3600 + n) for n in range(100)]
    for quota in quotas:
        windows.acquire([quota])
    for number in range(20_000):
        clock.now += 0.001  # of two that expire in the same moment, either may go first
        assert windows.acquire([Hit(f"address {number}", 1000, 86400)])[0]
    assert [windows.peek(quota).remaining for quota in quotas] == [8] * 100
    assert windows.peek(Hit("address 1", 1000, 86400)).remaining == 1000
    assert windows.peek(Hit("address 19999", 1000, 86400)).remaining == 999
    store.close()


def test_a_crowd_of_quotas_does_not_fill_the_store(tmp_path: Path) -> None:
    """Those that end next go first."""
    store = EmbeddedStore(tmp_path / "small", Layout(size=2 * 1024 * 1024))
    clock = Clock()
    windows = EmbeddedWindows(store, clock)
    month, day = clock.now + 86400 * 30, clock.now + 86400
    windows.acquire([Hit("patient", 9, 86400 * 30, ends=month)])
    for number in range(20_000):
        assert windows.acquire([Hit(f"user {number}", 9, 86400, ends=day)])[0]
    assert windows.peek(Hit("patient", 9, 86400 * 30, ends=month)).remaining == 8
    store.close()


@pytest.mark.usefixtures("no_chance")
def test_busy_clients_do_not_fill_the_store(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "small", Layout(size=2 * 1024 * 1024))
    windows = EmbeddedWindows(store, Clock())
    for number in range(10_000):
        assert windows.acquire([Hit(f"client {number % 40}", 10**6, 60, 50)])[0]
    store.close()


def test_what_is_too_much_at_once_leaves_no_trace(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "small", Layout(size=512 * 1024))
    windows = EmbeddedWindows(store, Clock())
    with pytest.raises(StoreFull):
        windows.acquire([Hit("small", 9, 60), Hit("huge", 10**6, 60, 100_000)])
    assert windows.acquire([Hit("small", 9, 60)])[1][0].remaining == 8
    store.close()


def test_memory_is_bounded() -> None:
    windows = MemoryWindows(Clock(), most=100)
    for number in range(1000):
        windows.acquire([Hit(f"client {number}", 9, 3600)])
        windows.acquire([Hit(f"client {number}", 9, 3600, burst=1)])
    assert windows.peek(Hit("client 999", 9, 3600)).remaining == 8
    assert windows.peek(Hit("client 0", 9, 3600)).remaining == 9
    assert len(windows._kept) == 100


def test_memory_forgets_what_expired() -> None:
    clock = Clock()
    windows = MemoryWindows(clock)
    for number in range(1000):
        name = f"client {number}"
        period = Hit(name, 9, 60, ends=clock.now + 60)
        windows.acquire([Hit(name, 9, 60), Hit(name, 9, 60, burst=3), period])
    clock.now += 181
    windows.acquire([Hit("another", 9, 60)])
    assert len(windows._kept) == 1


_SWITCHES = """
from gevent import monkey
monkey.patch_all()
import gc, sys
from pathlib import Path
import gevent, greenlet
from gateway.rate_limiting.embedded import EmbeddedWindows
from gateway.rate_limiting.windows import Hit
from gateway.state import EmbeddedStore
from gateway.state.files import Writing

inside, switches = [0], [0, 0]

enter, leave = Writing.__enter__, Writing.__exit__

def watched_enter(self):
    inside[0] += 1
    return enter(self)

def watched_leave(self, *error):
    leave(self, *error)
    inside[0] -= 1

Writing.__enter__, Writing.__exit__ = watched_enter, watched_leave

def trace(event, args):
    switches[inside[0]] += 1

windows = EmbeddedWindows(EmbeddedStore(Path(sys.argv[1])))
greenlet.settrace(trace)
gc.set_threshold(1, 1, 1)

def work(number):
    for _ in range(20):
        bucket = Hit(f"{number % 7}", 100, 1, burst=50)
        period = Hit(f"{number % 5}", 10**6, 86400, ends=4e9)
        windows.acquire([Hit(f"{number % 7}", 100, 1), Hit(f"{number}", 100, 3600), bucket, period])
        gevent.sleep(0)

gevent.joinall([gevent.spawn(work, number) for number in range(40)], raise_error=True)
assert switches[0] > 800, switches
assert switches[1] == 0, switches
"""


def test_greenlets_never_switch_inside_a_transaction(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SWITCHES, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
