"""Options of the stores."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.room import Room


class StoreSettings(Room):
    """Where is kept what workers share, and what outlasts them."""

    STATE_URL: str = Field(
        "lmdb://",
        description="Store shared by the workers of a machine: `lmdb:///folder`, `lmdb://` (a"
        " folder in the temporary directory, one for each checkout), or `memory://`.",
    )
    REDIS_URL: str = Field(
        "", repr=False, description="Store shared by several machines: `redis://` or `rediss://`."
    )
    REDIS_TIMEOUT: float = Field(
        0.25, gt=0, description="Seconds to wait for Redis before the local store steps in."
    )
    ALLOW_MEMORY_STATE: bool = Field(
        False,
        description="Permit `memory://` with several workers: each then counts, and keeps answers,"
        " alone.",
    )
    DATABASE_URL: str = Field(
        "",
        repr=False,
        description="What keeps API keys, usage and webhooks:"
        " `postgresql://user:password@host/name`, or `sqlite:////path/name.db`. Empty:"
        " `gatehouse.db` in the working directory. Not opened while nothing needs it.",
    )
    USAGE_DAYS: int = Field(
        400,
        ge=0,
        le=36_500,
        description="Days for which the database keeps what API keys and quotas used, from the end"
        " of the month it was used in. 0: for ever. What is counted for ever is always kept.",
    )
