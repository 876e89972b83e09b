"""The connections of a worker to Redis: few, taken in turns, and with an end to every wait."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry


def check_url(url: str) -> None:
    """Raises ValueError for a URL that cannot be read."""
    parse_url(url)  # type: ignore[no-untyped-call]


def redis_client(
    url: str,
    timeout: float,
    connections: int,
    connected: Callable[[Any], object] | None = None,
) -> Any:
    """A client for the Redis at `url`, which connects when it is used; `timeout` bounds connecting
    and every answer, in seconds. Calls must have the effect of one if they are sent twice.

    connections: at most. Requests take turns on them: with a plain pool a burst would find none
    left, and small plans allow few. connected: called with each connection before it is used; what
    it raises (redis.RedisError) is a failure to connect.
    """

    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=4 * timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        redis_connect_func=connected and partial(_greet, connected),
        # Once more for a connection that Redis closed while it was idle, but not after waiting.
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )
    return redis.Redis.from_pool(pool)


def _greet(connected: Callable[[Any], object], connection: Any) -> None:
    connection.on_connect()
    connected(connection)
