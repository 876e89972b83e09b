"""Options of the process."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.settings.room import Room


class ProcessSettings(Room):
    """How the gateway listens, how many workers it has, and how they start and stop."""

    PORT: int = Field(8000, ge=0, le=65535, description="Port to listen on, all interfaces.")
    BIND: str = Field(
        "", description="Listen here instead of PORT: `host:port` or `unix:/path`. Empty: use PORT."
    )
    WEB_CONCURRENCY: int = Field(2, ge=1, description="Number of gunicorn workers.")
    WORKER_CLASS: Literal["gevent", "gthread"] = Field(
        "gevent", description="How a worker does many things at once: `gevent` or `gthread`."
    )
    WORKER_CONNECTIONS: int = Field(
        512,
        ge=1,
        description="Requests one gevent worker forwards at the same time; a quarter as many, at"
        " least 32, wait for a moment, more are 503. It takes more connections than both.",
    )
    WORKER_THREADS: int = Field(
        16,
        ge=1,
        description="Requests one gthread worker forwards at the same time; four times as many wait"
        " for a moment, more are 503. It has threads for both, and two more.",
    )
    KEEPALIVE_SECONDS: int = Field(
        75,
        ge=0,
        description="Seconds an idle client connection stays open. 0: closed after each answer.",
    )
    GRACEFUL_TIMEOUT: int = Field(
        25, ge=1, description="Seconds that running requests get to finish when a worker stops."
    )
    DRAIN_SECONDS: float = Field(
        3, ge=0, description="Seconds of `/readyz` 503 while still serving, before a stop. 0: none."
    )
    MAX_REQUESTS: int = Field(
        100_000, ge=0, description="Requests after which a worker is replaced. 0: never."
    )
    MAX_REQUESTS_JITTER: int = Field(
        10_000, ge=0, description="Random extra requests, so that workers are not replaced at once."
    )
    LIMIT_REQUEST_LINE: int = Field(
        8190, ge=256, le=65536, description="Longest request line in bytes; longer is 414."
    )
    LIMIT_REQUEST_FIELDS: int = Field(
        100, ge=1, le=32768, description="Most request header fields; more is 431."
    )
    LIMIT_REQUEST_FIELD_SIZE: int = Field(
        16380, ge=256, description="Longest request header field in bytes; longer is 431."
    )

    @property
    def bind(self) -> str:
        """The address gunicorn listens on."""
        return self.BIND or f"0.0.0.0:{self.PORT}"

    @property
    def worker_concurrency(self) -> int:
        """Requests that one worker forwards at the same time."""
        return self.WORKER_CONNECTIONS if self.WORKER_CLASS == "gevent" else self.WORKER_THREADS

    @property
    def worker_waiting(self) -> int:
        """Requests that wait until one worker may forward them."""
        if self.WORKER_CLASS == "gevent":
            return max(32, self.WORKER_CONNECTIONS // 4)
        return 4 * self.WORKER_THREADS
