"""Options of API keys."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.room import Room


class APIKeySettings(Room):
    """Whether API keys are accepted, where from, and how long they are believed."""

    API_KEYS: bool = Field(
        False,
        description="Accept the API keys of the database (docs/api_keys.md). False: none, and the"
        " header passes to backends as any other.",
    )
    API_KEY_HEADER: str = Field(
        "X-API-Key",
        pattern=r"^[A-Za-z0-9\-]+$",
        description="Header that holds an API key; with API_KEYS no backend is sent it.",
    )
    API_KEY_BASIC: bool = Field(
        False,
        description="Accept API keys as the password of HTTP basic authentication, too, with any"
        " user name. False: `Authorization: Basic` is the backends' own.",
    )
    API_KEY_CACHE_SIZE: int = Field(
        10_000, ge=1, description="API keys each worker remembers, and as many unknown key ids."
    )
    API_KEY_GRACE: float = Field(
        300,
        ge=0,
        description="Seconds for which a worker goes on with the API keys it knows while the"
        " database cannot be asked. 0: those are 503 at once, too.",
    )
