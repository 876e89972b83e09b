"""Every store that answers are kept in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from gateway.caching.embedded import EmbeddedResponses
from gateway.caching.memory import MemoryResponses
from gateway.caching.redis_store import RedisResponses
from gateway.caching.store import ResponseStore
from tests.rate_limiting.redis_server import BINARY, RedisServer, start_redis

#: The bytes that each of the stores may take.
SIZE = 1024 * 1024


@pytest.fixture(scope="package")
def shared_redis() -> Iterator[RedisServer]:
    """A Redis for tests that leave it running."""
    if BINARY is None:
        pytest.skip("there is no redis-server here")
    with start_redis() as server:
        yield server


@pytest.fixture
def own() -> Iterator[RedisServer]:
    """A Redis for one test, which may maltreat it, and end it."""
    if BINARY is None:
        pytest.skip("there is no redis-server here")
    with start_redis() as server:
        yield server


@pytest.fixture(params=["memory", "lmdb", "redis"])
def responses(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ResponseStore]:
    """Each of the stores, with nothing in it."""
    if request.param == "memory":
        yield MemoryResponses(SIZE)
    elif request.param == "lmdb":
        opened = EmbeddedResponses(tmp_path / "responses", SIZE)
        yield opened
        opened.close()
    else:
        server: RedisServer = request.getfixturevalue("shared_redis")
        with redis.Redis.from_url(server.url) as client:
            client.flushall()
        yield RedisResponses(server.url, 5.0, SIZE)
