"""Requests that wait for their time: spaced, bounded, and nothing of the worker's used up."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from gateway import limiter
from gateway.capacity import Capacity
from gateway.errors import ClientGone, NotSent
from gateway.rate_limiting.pacing import hold
from tests.rate_limiting.apps import passed, service, statuses, view
from tests.rate_limiting.conftest import MakeClient
from tests.rate_limiting.shifted import Clock
from tests.support.gunicorn import wait_for


class Night:
    """A clock that only sleep moves on."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.now += seconds


def still_there() -> bool:
    """A client that does not leave."""
    return False


def test_it_waits_until_the_time_has_come() -> None:
    night = Night()
    end = night.clock.now + 1.1
    hold(Capacity(1, 2), end, still_there, clock=night.clock, sleep=night.sleep)
    assert night.clock.now == pytest.approx(end)
    assert max(night.slept) <= 0.25


def test_a_client_that_leaves_ends_the_wait() -> None:
    night, capacity = Night(), Capacity(1, 2)
    for _ in range(3):  # and gives its place back
        with pytest.raises(ClientGone):
            hold(
                capacity,
                night.clock.now + 100,
                lambda: len(night.slept) % 4 == 3,
                clock=night.clock,
                sleep=night.sleep,
            )
        night.slept.append(0)
    assert night.clock.now < 1_000_010


def test_half_of_the_places_to_wait() -> None:
    capacity = Capacity(1, 5)
    with capacity.held_back(), capacity.held_back():
        with pytest.raises(NotSent) as raised, capacity.held_back():
            pass
        assert (raised.value.status, raised.value.reason) == (503, "worker_busy")
    with capacity.held_back(), capacity.held_back():
        pass


def test_places_that_others_wait_in() -> None:
    capacity = Capacity(1, 1)
    with pytest.raises(NotSent), capacity.held_back():
        pass
    assert capacity._waiting.take(0), "its place to wait was not given back"


def test_requests_are_spaced(make_client: MakeClient) -> None:
    orders = service()
    view(orders, "/paced", limiter.limit("5/second", burst=3, nodelay=False))
    view(orders, "/plain", limiter.limit("5/second", burst=3))
    client = make_client(orders)
    began = time.monotonic()
    assert statuses(client, "/orders/plain", 4) == [200] * 4
    quick = time.monotonic() - began
    began = time.monotonic()
    assert statuses(client, "/orders/paced", 4) == [200] * 4
    # Each waits for what those before it have left: three intervals of 200 ms, one after another.
    assert time.monotonic() - began >= 0.59
    assert quick < time.monotonic() - began


def at_once(app: Flask, path: str, times: int) -> list[int]:
    """So many requests at the same time."""
    together = threading.Barrier(times)

    def ask() -> int:
        together.wait(20)
        return app.test_client().get(path).status_code

    with ThreadPoolExecutor(times) as pool:
        return sorted(one.result(60) for one in [pool.submit(ask) for _ in range(times)])


def test_more_than_the_burst_are_refused_at_once(make_client: MakeClient) -> None:
    orders = service()
    view(orders, "/paced", limiter.limit("2/second", burst=3, nodelay=False))
    app = make_client(orders).application
    assert at_once(app, "/orders/paced", 7) == [200] * 4 + [429] * 3


def test_what_waits_holds_no_place_to_forward(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("1/second", burst=2, nodelay=False)(orders)
    client = make_client(orders)
    gateway = client.application.extensions["gateway"]
    client.get("/orders/x").close()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(passed, client.application.test_client(), "/orders/x", 1)
        assert wait_for(lambda: gateway.capacity._held.taken == 1)
        assert gateway.capacity.taken == 0
        assert waiting.result(20) == 1
    assert gateway.capacity._held.taken == 0


def test_dry_runs_do_not_wait(make_client: MakeClient) -> None:
    orders = service()
    view(orders, "/paced", limiter.limit("2/minute", burst=0, dry_run=True, nodelay=False))
    client = make_client(orders)
    began = time.monotonic()
    assert statuses(client, "/orders/paced", 5) == [200] * 5
    assert time.monotonic() - began < 20


def test_without_time_left_nobody_waits(make_client: MakeClient) -> None:
    orders = service()
    view(orders, "/paced", limiter.limit("6/minute", burst=2, nodelay=False))
    client = make_client(orders, TRUSTED_PROXIES="127.0.0.1")
    came = {"X-Request-Start": f"t={time.time() - 16:.3f}"}  # of 25 seconds
    assert client.get("/orders/paced", headers=came).status_code == 200
    late = client.get("/orders/paced", headers=came)
    assert late.status_code == 504
    assert late.json is not None
    assert late.json["code"] == "deadline_exceeded"
