"""Which store is chosen, and which settings are refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gateway import ConfigurationError
from gateway.rate_limiting import stores
from gateway.rate_limiting.fallback import FallbackWindows
from gateway.rate_limiting.memory import MemoryWindows
from gateway.rate_limiting.windows import Hit
from settings import Settings
from tests.rate_limiting.conftest import MakeClient
from tests.rate_limiting.redis_server import RedisServer

NOBODY = "redis://127.0.0.1:1"


def made(**options: Any) -> Settings:
    """Settings of these options."""
    return Settings.model_validate(options)


@pytest.mark.parametrize(
    "options",
    [
        {"STATE_URL": "memory://", "WEB_CONCURRENCY": 1},
        {"STATE_URL": "memory://", "WEB_CONCURRENCY": 2, "ALLOW_MEMORY_STATE": True},
        {"REDIS_URL": "redis://:secret@host:6379/3"},
        {"REDIS_URL": "rediss://host"},
    ],
)
def test_settings_that_are_taken(options: dict[str, Any]) -> None:
    assert stores.faults(made(**options)) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"STATE_URL": "memory://", "WEB_CONCURRENCY": 2}, "2 workers alone"),
        ({"STATE_URL": "memory://", "WEB_CONCURRENCY": 4, "REDIS_URL": NOBODY}, "4 workers alone"),
        ({"STATE_URL": "memory:///x"}, "must be lmdb://"),
        ({"STATE_URL": "redis://host"}, "must be lmdb://"),
        ({"STATE_URL": ""}, "must be lmdb://"),
        ({"STATE_URL": "lmdb:///dev/null/state"}, "cannot be made"),
        ({"REDIS_URL": "http://host"}, "REDIS_URL must begin"),
        ({"REDIS_URL": "redis://host:port"}, "REDIS_URL cannot be read"),
        ({"REDIS_URL": "redis://:secret@host:port"}, "REDIS_URL cannot be read"),
        ({"STATE_URL": "memory://", "WEB_CONCURRENCY": 1, "REDIS_URL": "x"}, "REDIS_URL must"),
    ],
)
def test_settings_that_are_refused(options: dict[str, Any], said: str) -> None:
    [fault] = stores.faults(made(**options))
    assert said in fault
    assert "secret" not in fault


def test_all_faults_of_the_stores_at_once() -> None:
    assert len(stores.faults(made(STATE_URL="ftp://", REDIS_URL="ftp://"))) == 2


def test_faults_stop_the_start(make_client: MakeClient) -> None:
    with pytest.raises(ConfigurationError, match="memory://"):
        make_client(STATE_URL="memory://", WEB_CONCURRENCY=2)


def test_folder_of_somebody_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stores, "store_folder", lambda url: tmp_path)
    assert stores.faults(made()) == []
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert stores.faults(made()) == ["STATE_URL: the folder belongs to another user"]
    assert stores.faults(made(STATE_URL=f"lmdb://{tmp_path}")) == []


def test_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    [fault] = stores.faults(made(STATE_URL=f"lmdb://{tmp_path}"))
    assert "cannot be written" in fault


def remaining(settings: Settings) -> tuple[int, int]:
    """What two applications of these settings, one after the other, have left of three."""
    left = []
    for _ in range(2):
        windows, store = stores.open_windows(settings)
        left.append(windows.acquire([Hit(f"{settings.STATE_URL}", 3, 60)])[1][0].remaining)
    if store is not None:
        store.close()
    return left[0], left[1]


def test_embedded_store_is_shared(tmp_path: Path) -> None:
    settings = made(STATE_URL=f"lmdb://{tmp_path}")
    assert remaining(settings) == (2, 1)
    assert list(tmp_path.iterdir())


def test_memory_is_not() -> None:
    assert remaining(made(STATE_URL="memory://")) == (2, 2)
    windows, store = stores.open_windows(made(STATE_URL="memory://"))
    assert isinstance(windows, MemoryWindows)
    assert store is None


def test_redis_is_shared_and_comes_first(tmp_path: Path, redis_server: RedisServer) -> None:
    settings = made(STATE_URL=f"lmdb://{tmp_path / 'a'}", REDIS_URL=redis_server.url)
    assert remaining(settings) == (2, 1)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("local", ["lmdb", "memory"])
def test_redis_falls_back(tmp_path: Path, local: str) -> None:
    url = f"lmdb://{tmp_path}" if local == "lmdb" else "memory://"
    windows, store = stores.open_windows(made(STATE_URL=url, REDIS_URL=NOBODY))
    assert isinstance(windows, FallbackWindows)
    assert [windows.acquire([Hit("key", 2, 60)])[0] for _ in range(3)] == [True, True, False]
    assert windows.degraded
    if store is not None:
        assert store.count(stores.FALLBACKS, 0) == 3
        store.close()


def test_nothing_is_opened_before_it_is_used(tmp_path: Path) -> None:
    stores.open_windows(made(STATE_URL=f"lmdb://{tmp_path / 'a'}", REDIS_URL=NOBODY))
    assert not (tmp_path / "a").exists()
