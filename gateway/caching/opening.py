"""Choosing the store that answers are kept in, by the settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.caching.fallback import FallbackResponses
from gateway.caching.store import ResponseStore
from gateway.caching.tiers import TieredResponses
from gateway.state import store_folder
from settings import Settings

#: Its name among what the policies of an application have in common.
RESPONSES = "responses"


def open_responses(
    settings: Settings,
    commons: dict[str, Any],
    each_second: Callable[[Callable[[], None]], None] | None = None,
) -> TieredResponses:
    """The answers kept by one application, the same for all who ask with these commons.
    each_second: how a process that asks upstream has something done beside requests.

    With REDIS_URL they are shared by machines, otherwise by the workers of this one; with
    `memory://` each worker has its own, and purges those alone. There is no other store to step
    in: without the chosen one nothing is kept. Nothing is opened before it is used.
    """
    responses: TieredResponses | None = commons.get(RESPONSES)
    if responses is None:
        responses = TieredResponses(_store(settings), settings.CACHE_WORKER_BYTES)
        commons[RESPONSES] = responses
        if each_second is not None:
            each_second(responses.renew)
    return responses


def is_new(settings: Settings) -> bool:
    """Whether there is no store of kept answers yet, as far as that can be told without one: of
    Redis it cannot."""
    embedded = not settings.REDIS_URL and settings.STATE_URL != "memory://"
    return embedded and not _folder(settings).exists()


def _folder(settings: Settings) -> Path:
    return store_folder(settings.STATE_URL) / "responses"


def _store(settings: Settings) -> FallbackResponses:
    """Each is only imported where it is used."""
    size = settings.CACHE_BYTES
    store: ResponseStore
    if settings.REDIS_URL:
        from gateway.caching.redis_store import RedisResponses

        store = RedisResponses(settings.REDIS_URL, settings.REDIS_TIMEOUT, size)
        return FallbackResponses(store, name="redis")
    if settings.STATE_URL == "memory://":
        from gateway.caching.memory import MemoryResponses

        return FallbackResponses(MemoryResponses(size), name="memory")
    from gateway.caching.embedded import EmbeddedResponses

    store = EmbeddedResponses(_folder(settings), size)
    return FallbackResponses(store, name="lmdb")
