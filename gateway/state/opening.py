"""Choosing the store that workers tell each other things through, by the settings."""

from __future__ import annotations

from gateway.state.embedded import EmbeddedStore
from gateway.state.fallback import FallbackState
from gateway.state.shared import EmbeddedState, MemoryState, SharedState
from settings import Settings

#: The hash of what is told to operators alone. It changes all the time, and a change of anything
#: in the other has every worker read that one anew.
LOADS = "{gatehouse}:loads"


def open_state(
    settings: Settings, store: EmbeddedStore | None, key: str | None = None
) -> SharedState:
    """The state of one application; nothing is opened before it is used.

    With REDIS_URL it is shared by machines. When Redis fails, or without it, it is shared by the
    workers of this one, through `store`; None keeps it in this worker's memory. key: the hash in
    Redis, None for the usual.
    """
    memory = MemoryState()
    local: SharedState = memory
    if store is not None:
        local = FallbackState(EmbeddedState(store), memory, name="lmdb")
    if not settings.REDIS_URL:
        return local
    from gateway.state.redis_state import HASH, RedisState  # only if used

    redis = RedisState(settings.REDIS_URL, settings.REDIS_TIMEOUT, key=key or HASH)
    return FallbackState(redis, local, name="redis" if key is None else f"redis {key}")
