"""Moving windows in Redis: exact across machines, decided inside Redis by its own clock."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from gateway.rate_limiting.windows import Hit, Window, spent

_SCRIPT = (Path(__file__).parent / "acquire.lua").read_text()
# One hash tag, so that all windows of a request are on one node of a cluster.
_PREFIX = "{gatehouse}:window:"


class RedisWindows:
    """Windows in the Redis at `url`; `timeout` bounds connecting and every answer, in seconds.

    Raises redis.RedisError when it cannot be asked. One request is one round trip.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._client: Any = redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # Once more for a connection that Redis closed while it was idle.
            retry=Retry(NoBackoff(), 1),
        )
        self._acquire = self._client.register_script(_SCRIPT)

    def acquire(self, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        """See Windows.acquire."""
        allowed, windows = self._ask(hits, count=True)
        if allowed:
            windows = [spent(h, w) for h, w in zip(hits, windows, strict=True)]
        return allowed, windows

    def peek(self, hit: Hit) -> Window:
        """See Windows.peek."""
        return self._ask([hit], count=False)[1][0]

    def _ask(self, hits: Sequence[Hit], *, count: bool) -> tuple[bool, list[Window]]:
        arguments: list[str | int] = [os.urandom(8).hex(), int(count)]
        for hit in hits:
            arguments += [hit.limit, hit.seconds, hit.cost]
        keys = [_name(hit.key, hit.seconds) for hit in hits]
        answer: list[int] = self._acquire(keys=keys, args=arguments)
        windows = [
            Window(answer[i], answer[i + 1] / 1000, answer[i + 2] / 1000)
            for i in range(1, len(answer), 3)
        ]
        return bool(answer[0]), windows

    def clear(self, key: str, seconds: int) -> None:
        """See Windows.clear."""
        self._client.delete(_name(key, seconds))

    def check(self) -> bool:
        """Whether Redis answers."""
        return bool(self._client.ping())


def _name(key: str, seconds: int) -> str:
    return f"{_PREFIX}{seconds}|{key}"
