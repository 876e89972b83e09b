"""What is the memory store's own: what it remembers is bounded."""

from __future__ import annotations

from gateway.caching.memory import MemoryResponses
from gateway.caching.store import Purge
from tests.caching.stores import kept, key_of, put


def test_claims_that_nobody_released_are_forgotten() -> None:
    now = [1e9]
    responses = MemoryResponses(1000, clock=lambda: now[0])
    for number in range(1000):
        now[0] += 1
        assert responses.claim(key_of(number), b"worker 1", 5)
    assert len(responses._claims) < 10
    now[0] -= 3600
    assert responses.outcome(key_of(999), 5.0) == "again"
    assert responses.claim(key_of(999), b"worker 2", 5)


def test_how_it_ended_is_forgotten() -> None:
    now = [1e9]
    responses = MemoryResponses(1000, clock=lambda: now[0])
    for number in range(1000):
        now[0] += 0.5
        assert responses.claim(key_of(number), b"worker 1", 5)
        responses.release(key_of(number), b"worker 1", "alone")
    assert len(responses._ended) < 10
    assert not responses._claims


def test_names_count_towards_its_size() -> None:
    responses = MemoryResponses(100_000)
    for number in range(100):
        put(responses, number, b"", url="/" + "x" * 4000, tags=["t" * 100] * 2)
    count, taken = responses.usage()
    assert 10 < count < 25
    assert taken <= 100_000
    assert kept(responses, [99, 0]) == [99]
    assert responses.purge(Purge("all")) == count
    assert responses.usage() == (0, 0)
    assert not responses._of_path


def test_nothing_fits_into_nothing() -> None:
    responses = MemoryResponses(0)
    assert put(responses, "one", b"") is None
    assert responses.read(key_of("one")) is None
