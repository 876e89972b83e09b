"""Options of the response cache."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.room import Room


class CacheSettings(Room):
    """How much room answers have that are kept."""

    CACHE_BYTES: int = Field(
        256 * 1024 * 1024,
        ge=1024 * 1024,
        description="Most bytes of all answers kept by `Cache` policies, in the store that the"
        " workers share (docs/caching.md); what was written first makes room.",
    )
    CACHE_ENTRY_BYTES: int = Field(
        1024 * 1024,
        ge=0,
        description="Longest body in bytes that is kept, an eighth of CACHE_BYTES at most. 0: only "
        "answers without one.",
    )
    CACHE_WORKER_BYTES: int = Field(
        16 * 1024 * 1024,
        ge=0,
        description="Bytes of kept answers that each worker has ready beside that store. 0: none,"
        " each is read from the store.",
    )
