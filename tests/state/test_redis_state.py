"""What is Redis's own: the worker's copy, the time, and a Redis that hangs, goes and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from gateway.state import FallbackState, MemoryState, SharedState, Value, redis_state
from gateway.state.opening import open_state
from gateway.state.redis_state import HASH, LAG, STALE, RedisState
from tests.rate_limiting.redis_server import RedisServer
from tests.support.gunicorn import wait_for
from tests.support.wsgi import make_settings


class Clock:
    """This machine's times, to be set."""

    def __init__(self) -> None:
        self.monotonic = 50.0
        self.wall = 1_000_000.0


def opened(server: RedisServer, timeout: float = 5.0, clock: Clock | None = None) -> RedisState:
    """A worker's view."""
    if clock is None:
        return RedisState(server.url, timeout)
    return RedisState(
        server.url, timeout, monotonic=lambda: clock.monotonic, wall=lambda: clock.wall
    )


def put(state: SharedState, key: str, number: int) -> Value | None:
    """Change a value."""
    return state.change(key, lambda old: {"n": number})


def test_others_see_a_change_after_they_looked(empty_redis: RedisServer) -> None:
    one, two = opened(empty_redis), opened(empty_redis)
    assert two.get("a") is None
    put(one, "a", 1)
    assert two.get("a") is None
    two.refresh()
    assert two.get("a") == {"n": 1}
    one.change("a", lambda old: None)
    two.refresh()
    assert two.get("a") is None
    assert one.lag == LAG


def test_the_first_to_read_looks_by_himself(empty_redis: RedisServer) -> None:
    put(opened(empty_redis), "a", 1)
    assert opened(empty_redis).get("a") == {"n": 1}
    assert opened(empty_redis).scan("") == {"a": {"n": 1}}


def test_a_copy_that_nobody_renews_is_renewed_by_who_reads(empty_redis: RedisServer) -> None:
    clock = Clock()
    one, two = opened(empty_redis), opened(empty_redis, clock=clock)
    assert two.get("a") is None
    put(one, "a", 1)
    clock.monotonic += STALE - 0.1
    assert two.get("a") is None
    clock.monotonic += 0.2
    assert two.get("a") == {"n": 1}


def test_a_change_begins_from_what_is_there_and_not_from_the_copy(
    empty_redis: RedisServer,
) -> None:
    one, two = opened(empty_redis), opened(empty_redis)
    put(one, "a", 1)
    two.refresh()
    put(one, "a", 10)
    seen: list[Value | None] = []

    def edit(old: Value | None) -> Value:
        seen.append(old)
        return {"n": (old or {"n": 0})["n"] + 1}

    assert two.change("a", edit) == {"n": 11}
    assert seen == [{"n": 1}, {"n": 10}]
    assert two.get("a") == {"n": 11}


def test_what_stays_as_it_is_is_still_looked_up(empty_redis: RedisServer) -> None:
    one, two = opened(empty_redis), opened(empty_redis)
    put(one, "a", 1)
    two.refresh()
    put(one, "a", 2)
    assert two.change("a", lambda old: old) == {"n": 2}
    assert two.get("a") == {"n": 2}


class Between:
    """A script during whose call something else happens."""

    def __init__(self, script: Any, happens: Callable[[], object], *, after: bool) -> None:
        self.script = script
        self.happens = happens
        self.after = after

    def __call__(self, **arguments: Any) -> Any:
        if not self.after:
            self.happens()
        answer = self.script(**arguments)
        if self.after:
            self.happens()
        return answer


def test_a_look_that_is_overtaken_hides_no_change_of_our_own(empty_redis: RedisServer) -> None:
    state = opened(empty_redis)
    put(state, "a", 1)
    put(state, "b", 1)
    script = state._ask

    def change() -> None:
        state._ask = script
        put(state, "a", 2)
        state.change("b", lambda old: None)

    state._ask = Between(script, change, after=True)
    state.refresh()
    assert state.get("a") == {"n": 2}
    assert state.get("b") is None
    state.refresh()
    assert state.scan("") == {"a": {"n": 2}}


def test_an_answer_that_comes_late_hides_nothing_newer(empty_redis: RedisServer) -> None:
    state, other = opened(empty_redis), opened(empty_redis)
    script = state._change

    def overtake() -> None:
        state._change = script
        put(other, "a", 2)
        state.refresh()

    state._change = Between(script, overtake, after=True)
    assert put(state, "a", 1) == {"n": 1}
    assert state.get("a") == {"n": 2}


def test_a_call_sent_again_changes_once(empty_redis: RedisServer) -> None:
    state = opened(empty_redis)
    put(state, "a", 1)
    script = state._change

    def twice(**arguments: Any) -> Any:
        script(**arguments)
        return script(**arguments)

    state._change = twice
    for number in (2, 3):
        assert state.change("a", lambda old: {"n": (old or {})["n"] + 1}) == {"n": number}
    assert state.change("a", lambda old: None) is None
    assert opened(empty_redis).get("a") is None


def test_a_redis_that_lost_everything(own_redis: RedisServer) -> None:
    state = opened(own_redis)
    put(state, "a", 1)
    state.refresh()
    own_redis.stop()
    own_redis.start()
    state.refresh()
    assert state.scan("") == {}
    put(opened(own_redis), "b", 1)
    state.refresh()
    assert state.scan("") == {"b": {"n": 1}}
    put(state, "c", 1)
    with redis.Redis.from_url(own_redis.url) as client:
        client.flushall()
    state.refresh()
    assert state.scan("") == {}


