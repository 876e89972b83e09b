"""Options of all backends."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.room import Room


class UpstreamSettings(Room):
    """How backends are connected to, and for how long they are waited for."""

    CONNECT_TIMEOUT: float = Field(1, gt=0, description="Seconds to connect to a backend, or 504.")
    READ_TIMEOUT: float = Field(
        10, gt=0, description="Seconds a backend may be silent, before or inside an answer."
    )
    TOTAL_TIMEOUT: float = Field(
        25, gt=0, description="Seconds from a request's arrival to the backend's response head."
    )
    POOL_SIZE: int = Field(
        0,
        ge=0,
        description="Most connections of one worker to one backend instance. 0: as many as the"
        " worker forwards requests.",
    )
    POOL_IDLE_SECONDS: float = Field(
        30, ge=0, description="Seconds an idle backend connection is kept. 0: never reused."
    )
    UPSTREAM_CA_FILE: str = Field(
        "", description="PEM file of the authorities trusted for https backends. Empty: certifi's."
    )
    FAULT_INJECTION: bool = Field(
        False,
        description="Let `FaultInjection` policies delay and fail requests on purpose. False: they"
        " do nothing. Not for production.",
    )
