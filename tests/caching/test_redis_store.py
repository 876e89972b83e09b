"""What is Redis's own: what it drops by itself, large purges, and a Redis that is away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from multiprocessing import get_context
from typing import Any

import pytest
import redis

from gateway.caching import redis_store
from gateway.caching.redis_store import HASH, RedisResponses
from gateway.caching.store import Found, Purge
from tests.caching.redis_answers import KEY, SIZE, data_of, key_of, put
from tests.rate_limiting.redis_server import RedisServer

NAMES = f"{HASH}:names"
DAY = 86_400_000


@pytest.fixture
def client(shared_redis: RedisServer) -> Iterator[Any]:
    """Its plain client; there is nothing in it."""
    with redis.Redis.from_url(shared_redis.url) as opened:
        opened.flushall()
        yield opened


@pytest.fixture
def responses(shared_redis: RedisServer, client: Any) -> RedisResponses:
    """A worker's view of it."""
    return RedisResponses(shared_redis.url, 5.0, SIZE)


def names_left(client: Any) -> list[bytes]:
    """Names of answers, without the word of the collection."""
    return [name for name in client.zrange(NAMES, 0, -1) if not name.startswith(b"i")]


def test_any_bytes_and_a_body_of_nothing(responses: RedisResponses) -> None:
    data = bytes(range(256)) * 50
    stamp = put(responses, data=data)
    assert stamp is not None
    assert responses.read(KEY) == Found(stamp, data)
    assert responses.read(KEY, b"12345678") == Found(stamp, data)
    stamp = put(responses, data=b"")
    assert stamp is not None
    assert responses.read(KEY) == Found(stamp, b"")
    assert responses.read(KEY, stamp) == Found(stamp, None)


def test_what_is_known_does_not_travel(responses: RedisResponses, client: Any) -> None:
    stamp = put(responses, data=b"x" * 500_000)
    assert stamp is not None
    responses.read(KEY, stamp)
    before = client.info("stats")["total_net_output_bytes"]
    responses.read(KEY, stamp)
    assert client.info("stats")["total_net_output_bytes"] - before < 10_000


def test_all_keys_are_on_one_node_and_none_is_for_ever(
    responses: RedisResponses, client: Any
) -> None:
    responses.ticket("/")
    assert client.pttl(HASH) > DAY
    put(responses, tags=["t"])
    responses.claim(KEY, b"o" * 8, 5.0)
    keys = client.keys("*")
    assert len(keys) == 4
    assert all(key.startswith(b"{gatehouse}:responses") for key in keys)
    assert DAY - 60_000 < client.pttl(f"{HASH}:kept:".encode() + KEY) <= DAY
    assert client.pttl(HASH) > DAY < client.pttl(NAMES)


def test_the_books_are_empty_when_nothing_is_kept(responses: RedisResponses, client: Any) -> None:
    put(responses, 1, tags=["a", "b"], url="/one?x=1")
    put(responses, 1, tags=["b", "c"], url="/two")
    assert responses.usage()[0] == 1
    assert len(names_left(client)) == 4
    put(responses, 2, tags=["a"])
    responses.drop(key_of(1))
    responses.drop(key_of(3))
    assert responses.purge(Purge("tag", "a")) == 1
    assert responses.usage() == (0, 0)
    assert names_left(client) == []
    assert [name for name in client.hkeys(HASH) if name.startswith(b"k")] == []
    assert client.keys("*:kept:*") == []


def test_what_is_counted_is_what_redis_takes(shared_redis: RedisServer, client: Any) -> None:
    big = RedisResponses(shared_redis.url, 5.0, 1 << 24)
    before = client.info("memory")["used_memory"]
    for number in range(1000):
        put(big, number, b"x" * 1000, url=f"/items/{number}?page=1", tags=["all", f"i{number}"])
    taken = client.info("memory")["used_memory"] - before
    assert 0.7 * taken < big.usage()[1] < 1.5 * taken


def test_what_was_written_first_makes_room(responses: RedisResponses, client: Any) -> None:
    for number in range(300):
        put(responses, number, b"x" * 9000, url=f"/{number}", tags=["t"])
    count, size = responses.usage()
    assert SIZE - 20_000 < size <= SIZE
    there = [number for number in range(300) if data_of(responses, number) is not None]
    assert there == list(range(300 - count, 300))
    assert len(names_left(client)) == 3 * count


def test_a_large_one_needs_the_room_of_many(responses: RedisResponses) -> None:
    for number in range(800):
        put(responses, number, b"")
    before = responses.usage()[0]
    assert put(responses, data=b"x" * (SIZE - 1000))
    assert responses.usage()[1] <= SIZE
    assert responses.usage()[0] < before - 700
    assert data_of(responses) is not None
    assert put(responses, data=b"x" * SIZE) is None
    assert data_of(responses) is not None


@pytest.mark.parametrize("kind", ["all", "prefix", "tag", "path"])
def test_many_are_purged_in_slices(
    responses: RedisResponses, client: Any, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "SLICE", 10)
    for number in range(40):
        put(responses, number, url=f"/many?page={number}", tags=["t"])
    put(responses, url="/other")
    what = {"all": "", "tag": "t"}.get(kind, "/many")
    asked: list[object] = []
    found: list[int] = []
    script = responses._script

    def counted(**arguments: Any) -> Any:
        asked.append(arguments["args"][0])
        if asked[-1] == "sweep":
            found.append(len(client.keys(f"{HASH}:kept:*")))
        return script(**arguments)

    responses._script = counted
    assert responses.purge(Purge(kind, what)) == (41 if kind == "all" else 40)
    assert [one for one in asked if one != "hide"] == ["purge"] + ["sweep"] * 4
    # Of all, they are there, but begin with a word that is none any more.
    assert found == ([31, 21, 11, 1] if kind == "all" else [1, 1, 1, 1])
    assert data_of(responses) == (None if kind == "all" else b"data")
    assert len(names_left(client)) == (0 if kind == "all" else 2)


