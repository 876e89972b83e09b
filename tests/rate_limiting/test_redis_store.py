"""What is Redis's own: calls sent twice, many at once, and none of it holding the worker up."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from gateway.rate_limiting.redis_store import RedisWindows
from gateway.rate_limiting.windows import Hit, Window
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


ENDS = time.time() + 3600
BUCKET = Hit("b", 1, 3600, burst=2)
PERIOD = Hit("p", 3, 3600, ends=ENDS)


def again(windows: RedisWindows, hits: list[Hit], word: bytes) -> tuple[bool, list[Window]]:
    """A call that is known by this word, as if it were sent again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "urandom", lambda size: word * size)
        return windows.acquire(hits)


@pytest.mark.parametrize("hit", [BUCKET, PERIOD], ids=["bucket", "period"])
def test_level_sent_again_counts_once(server: RedisServer, hit: Hit) -> None:
    windows = RedisWindows(server.url, 5.0)
    for word, left in ((b"x", 2), (b"y", 1), (b"x", 1), (b"y", 1), (b"z", 0), (b"z", 0)):
        allowed, [window] = again(windows, [hit], word)
        assert (allowed, window.remaining, window.retry) == (True, left, 0)
    assert not windows.acquire([hit])[0]


def test_level_sent_again_is_known_after_some_others(server: RedisServer) -> None:
    windows = RedisWindows(server.url, 5.0)
    hit = Hit("b", 1, 3600, burst=99)
    again(windows, [hit], b"x")
    for _ in range(7):
        windows.acquire([hit])
    assert again(windows, [hit], b"x")[1][0].remaining == 92
    for _ in range(100):
        windows.acquire([hit])
    with redis.Redis.from_url(server.url) as client:
        [key] = client.keys("*")
        assert client.strlen(key) < 250  # not the words of all calls


def test_paced_call_sent_again_waits_as_long(server: RedisServer) -> None:
    windows = RedisWindows(server.url, 5.0)
    hit = replace(BUCKET, paced=True)
    waits = [again(windows, [hit], word)[1][0].wait for word in (b"x", b"y", b"y")]
    assert waits == [pytest.approx(expected, abs=5) for expected in (0, 3600, 3600)]


def test_mixed_call_sent_again_counts_once(server: RedisServer) -> None:
    windows = RedisWindows(server.url, 5.0)
    full = Hit("full", 1, 3600, dry=True)
    windows.acquire([full])
    hits = [full, Hit("a", 5, 3600), BUCKET, PERIOD, Hit("f", 1, 3600, 2, forced=True)]
    told = [again(windows, hits, b"x") for _ in range(3)]
    for allowed, found in told:
        assert allowed
        assert [window.remaining for window in found] == [0, 4, 2, 2, 0]
        assert [window.retry > 0 for window in found] == [True] + [False] * 4


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
    windows.acquire(
        [
            Hit("a", 5, 60),
            Hit("a", 1, 600, 2, burst=5),
            Hit("b", 5, 3600),
            Hit("c", 5, 86400, ends=time.time() + 7200),
            Hit("d", 5, 86400, ends=time.time() - 7200),
        ]
    )
    with redis.Redis.from_url(server.url) as client:
        left = sorted(client.ttl(key) for key in client.keys("*"))
    # A period is kept for a minute more.
    for found, most in zip(left, [61, 61, 1201, 3601, 7261], strict=True):
        assert most - 15 <= found <= most


_COOPERATION = """
from gevent import monkey
monkey.patch_all()
import sys
import gevent
from gateway.rate_limiting.redis_store import RedisWindows
from gateway.rate_limiting.windows import Hit, Window

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
