"""Answers in a Redis of tests, by number."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.caching.redis_store import RedisResponses

SIZE = 1 << 20


def key_of(number: int) -> bytes:
    """A key; any byte may be in it."""
    return number.to_bytes(4, "big") * 4


KEY = key_of(0x7D0AFF00)


def put(
    responses: RedisResponses,
    number: int | bytes = KEY,
    data: bytes = b"data",
    *,
    url: str = "/orders",
    tags: Sequence[str] = (),
) -> bytes | None:
    """Keep something; its stamp."""
    key = number if isinstance(number, bytes) else key_of(number)
    return responses.write(key, data, url=url, tags=tags, ticket=responses.ticket(url))


def data_of(responses: RedisResponses, number: int | bytes = KEY) -> bytes | None:
    """What is kept."""
    found = responses.read(number if isinstance(number, bytes) else key_of(number))
    return None if found is None else found.data