def test_a_purge_of_all_counts_before_it_has_gone_through(
    responses: RedisResponses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "SLICE", 1)
    for number in range(3):
        put(responses, number)
    ticket = responses.ticket("/orders")
    script = responses._script

    def interrupted(**arguments: Any) -> Any:
        if arguments["args"][0] == "sweep":
            raise redis.TimeoutError
        return script(**arguments)

    responses._script = interrupted
    with pytest.raises(redis.TimeoutError):
        responses.purge(Purge("all"))
    responses._script = script
    assert responses.write(key_of(1), b"", url="/orders", tags=(), ticket=ticket) is None
    assert data_of(responses, 1) is None
    assert data_of(responses, 2) is None
    assert put(responses, 2, b"new")
    assert responses.usage()[0] == 1  # what was looked for is gone from the books, too
    assert responses.purge(Purge("all")) == 1
    assert responses.usage() == (0, 0)


def test_an_answer_that_redis_dropped_is_a_miss_and_not_in_the_books(
    responses: RedisResponses, client: Any
) -> None:
    put(responses, 1, tags=["t"])
    put(responses, 2)
    client.delete(f"{HASH}:kept:".encode() + key_of(1))
    assert data_of(responses, 1) is None
    assert responses.usage()[0] == 1
    client.delete(f"{HASH}:kept:".encode() + key_of(2))
    put(responses, 3)  # whoever writes looks for the oldest
    assert responses.usage()[0] == 1
    assert len(names_left(client)) == 2
    put(responses, 4, tags=["t"])
    client.delete(f"{HASH}:kept:".encode() + key_of(4))
    assert responses.purge(Purge("tag", "t")) == 0


@pytest.mark.parametrize("lost", [HASH, NAMES])
@pytest.mark.parametrize("first", ["read", "write", "purge"])
def test_without_its_books_nothing_is_kept(
    responses: RedisResponses, client: Any, lost: str, first: str
) -> None:
    put(responses, 1, tags=["t"])
    put(responses, 2, tags=["t"])
    ticket = responses.ticket("/orders")
    client.delete(lost)
    if first == "purge":
        responses.purge(Purge("tag", "t"))
    elif first == "write":
        assert responses.write(KEY, b"", url="/orders", tags=(), ticket=ticket) is None
    else:
        assert data_of(responses, 1) == (b"data" if lost == NAMES else None)
        responses.purge(Purge("path", "/orders"))
    assert put(responses, 2, b"new", tags=["t"])
    assert data_of(responses, 1) is None
    assert data_of(responses, 2) == b"new"
    assert responses.usage()[0] == 1
    assert responses.purge(Purge("tag", "t")) == 1
    assert client.keys("*:kept:*") == []


def test_a_name_of_nothing_does_not_keep_a_purge_busy(
    responses: RedisResponses, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "SLICE", 1)
    put(responses, 1)
    client.zadd(NAMES, {b"u/orders\0" + key_of(2): 0})
    assert responses.purge(Purge("path", "/orders")) == 1
    assert names_left(client) == []


@pytest.mark.parametrize("lost", ["flushed", HASH, NAMES])
def test_a_purge_that_redis_forgot_still_counts(
    responses: RedisResponses, client: Any, lost: str
) -> None:
    ticket = responses.ticket("/orders")
    responses.purge(Purge("path", "/orders"))
    if lost == "flushed":
        client.flushall()
    else:
        client.delete(lost)
    responses.ticket("/orders")
    assert responses.write(KEY, b"", url="/orders", tags=(), ticket=ticket) is None


def test_nothing_is_connected_before_it_is_used(shared_redis: RedisServer, client: Any) -> None:
    before = client.info("clients")["connected_clients"]
    RedisResponses(shared_redis.url, 5.0, SIZE)
    assert client.info("clients")["connected_clients"] == before


def _in_child(responses: RedisResponses, pipe: Any) -> None:
    put(responses, 2, b"child")
    pipe.send([data_of(responses, number) for number in (1, 2)])


def test_a_child_has_connections_of_its_own(responses: RedisResponses) -> None:
    put(responses, 1, b"parent")
    here, there = get_context("fork").Pipe()
    child = get_context("fork").Process(target=_in_child, args=(responses, there))
    child.start()
    try:
        for _ in range(50):
            assert data_of(responses, 1) == b"parent"
        assert here.poll(20)
        assert here.recv() == [b"parent", b"child"]
    finally:
        child.kill()
        child.join(10)
        child.close()
    assert data_of(responses, 2) == b"child"


def test_many_at_once(shared_redis: RedisServer, responses: RedisResponses, client: Any) -> None:
    wrong: list[BaseException] = []

    def work(worker: int) -> None:
        own = RedisResponses(shared_redis.url, 5.0, 60_000)
        try:
            for turn in range(60):
                number = turn % 17
                put(own, number, b"%d" % number * 400, url=f"/{number}", tags=[f"t{number % 3}"])
                assert data_of(own, number) in (None, b"%d" % number * 400)
                if turn % 20 == worker:
                    own.purge(Purge("tag", "t1"))
                if turn % 30 == worker:
                    own.purge(Purge("all"))
                if turn % 7 == 0:
                    own.drop(key_of(number))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    count, size = responses.usage()
    assert count == len(client.keys("*:kept:*"))
    assert size <= 60_000
    assert len(names_left(client)) == 3 * count
    responses.purge(Purge("all"))
    assert responses.usage() == (0, 0)
