"""Windows in Redis: exact across machines, decided inside Redis by its own clock."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gateway.rate_limiting.windows import CLOCK_STEP, Hit, Window, capacity_of, name_of, waits
from gateway.state.redis_client import redis_client

_SCRIPT = (Path(__file__).parent / "acquire.lua").read_text()
# One hash tag, so that all windows of a request are on one node of a cluster.
_PREFIX = "{gatehouse}:window:"
_CONNECTIONS = 16


class RedisWindows:
    """Windows in the Redis at `url`; `timeout` bounds connecting and every answer, in seconds.

    Raises redis.RedisError when it cannot be asked. One request is one round trip.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._client = redis_client(url, timeout, _CONNECTIONS)
        self._acquire = self._client.register_script(_SCRIPT)

    def acquire(self, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        """See Windows.acquire."""
        return self._ask(hits, count=True)

    def peek(self, hit: Hit) -> Window:
        """See Windows.peek."""
        return self._ask([hit], count=False)[1][0]

    def _ask(self, hits: Sequence[Hit], *, count: bool) -> tuple[bool, list[Window]]:
        arguments: list[str | int] = [os.urandom(8).hex(), int(count), int(CLOCK_STEP)]
        arguments += map(_told, hits)
        answer: list[int] = self._acquire(keys=[_key(hit) for hit in hits], args=arguments)
        counted = count and answer[0] == 1
        windows = [
            _window(hit, answer[i], answer[i + 1] / 1000, answer[i + 2] / 1000, counted)
            for hit, i in zip(hits, range(1, len(answer), 3), strict=True)
        ]
        return answer[0] == 1, windows

    def clear(self, hit: Hit) -> None:
        """See Windows.clear."""
        self._client.delete(_key(hit))

    def check(self) -> bool:
        """Whether Redis answers."""
        return bool(self._client.ping())


def _key(hit: Hit) -> bytes:
    return (_PREFIX + name_of(hit)).encode("utf-8", "surrogatepass")


def _told(hit: Hit) -> str:
    """A hit as the script reads it."""
    kind, extra = "w", 0.0
    if hit.ends is not None:
        kind, extra = "p", hit.ends
    elif hit.burst is not None:
        kind, extra = "b", capacity_of(hit)
    refuses = "n" if hit.dry or hit.forced else "y"
    counts = "n" if hit.peek else "a" if hit.forced else "r"
    return f"{kind}{refuses}{counts} {hit.limit} {hit.seconds} {hit.cost} {extra}"


def _window(hit: Hit, remaining: int, reset: float, retry: float, counted: bool) -> Window:
    wait = 0.0
    if counted and waits(hit):  # the bucket was so full before
        wait = max(reset - hit.cost * hit.seconds / hit.limit, 0.0)
    return Window(remaining, reset, retry, wait)
