"""Options of what operators see."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.room import Room


class OperationsSettings(Room):
    """What is written to the log, and where operators look."""

    ACCESS_LOG: bool = Field(True, description="Write one JSON line per request to stdout.")
    SECURITY_LOG: bool = Field(
        True,
        description="Write a JSON line to stdout for refused credentials, missing permissions,"
        " forged identity fields and authorities that do not answer.",
    )
    SECURITY_LOG_RATE: int = Field(
        100,
        ge=0,
        description="Such lines of one kind that a worker writes per second; the next one then"
        " tells how many were left out. 0: any number.",
    )
    ADMIN_PREFIX: str = Field(
        "",
        pattern=r"^(/[A-Za-z0-9_~\-][A-Za-z0-9._~\-]*)*$",
        description="Path under which operators look at the gateway and purge its cache, such as"
        " `/admin` (docs/caching.md); no service may own it. Empty: nowhere.",
    )
