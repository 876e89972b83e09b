"""Short ways to keep something in a store, and to see what is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from gateway.caching.store import ResponseStore


def key_of(name: object) -> bytes:
    """A key as those of answers are."""
    return hashlib.blake2b(repr(name).encode(), digest_size=16).digest()


def put(
    responses: ResponseStore,
    name: object,
    data: bytes = b"data",
    *,
    url: str = "/orders",
    tags: Sequence[str] = (),
) -> bytes | None:
    """Keep something, as if it had been asked for at this moment; its stamp."""
    return responses.write(key_of(name), data, url=url, tags=tags, ticket=responses.ticket(url))


def data_of(responses: ResponseStore, name: object) -> bytes | None:
    """What is kept under a name."""
    found = responses.read(key_of(name))
    return None if found is None else found.data


def kept(responses: ResponseStore, names: Iterable[object]) -> list[object]:
    """Which of the names something is kept under."""
    return [name for name in names if responses.read(key_of(name)) is not None]
