"""A Redis that starts anew with what it saved: that may be from before a purge."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from gateway.caching.redis_store import RedisResponses
from gateway.caching.store import Purge
from tests.caching.redis_answers import KEY, SIZE, data_of, put
from tests.rate_limiting.redis_server import RedisServer


def save(server: RedisServer) -> None:
    """Have it start with this from now on."""
    with redis.Redis.from_url(server.url) as client:
        client.save()


def start_again(server: RedisServer, **options: Any) -> None:
    """End it and start it, with what it saved."""
    server.stop()
    server.start()
    with redis.Redis.from_url(server.url) as client:
        assert client.keys("*:kept:*")
        for name, value in options.items():
            client.config_set(name, value)


@pytest.mark.parametrize("knows_it", [True, False], ids=["connected", "new"])
def test_what_was_purged_does_not_come_back(own: RedisServer, knows_it: bool) -> None:
    responses = RedisResponses(own.url, 5.0, SIZE)
    ticket = responses.ticket("/orders")
    stamp = put(responses, tags=["t"])
    save(own)
    assert responses.purge(Purge("tag", "t")) == 1
    start_again(own)
    if not knows_it:
        responses = RedisResponses(own.url, 5.0, SIZE)
    assert responses.read(KEY, stamp or b"") is None
    assert responses.write(KEY, b"old", url="/orders", tags=(), ticket=ticket) is None
    assert put(responses, data=b"new")
    for worker in (responses, RedisResponses(own.url, 5.0, SIZE)):
        assert data_of(worker) == b"new"


def test_what_cannot_be_found_any_more_makes_room(own: RedisServer) -> None:
    responses = RedisResponses(own.url, 5.0, SIZE)
    for number in range(100):
        put(responses, number, b"x" * 9000)
    save(own)
    start_again(own)
    for number in range(200):
        put(responses, 1000 + number, b"x" * 9000)
        assert responses.usage()[1] <= SIZE
    with redis.Redis.from_url(own.url) as client:
        assert len(client.keys("*:kept:*")) == responses.usage()[0] > 50
    assert data_of(responses, 1199) == b"x" * 9000


def test_a_full_one_forgets_all(own: RedisServer) -> None:
    responses = RedisResponses(own.url, 5.0, SIZE)
    put(responses, tags=["t"])
    save(own)
    start_again(own, maxmemory=1)
    assert data_of(responses) is None
    with redis.Redis.from_url(own.url) as client:
        client.config_set("maxmemory", 0)
    assert data_of(responses) is None
    assert put(responses, data=b"new")
    assert data_of(RedisResponses(own.url, 5.0, SIZE)) == b"new"


def test_one_that_does_not_tell_when_it_started(own: RedisServer) -> None:
    with redis.Redis.from_url(own.url) as client:
        client.acl_setuser(
            "gate", enabled=True, passwords=["+pass"], keys="*", commands=["+@all", "-info"]
        )
    url = own.url.replace("//", "//gate:pass@")
    put(RedisResponses(url, 5.0, SIZE))
    assert data_of(RedisResponses(url, 5.0, SIZE)) == b"data"
