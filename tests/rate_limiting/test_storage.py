"""Flask-Limiter's own strategy on the gateway's windows."""

from __future__ import annotations

import time

import pytest
from limits import parse
from limits.strategies import MovingWindowRateLimiter

from gateway import limiter
from gateway.rate_limiting.memory import MemoryWindows
from gateway.rate_limiting.storage import WindowStorage
from gateway.rate_limiting.windows import Hit
from tests.rate_limiting.apps import service
from tests.rate_limiting.conftest import MakeClient
from tests.rate_limiting.shifted import Store


@pytest.fixture
def strategy(store: Store) -> MovingWindowRateLimiter:
    """The strategy over each of the stores."""
    return MovingWindowRateLimiter(WindowStorage(store.windows))


def test_hit_and_test(strategy: MovingWindowRateLimiter) -> None:
    item = parse("3/5minute")
    assert strategy.test(item, "hit")
    assert [strategy.hit(item, "hit") for _ in range(4)] == [True, True, True, False]
    assert not strategy.test(item, "hit")
    assert strategy.hit(item, "other", cost=3)


def test_stats(strategy: MovingWindowRateLimiter) -> None:
    item = parse("3/hour")
    strategy.hit(item, "stats")
    reset, remaining = strategy.get_window_stats(item, "stats")
    assert remaining == 2
    assert reset == pytest.approx(time.time() + 3600, abs=30)


@pytest.mark.parametrize("text", ["1/second", "2/5minute", "1/day", "1/2month", "1/year"])
def test_clear(strategy: MovingWindowRateLimiter, text: str) -> None:
    item = parse(text)
    assert strategy.hit(item, "clear", cost=item.amount)
    assert not strategy.hit(item, "clear")
    strategy.clear(item, "clear")
    assert strategy.hit(item, "clear")


def test_counter(store: Store) -> None:
    storage = WindowStorage(store.windows)
    assert [storage.incr("counter", 60), storage.incr("counter", 60, 5)] == [1, 6]
    assert storage.check()


def test_no_reset_of_everything() -> None:
    with pytest.raises(NotImplementedError):
        WindowStorage(MemoryWindows()).reset()


def test_limiter_of_the_gateway_has_it(make_client: MakeClient) -> None:
    app = make_client(service()).application
    assert limiter.limiter.hit(parse("1/hour"), "mine")
    windows = app.extensions["gateway"].windows
    assert windows.peek(Hit("LIMITER/mine/1/1/hour", 1, 3600)).remaining == 0
