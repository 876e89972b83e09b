"""Choosing the store that limits are counted in, by the settings."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from gateway.rate_limiting.embedded import EmbeddedWindows
from gateway.rate_limiting.fallback import FallbackWindows
from gateway.rate_limiting.memory import MemoryWindows
from gateway.rate_limiting.windows import Windows
from gateway.state import EmbeddedStore, store_folder
from settings import Settings

log = logging.getLogger("gateway.rate_limiting")

#: Name of the shared counter of decisions that were not made by the configured store.
FALLBACKS = "rate_limit_fallbacks"


def faults(settings: Settings) -> list[str]:
    """What is wrong with the store's settings."""
    return [*_local_faults(settings), *_redis_faults(settings.REDIS_URL)]


def _local_faults(settings: Settings) -> list[str]:
    url = settings.STATE_URL
    if url == "memory://":
        if settings.WEB_CONCURRENCY > 1 and not settings.ALLOW_MEMORY_STATE:
            workers = settings.WEB_CONCURRENCY
            alone = f"STATE_URL=memory:// counts in each of the {workers} workers alone;"
            return [f"{alone} use lmdb://, or set ALLOW_MEMORY_STATE=true if that is meant"]
        return []
    if not url.startswith("lmdb://"):
        return ["STATE_URL must be lmdb://, lmdb:///folder or memory://"]
    folder = store_folder(url)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = folder.stat().st_uid
    except OSError as error:
        return [f"STATE_URL: the folder cannot be made: {error.strerror}"]
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return ["STATE_URL: the folder cannot be written"]
    if url == "lmdb://" and owner != os.getuid():
        # Everybody may make a folder of this name in the temporary directory.
        return ["STATE_URL: the folder belongs to another user"]
    return []


def _redis_faults(url: str) -> list[str]:
    if not url:
        return []
    if not url.startswith(("redis://", "rediss://")):
        return ["REDIS_URL must begin with redis:// or rediss://"]
    from gateway.state.redis_client import check_url  # only if used

    try:
        check_url(url)
    except ValueError:
        return ["REDIS_URL cannot be read"]
    return []


def open_windows(settings: Settings) -> tuple[Windows, EmbeddedStore | None]:
    """The windows that decide, and the embedded store if there is one.

    Redis falls back to the embedded store, that one to this worker's memory. Nothing is opened
    before it is used.
    """
    memory = MemoryWindows()
    if settings.STATE_URL == "memory://":
        if not settings.REDIS_URL:
            return memory, None
        return _with_redis(settings, memory, lambda: None), None
    store = EmbeddedStore(store_folder(settings.STATE_URL))
    embedded = FallbackWindows(EmbeddedWindows(store), memory, lambda: None, name="lmdb")
    if not settings.REDIS_URL:
        return embedded, store
    return _with_redis(settings, embedded, _counter(store)), store


def _with_redis(
    settings: Settings, local: Windows, counted: Callable[[], object]
) -> FallbackWindows:
    from gateway.rate_limiting.redis_store import RedisWindows  # only if used

    redis = RedisWindows(settings.REDIS_URL, settings.REDIS_TIMEOUT)
    return FallbackWindows(redis, local, counted, name="redis")


def _counter(store: EmbeddedStore) -> Callable[[], object]:
    def count() -> None:
        try:
            store.count(FALLBACKS)
        except Exception as error:  # noqa: BLE001  counting must not fail what it counts
            log.warning("fallback counter: %s", type(error).__name__)

    return count
