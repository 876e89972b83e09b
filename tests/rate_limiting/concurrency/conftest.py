"""Every store of slots, as several workers have it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.rate_limiting.concurrency.embedded import EmbeddedSlots
from gateway.rate_limiting.concurrency.slots import Claim, Held, MemorySlots, SlotStore
from gateway.state import EmbeddedStore
from tests.rate_limiting.redis_server import RedisServer

_tokens = map(str, itertools.count())


@dataclass(slots=True)
class Worker:
    """A worker: what it holds, and the store that it asks."""

    store: SlotStore
    held: Held

    def take(self, *claims: Claim) -> tuple[str, tuple[int, ...]]:
        """Take slots for a request; its token, and the claims without room."""
        token = next(_tokens)
        return token, self.store.take(claims, token)

    def fits(self, *claims: Claim) -> bool:
        """Whether a request finds room; it goes away at once."""
        token, full = self.take(*claims)
        self.free(token, *claims)
        return not full

    def free(self, token: str, *claims: Claim) -> None:
        """Give them back, as the end of a request does."""
        taken = self.held.remove([claim.key for claim in claims], token)
        if taken:
            self.store.free(taken, token)


MakeWorker = Callable[[], Worker]


def embedded_worker(store: EmbeddedStore) -> Worker:
    """A worker on this machine."""
    held = Held()
    return Worker(EmbeddedSlots(store, held), held)


def redis_worker(server: RedisServer, timeout: float = 5.0) -> Worker:
    """A worker on any machine."""
    from gateway.rate_limiting.concurrency.redis_slots import RedisSlots

    held = Held()
    return Worker(RedisSlots(server.url, timeout, held), held)


@pytest.fixture(params=["lmdb", "redis"])
def make_worker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeWorker]:
    """Makes workers that share a store."""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        yield lambda: redis_worker(server)
        return
    store = EmbeddedStore(tmp_path / "state")
    yield lambda: embedded_worker(store)
    store.close()


@pytest.fixture(params=["memory", "lmdb", "redis"])
def worker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Worker]:
    """One worker over each store."""
    held = Held()
    if request.param == "memory":
        yield Worker(MemorySlots(held), held)
    elif request.param == "redis":
        yield redis_worker(request.getfixturevalue("redis_server"))
    else:
        store = EmbeddedStore(tmp_path / "state")
        yield embedded_worker(store)
        store.close()
