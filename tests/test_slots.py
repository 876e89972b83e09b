"""Places that are taken at once while some are free, and waited for otherwise."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from gateway.slots import Slots


def test_no_more_than_size_are_taken() -> None:
    slots = Slots(2)
    assert slots.take(0)
    assert slots.take(0)
    assert not slots.take(0)


def test_a_waiter_gets_what_is_released() -> None:
    slots = Slots(1)
    slots.take(0)
    threading.Timer(0.05, slots.release).start()
    assert slots.take(time.monotonic() + 10)


def test_waiting_ends_at_the_deadline() -> None:
    slots = Slots(1)
    slots.take(0)
    started = time.monotonic()
    assert not slots.take(started + 0.05)
    assert time.monotonic() - started >= 0.05


def test_no_place_is_lost_or_made_under_contention() -> None:
    slots = Slots(3)
    held = 0
    most = 0
    lock = threading.Lock()

    def use(_: int) -> bool:
        nonlocal held, most
        if not slots.take(time.monotonic() + 30):
            return False
        with lock:
            held += 1
            most = max(most, held)
        time.sleep(0.0002)
        with lock:
            held -= 1
        slots.release()
        return True

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(use, range(800)))
    assert most <= 3
    assert [slots.take(0) for _ in range(4)] == [True, True, True, False]
