"""Real stores that go away, and come back: requests go on, and /readyz and the log tell."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from gateway import limiter
from gateway.rate_limiting.embedded import EmbeddedWindows
from gateway.rate_limiting.fallback import FallbackWindows
from gateway.rate_limiting.memory import MemoryWindows
from gateway.rate_limiting.redis_store import RedisWindows
from gateway.rate_limiting.windows import Hit
from gateway.state import EmbeddedStore, files
from tests.rate_limiting.apps import passed, service
from tests.rate_limiting.conftest import MakeClient
from tests.rate_limiting.redis_server import RedisServer, needs_redis, start_redis

HIT = Hit("key", 5, 60)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of the test's own, to be maltreated."""
    with start_redis() as server:
        yield server


@needs_redis
@pytest.mark.parametrize("way", ["stop", "hang"])
def test_redis_that_goes_and_comes_back(
    redis: RedisServer, embedded: EmbeddedStore, way: str
) -> None:
    windows = FallbackWindows(
        RedisWindows(redis.url, 0.2), EmbeddedWindows(embedded), lambda: None, pause=0.1
    )
    hit = Hit("key", 10**6, 60)
    assert windows.acquire([hit])[1][0].remaining == 10**6 - 1
    getattr(redis, way)()
    began = time.monotonic()
    for _ in range(50):
        assert windows.acquire([hit])[0]
    assert time.monotonic() - began < 5, "every request waits for it"
    assert windows.degraded
    assert EmbeddedWindows(embedded).peek(hit).remaining == 10**6 - 50
    redis.start() if way == "stop" else redis.go_on()
    end = time.monotonic() + 10
    while windows.degraded and time.monotonic() < end:
        time.sleep(0.05)
        windows.acquire([hit])
    assert not windows.degraded


@needs_redis
def test_redis_that_refuses_to_write(redis: RedisServer) -> None:
    far = RedisWindows(redis.url, 5.0)
    windows = FallbackWindows(far, MemoryWindows(), lambda: None)
    far._client.replicaof("127.0.0.1", 1)  # a copy is only read
    assert windows.acquire([HIT])[0]
    assert windows.degraded


def health(client: FlaskClient) -> dict[str, object]:
    """What /readyz says of limits."""
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json is not None
    return dict(response.json["limits"])


@needs_redis
def test_readyz_tells(make_client: MakeClient, redis: RedisServer) -> None:
    orders = service()
    limiter.limit("3/hour")(orders)
    client = make_client(orders, REDIS_URL=redis.url)
    assert passed(client, "/orders/x", 1) == 1
    assert health(client) == {"store": "shared", "fallbacks": 0}
    redis.stop()
    assert passed(client, "/orders/x", 5) == 3
    assert health(client) == {"store": "local", "fallbacks": 5}


def test_folder_that_goes_away_for_good(
    make_client: MakeClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(files, "_LOOK", 0.0)
    orders = service()
    limiter.limit("3/hour")(orders)
    client = make_client(orders, STATE_URL=f"lmdb://{tmp_path / 'gone'}")
    assert passed(client, "/orders/x", 1) == 1
    (tmp_path / "gone").rename(tmp_path / "elsewhere")
    (tmp_path / "gone").write_text("in the way")
    assert passed(client, "/orders/x", 5) == 3
    assert health(client)["store"] == "local"
    assert "rate limit store lmdb failed" in caplog.text


def test_full_store(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(files, "USUAL", files.Layout(size=256 * 1024))
    orders = service()
    limiter.limit("100000/hour", cost=50_000)(orders)
    client = make_client(orders)
    assert passed(client, "/orders/x", 4) == 2
    assert health(client)["store"] == "local"
    assert "rate limit store lmdb failed (MapFullError): local limits apply" in caplog.text
