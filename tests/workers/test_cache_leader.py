"""The worker that asks for many is killed: the others hear of it, and one of them asks."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.testing import Received, ScriptedUpstream, Send, Step, Until
from tests.rate_limiting.redis_server import needs_redis, start_redis
from tests.support.client import Ended
from tests.support.gunicorn import Gateway, start_gateway
from tests.support.messages import request_head, response
from tests.workers.pinned import burst, pinned

OK = Send(response(b"200 OK", b"Cache-Control: max-age=600", body=b"whole"))
#: A service whose requests wait for each other for twenty seconds.
TARGET = b"/kept/x"
WORKERS = 2


@contextlib.contextmanager
def running(
    worker_class: str, upstream: ScriptedUpstream, folder: Path, **env: str
) -> Iterator[Gateway]:
    """Two workers."""
    settings = {
        **dict.fromkeys(("KEPT_URL", "HASTY_URL", "OWN_URL", "DOOMED_URL"), upstream.url),
        "STATE_URL": f"lmdb://{folder}",
        "KEEPALIVE_SECONDS": "60",
        "READ_TIMEOUT": "60",
        "TOTAL_TIMEOUT": "60",
        **env,
    }
    with start_gateway(
        "tests.workers.cache_app:app", worker_class=worker_class, workers=WORKERS, env=settings
    ) as gateway:
        yield gateway


def ask_and_kill(gateway: Gateway, upstream: ScriptedUpstream) -> float:
    """How long the others waited."""
    numbers, never = itertools.count(), threading.Event()

    def answer(_received: Received) -> list[Step]:
        return [OK] if next(numbers) else [Until(never, 30), OK]

    upstream.answer(answer)
    with pinned(gateway, 8, WORKERS) as clients:
        leader, other = clients[:2]
        others = [one for one in clients if one.worker == other.worker]
        leader.connection.send(request_head(TARGET))
        assert upstream.wait_until(lambda: bool(upstream.requests))
        with burst(others, TARGET) as answers:
            os.kill(leader.worker, signal.SIGKILL)
        with pytest.raises((Ended, OSError)):
            leader.connection.read_reply()
    never.set()
    assert {(one.reply.status, one.reply.body) for one in answers} == {(200, b"whole")}
    assert len(upstream.requests) == 2
    return max(one.seconds for one in answers)


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_another_worker_asks(worker_class: str, upstream: ScriptedUpstream, tmp_path: Path) -> None:
    with running(worker_class, upstream, tmp_path) as gateway:
        assert ask_and_kill(gateway, upstream) < 10


@needs_redis
def test_another_worker_asks_with_redis(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    with start_redis() as redis:
        env = {"REDIS_URL": redis.url, "REDIS_TIMEOUT": "5"}
        with running("gevent", upstream, tmp_path, **env) as gateway:
            assert ask_and_kill(gateway, upstream) < 10
