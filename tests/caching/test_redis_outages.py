"""A Redis that is full, can only be read, goes away, or hangs."""

from __future__ import annotations

import time

import pytest
import redis

from gateway.caching.fallback import FallbackResponses
from gateway.caching.redis_store import RedisResponses
from gateway.caching.store import Purge, StoreFault
from tests.caching.redis_answers import KEY, SIZE, data_of, put
from tests.rate_limiting.redis_server import RedisServer


def test_a_redis_that_evicts_at_random(own: RedisServer) -> None:
    with redis.Redis.from_url(own.url) as client:
        room = client.info("memory")["used_memory"] + 1_000_000
        client.config_set("maxmemory", room)
        client.config_set("maxmemory-policy", "allkeys-random")
        responses = RedisResponses(own.url, 5.0, 100 << 20)
        found = 0
        for number in range(700):
            put(responses, number, b"%d" % number * 1000, url=f"/{number}", tags=["t"])
            for back in (0, 5, 50):
                data = data_of(responses, max(number - back, 0))
                assert data in (None, b"%d" % max(number - back, 0) * 1000)
                found += data is not None
        assert found > 700
        assert client.info("stats")["evicted_keys"] > 100
        responses.purge(Purge("tag", "t"))
        assert all(data_of(responses, number) is None for number in range(700))


def test_a_redis_that_is_full_and_drops_nothing(own: RedisServer) -> None:
    with redis.Redis.from_url(own.url) as client:
        responses = RedisResponses(own.url, 5.0, 100 << 20)
        for number in range(300):
            put(responses, number, b"x" * 5000)
        client.config_set("maxmemory", client.info("memory")["used_memory"] - 100_000)
        assert responses.claim(KEY, b"o" * 8, 5.0)
        assert responses.outcome(KEY, 5.0) == "again"
        assert put(responses, 999, b"x" * 5000) is None
        assert data_of(responses, 299) is not None
        assert responses.usage()[0] == 200
        assert put(responses, 999, b"x" * 5000)
        client.config_set("maxmemory", 0)


@pytest.mark.parametrize("purge", [Purge("tag", "t"), Purge("path", "/orders"), Purge("all")])
def test_purges_need_no_room(own: RedisServer, purge: Purge) -> None:
    with redis.Redis.from_url(own.url) as client:
        responses = RedisResponses(own.url, 5.0, SIZE)
        put(responses, 1, tags=["t"])
        ticket = responses.ticket("/orders")
        client.config_set("maxmemory", 1)
        assert responses.purge(purge) == 1
        assert data_of(responses, 1) is None
        client.config_set("maxmemory", 0)
        assert responses.write(KEY, b"", url="/orders", tags=(), ticket=ticket) is None


def test_a_redis_that_can_only_be_read(own: RedisServer) -> None:
    responses = FallbackResponses(RedisResponses(own.url, 5.0, SIZE), pause=0.0)
    with redis.Redis.from_url(own.url) as client:
        ticket = responses.ticket("/")
        client.replicaof("127.0.0.1", 1)
        for _ in range(3):
            with pytest.raises(StoreFault):
                responses.write(KEY, b"", url="/", tags=(), ticket=ticket)
            with pytest.raises(StoreFault):
                responses.read(KEY)
        client.replicaof("NO", "ONE")
        assert responses.read(KEY) is None


class Clock:
    """Time of a fallback, to be set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("way", ["stop", "hang", "flush"])
def test_a_redis_that_goes_and_comes_back(own: RedisServer, way: str) -> None:
    clock = Clock()
    store = RedisResponses(own.url, 0.25, SIZE)
    responses = FallbackResponses(store, name="redis", monotonic=clock)
    put(store, tags=["t"])
    if way == "flush":
        with redis.Redis.from_url(own.url) as client:
            client.flushall()
        assert responses.read(KEY) is None
        assert put(store)
        return
    own.stop() if way == "stop" else own.hang()
    for _ in range(5):
        with pytest.raises(StoreFault):
            responses.read(KEY)
    with pytest.raises(StoreFault):
        responses.purge(Purge("tag", "t"))
    own.start() if way == "stop" else own.go_on()
    with pytest.raises(StoreFault):  # not yet
        responses.read(KEY)
    clock.now += 1.0
    assert responses.read(KEY) is None  # of a hanging one: purged before it was asked
    assert put(store)
    assert responses.read(KEY) is not None


def test_only_the_first_waits_for_a_redis_that_hangs(own: RedisServer) -> None:
    responses = FallbackResponses(RedisResponses(own.url, 0.25, SIZE), monotonic=Clock())
    responses.read(KEY)
    own.hang()
    began = time.monotonic()
    for _ in range(400):
        with pytest.raises(StoreFault):
            responses.read(KEY)
        with pytest.raises(StoreFault):
            responses.ticket("/")
    assert time.monotonic() - began < 50, "a wait for each takes 200 s"
    own.go_on()
