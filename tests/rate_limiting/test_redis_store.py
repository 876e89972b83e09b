"""What is Redis's own: calls sent twice, many at once, and none of it holding the worker up."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import redis

from gateway.rate_limiting.redis_store import RedisWindows
from gateway.rate_limiting.windows import Hit
from tests.rate_limiting.redis_server import RedisServer, needs_redis, start_redis
from tests.support.gunicorn import ROOT

pytestmark = needs_redis


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis with nothing in it."""
    with start_redis() as running:
        yield running


def test_call_sent_again_counts_once(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = RedisWindows(server.url, 5.0)
    hits = [Hit("a", 2, 60), Hit("b", 5, 60, 2)]
    with monkeypatch.context() as patch:
        patch.setattr(os, "urandom", lambda size: b"x" * size)
        told = [windows.acquire(hits) for _ in range(3)]
    assert [(allowed, [w.remaining for w in found]) for allowed, found in told] == [
        (True, [1, 3])
    ] * 3
    assert windows.acquire(hits)[0]
    with monkeypatch.context() as patch:  # also when it was the last that had room
        patch.setattr(os, "urandom", lambda size: b"x" * size)
        assert windows.acquire(hits)[0]
    assert not windows.acquire(hits)[0]


def test_script_that_redis_forgot_is_loaded_again(server: RedisServer) -> None:
    windows = RedisWindows(server.url, 5.0)
    assert windows.acquire([Hit("a", 5, 60)])[0]
    server.stop()
    server.start()
    assert windows.acquire([Hit("a", 5, 60)])[1][0].remaining == 4


def test_many_at_once_are_exact_on_few_connections(server: RedisServer) -> None:
    windows = RedisWindows(server.url, 5.0)
    together, allowed, failed = threading.Barrier(200), [], []

    def ask() -> None:
        together.wait(30)
        try:
            allowed.append(windows.acquire([Hit("a", 100, 60)])[0])
        except redis.RedisError as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    assert allowed.count(True) == 100
    with redis.Redis.from_url(server.url) as client:
        assert client.info("clients")["connected_clients"] <= 17


def test_windows_expire_by_themselves(server: RedisServer) -> None:
    windows = RedisWindows(server.url, 5.0)
    windows.acquire([Hit("a", 5, 60), Hit("b", 5, 3600)])
    with redis.Redis.from_url(server.url) as client:
        left = sorted(client.ttl(key) for key in client.keys("*"))
    assert 50 <= left[0] <= 61
    assert 3590 <= left[1] <= 3601


_COOPERATION = """
from gevent import monkey
monkey.patch_all()
import sys
import gevent
from gateway.rate_limiting.redis_store import RedisWindows
from gateway.rate_limiting.windows import Hit

windows, turns, over = RedisWindows(sys.argv[1], 1.0), [0], [False]

def count():
    while not over[0]:
        turns[0] += 1
        gevent.sleep(0.01)

def ask():
    try:
        windows.acquire([Hit("a", 100, 60)])
    except Exception:
        pass
    over[0] = True

gevent.joinall([gevent.spawn(count), gevent.spawn(ask)])
assert turns[0] > 20, turns
"""


def test_waiting_for_redis_holds_no_other_greenlet_up(server: RedisServer) -> None:
    server.hang()
    command = [sys.executable, "-c", _COOPERATION, server.url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    server.go_on()
    assert done.returncode == 0, done.stderr
