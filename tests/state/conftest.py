"""Stores that are shared, and one that is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.rate_limiting.redis_server import BINARY, RedisServer, start_redis


@pytest.fixture(scope="session")
def running_redis() -> Iterator[RedisServer]:
    """A Redis for tests that leave it running."""
    if BINARY is None:
        pytest.skip("there is no redis-server here")
    with start_redis() as server:
        yield server


@pytest.fixture
def empty_redis(running_redis: RedisServer) -> RedisServer:
    """The same with nothing in it."""
    with redis.Redis.from_url(running_redis.url) as client:
        client.flushall()
    return running_redis


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis to be maltreated."""
    if BINARY is None:
        pytest.skip("there is no redis-server here")
    with start_redis() as server:
        yield server


@pytest.fixture(params=["lmdb", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where processes meet; see `open_store`."""
    if request.param == "lmdb":
        return str(tmp_path / "state")
    server: RedisServer = request.getfixturevalue("empty_redis")
    return server.url