def test_who_loses_again_and_again_gets_a_turn(empty_redis: RedisServer) -> None:
    state, other = opened(empty_redis), opened(empty_redis)
    script, turns = state._change, []

    def overtaken(**arguments: Any) -> Any:
        turns.append(1)
        if not other_waits():
            put(other, "a", len(turns))
        return script(**arguments)

    def other_waits() -> bool:
        with redis.Redis.from_url(empty_redis.url) as client:
            return bool(client.exists(f"{HASH}:turn:a"))

    state._change = overtaken
    assert state.change("a", lambda old: {"n": -1}) == {"n": -1}
    assert 5 < len(turns) < 10


def test_losing_for_ever_is_an_error(
    empty_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_state, "_TRIES", 20)
    state, other = opened(empty_redis), opened(empty_redis)
    script, number = state._change, [0]

    def overtaken(**arguments: Any) -> Any:
        number[0] += 1
        arguments["args"][-1] = 0  # it never asks for a turn
        put(other, "a", number[0])
        return script(**arguments)

    state._change = overtaken
    with pytest.raises(redis.RedisError):
        put(state, "a", -1)


def test_redis_tells_the_time(empty_redis: RedisServer) -> None:
    clock = Clock()
    state = opened(empty_redis, clock=clock)
    assert state.clock() == pytest.approx(1_000_000.0)
    state.refresh()
    assert abs(state.clock() - time.time()) < 30
    before = state.clock()
    clock.monotonic += 3
    clock.wall -= 10_000
    assert state.clock() == pytest.approx(before + 3)


def test_time_does_not_tremble(empty_redis: RedisServer) -> None:
    state = opened(empty_redis)
    offsets = set()
    for _ in range(20):
        state.refresh()
        offsets.add(state._offset)
    assert max(offsets) - min(offsets) < 0.5
    assert len(offsets) < 10, "each look changes the clock"


def test_little_is_sent_when_nothing_changed(empty_redis: RedisServer) -> None:
    state = opened(empty_redis)
    for number in range(200):
        put(state, f"key/{number}", number)
    state.refresh()
    answers: list[int] = []
    script = state._ask

    def counted(**arguments: Any) -> Any:
        answer = script(**arguments)
        answers.append(len(answer))
        return answer

    state._ask = counted
    state.refresh()
    put(state, "key/0", -1)
    state.refresh()
    assert answers == [3, 4]


# -- when it is gone -------------------------------------------------------------------------


def test_nothing_is_connected_before_it_is_used() -> None:
    state = RedisState("redis://127.0.0.1:1", 0.2)
    assert abs(state.clock() - time.time()) < 5
    with pytest.raises(redis.RedisError):
        state.get("a")


def test_those_who_wait_for_the_first_look_do_not_wait_one_after_the_other(
    own_redis: RedisServer,
) -> None:
    state = opened(own_redis, 0.5)
    own_redis.hang()
    errors: list[Exception] = []

    def ask() -> None:
        try:
            state.get("a")
        except redis.RedisError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    own_redis.go_on()
    assert len(errors) == 20
    assert time.monotonic() - began < 5  # one by one: 10 s and more


@pytest.mark.parametrize("way", ["stop", "hang"])
def test_redis_that_goes_and_comes_back(own_redis: RedisServer, way: str) -> None:
    local = MemoryState()
    far = opened(own_redis, 0.2)
    state = FallbackState(far, local, name="redis", pause=0.2)
    put(state, "a", 1)
    state.refresh()
    getattr(own_redis, way)()
    began = time.monotonic()
    for _ in range(100):
        state.refresh()
        state.get("a")
        put(state, "a", 2)
    assert time.monotonic() - began < 10, "all of them wait for it"
    assert state.degraded
    assert state.get("a") == {"n": 2}
    own_redis.start() if way == "stop" else own_redis.go_on()

    def is_back() -> bool:
        state.refresh()
        return not state.degraded

    assert wait_for(is_back)
    assert state.get("a") == (None if way == "stop" else {"n": 1})


def test_redis_that_can_only_be_read(own_redis: RedisServer) -> None:
    local = MemoryState()
    state = FallbackState(opened(own_redis), local, pause=0.01)
    put(state, "a", 1)
    with redis.Redis.from_url(own_redis.url) as client:
        client.replicaof("127.0.0.1", 1)
        put(state, "a", 2)
        time.sleep(0.02)
        state.refresh()
        assert state.degraded
        assert state.get("a") == {"n": 2}
        client.replicaof("NO", "ONE")
    time.sleep(0.02)
    state.refresh()
    assert not state.degraded


def test_settings_choose(own_redis: RedisServer) -> None:
    assert isinstance(open_state(make_settings(), None), MemoryState)
    state = open_state(make_settings(REDIS_URL=own_redis.url, REDIS_TIMEOUT=5), None)
    put(state, "a", 1)
    with redis.Redis.from_url(own_redis.url) as client:
        assert client.hexists(HASH, "a")
    own_redis.stop()
    put(state, "a", 2)
    assert state.get("a") == {"n": 2}
