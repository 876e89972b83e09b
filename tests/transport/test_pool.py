"""The pool: slots are counted exactly, dead connections never handed out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import ClientGone, ConnectFailed, PoolTimeout
from gateway.transport.pool import ConnectionPool


class Fake:
    """A connection that remembers what became of it."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self.idle_since = 0.0
        self.reused = False
        self.wrote = True
        self.closed = 0
        self.waiting = False

    def readable(self) -> bool:
        return self.waiting

    def close(self) -> None:
        self.closed += 1


def _pool(size: int = 2, idle: float = 30, dial: Callable[[float], Any] = Fake) -> ConnectionPool:
    return ConnectionPool(dial, size, idle)


def _checkout(pool: ConnectionPool, seconds: float = 1, **options: Any) -> Any:
    return pool.checkout(1.0, time.monotonic() + seconds, **options)


def _free(pool: ConnectionPool) -> int:
    taken = 0
    while pool._slots.take(0):
        taken += 1
    for _ in range(taken):
        pool._slots.release()
    return taken


def test_newest_idle_connection_is_reused() -> None:
    pool = _pool()
    first, second = _checkout(pool), _checkout(pool)
    pool.give_back(first)
    pool.give_back(second)
    again = _checkout(pool)
    assert again is second
    assert again.reused
    assert not again.wrote
    assert not first.reused


def test_fresh_connection_passes_idle_ones_by() -> None:
    pool = _pool()
    first = _checkout(pool)
    pool.give_back(first)
    assert _checkout(pool, fresh=True) is not first


def test_connection_with_unasked_bytes_or_an_end_is_closed() -> None:
    pool = _pool()
    first = _checkout(pool)
    pool.give_back(first)
    first.waiting = True
    assert _checkout(pool) is not first
    assert first.closed == 1


def test_idle_connection_grows_old() -> None:
    pool = _pool(idle=0.01)
    first = _checkout(pool)
    pool.give_back(first)
    time.sleep(0.02)
    assert _checkout(pool) is not first
    assert first.closed == 1


def test_idle_zero_reuses_nothing() -> None:
    pool = _pool(idle=0)
    first = _checkout(pool)
    pool.give_back(first)
    assert _checkout(pool) is not first


def test_giving_back_closes_what_has_grown_old() -> None:
    pool = _pool(size=5, idle=5)
    burst = [_checkout(pool) for _ in range(5)]
    for connection in burst:
        pool.give_back(connection)
    for connection in burst[:4]:
        connection.idle_since -= 10
    pool.give_back(_checkout(pool))
    assert [connection.closed for connection in burst] == [1, 1, 1, 1, 0]


def test_full_pool_waits_until_the_deadline() -> None:
    pool = _pool(size=1)
    _checkout(pool)
    began = time.monotonic()
    with pytest.raises(PoolTimeout) as failed:
        _checkout(pool, 0.05)
    assert 0.04 < time.monotonic() - began < 10
    assert failed.value.retry_safe
    with pytest.raises(PoolTimeout):
        _checkout(pool, -1)


def test_waiting_request_gets_the_slot_that_becomes_free() -> None:
    pool = _pool(size=1)
    first = _checkout(pool)
    timer = threading.Timer(0.05, pool.give_back, [first])
    timer.start()
    assert _checkout(pool, 5) is first
    timer.join()


def test_nobody_waits_for_a_client_that_has_left() -> None:
    pool = _pool(size=1)
    first = _checkout(pool)
    began = time.monotonic()
    with pytest.raises(ClientGone):
        _checkout(pool, 30, abandoned=lambda: True)
    assert time.monotonic() - began < 10
    # Nor is one served whose turn comes after it has left.
    timer = threading.Timer(0.05, pool.give_back, [first])
    timer.start()
    with pytest.raises(ClientGone):
        _checkout(pool, 30, abandoned=lambda: True)
    timer.join()
    assert (pool.in_flight, _free(pool)) == (0, 1)


def test_connecting_gets_what_is_left_of_the_deadline() -> None:
    assert _checkout(_pool(), 0.5).seconds <= 0.5
    assert _checkout(_pool(), 50).seconds == 1.0
    assert _checkout(_pool(), -1).seconds > 0


@pytest.mark.parametrize("error", [ConnectFailed(), KeyboardInterrupt(), ValueError()])
def test_failed_dial_frees_its_slot(error: BaseException) -> None:
    def dial(_seconds: float) -> Any:
        raise error

    pool = _pool(size=1, dial=dial)
    for _ in range(3):
        with pytest.raises(type(error)):
            _checkout(pool)
    assert _free(pool) == 1


def test_discarding_closes_and_frees() -> None:
    pool = _pool(size=1)
    for _ in range(3):
        connection = _checkout(pool)
        pool.discard(connection)
        assert connection.closed == 1
    assert _free(pool) == 1


def test_close_closes_what_is_idle() -> None:
    pool = _pool()
    busy, idle = _checkout(pool), _checkout(pool)
    pool.give_back(idle)
    pool.close()
    pool.close()
    assert (busy.closed, idle.closed) == (0, 1)


class _Vanishing(list[Any]):
    """Looks filled, and is empty when touched."""

    def append(self, _item: Any) -> None:
        pass

    def __bool__(self) -> bool:
        return True


def test_slot_is_freed_when_another_thread_takes_the_connection_meanwhile() -> None:
    pool = _pool(size=1)
    connection = _checkout(pool)
    pool._idle = _Vanishing()  # type: ignore[assignment]
    pool.give_back(connection)
    assert _free(pool) == 1


def test_threads_never_share_a_connection_nor_lose_a_slot() -> None:
    pool = _pool(size=3, idle=0.0005)
    lock, busy, failures = threading.Lock(), set[int](), list[str]()

    def work(number: int) -> None:
        for turn in range(200):
            connection = _checkout(pool, 10)
            with lock:
                if id(connection) in busy or len(busy) >= 3 or connection.closed:
                    failures.append("shared, too many, or closed")
                busy.add(id(connection))
            if turn % 3 == 0:
                time.sleep(0)
            with lock:
                busy.discard(id(connection))
            (pool.discard if (turn + number) % 5 == 0 else pool.give_back)(connection)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert _free(pool) == 3
