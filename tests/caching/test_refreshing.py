"""What is stale is used at once, while a new one is fetched beside the requests."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway import Timeouts, UpstreamRequest, UpstreamResponse
from gateway.caching.handler import Cached
from gateway.errors import ConnectFailed
from tests.caching.handling import (
    Backend,
    Clock,
    Pieces,
    asking,
    cached,
    header,
    label,
    read,
    says,
    store,
)
from tests.support.gunicorn import wait_for
from tests.support.outline import outline

CONTROL = "max-age=60, stale-while-revalidate=60"
TOKEN = ("Authorization", "Bearer ada")


class Beside:
    """Tasks beside the requests, done when the test says so."""

    def __init__(self) -> None:
        self.tasks: list[Callable[[], object]] = []
        self.full = False

    def __call__(self, task: Callable[[], object]) -> bool:
        if not self.full:
            self.tasks.append(task)
        return not self.full

    def run(self) -> None:
        """Do them."""
        while self.tasks:
            self.tasks.pop()()


class Stale:
    """A cache with an answer whose time is just over, for a certain caller."""

    def __init__(self, *headers: tuple[str, str], etag: str = '"one"') -> None:
        self.backend, self.clock, self.beside, self.kept = Backend(), Clock(), Beside(), store()
        self.headers = headers
        self.backend.says(CONTROL, etag=etag)
        self.handler = self.worker()
        read(self.ask())
        self.clock.now += 60

    def worker(self) -> Cached:
        """Another worker with the same store."""
        clocks = {"wall": self.clock, "start": self.beside}
        return cached(self.backend, kept=self.kept, clocks=clocks)

    def ask(self, *more: tuple[str, str], method: str = "GET") -> UpstreamResponse:
        """Ask for it now."""
        return self.handler(asking(*self.headers, *more, method=method))


def test_the_stale_answer_comes_at_once_and_the_next_is_new() -> None:
    stale = Stale()
    stale.backend.says(CONTROL, b"newer")
    response = stale.ask()
    assert (label(response), read(response)) == ("STALE", b"answer")
    assert header(response, "Cache-Status") == "edge; hit; ttl=0"
    assert len(stale.backend.asked) == 1
    stale.beside.run()
    assert (label(stale.ask()), read(stale.ask())) == ("HIT", b"newer")
    assert len(stale.backend.asked) == 2


def test_it_is_fetched_once_whoever_asks() -> None:
    stale = Stale()
    other = stale.worker()
    for _ in range(3):
        assert label(stale.ask()) == label(other(asking())) == "STALE"
    assert len(stale.beside.tasks) == 1
    stale.beside.run()
    assert len(stale.backend.asked) == 2
    assert label(other(asking())) == "HIT"


def test_a_refresh_that_comes_late_asks_nobody() -> None:
    stale = Stale()
    assert label(stale.ask()) == "STALE"
    task = stale.beside.tasks.pop()
    other = stale.worker()
    stale.clock.now += 60  # nobody may use the stale one any more: it is asked for
    with_wait = replace(asking(), deadline=0.0)
    assert label(other(with_wait)) == "MISS"
    task()
    assert len(stale.backend.asked) == 2


def test_the_copy_is_the_callers_own() -> None:
    """Its answer is that caller's alone, so it is asked for with his fields."""
    stale = Stale(TOKEN)
    request = replace(asking(TOKEN), timeouts=Timeouts(1.0, 2.0, 7.0))
    gone = replace(request, abandoned=lambda: True)
    assert label(stale.handler(gone)) == "STALE"
    stale.beside.run()
    copy = stale.backend.asked[-1]
    assert copy.field("authorization") == TOKEN[1]
    assert copy.requester is request.requester
    assert copy.field("if-none-match") == '"one"'
    assert copy.exchange is not request.exchange
    assert copy.exchange.request_id == request.exchange.request_id
    assert copy.deadline == pytest.approx(copy.exchange.started + 7.0)
    assert not copy.abandoned()
    assert label(stale.handler(asking(("Authorization", "Bearer bob")))) == "MISS"


def test_head_has_all_of_it_fetched() -> None:
    stale = Stale(etag="")
    stale.backend.says(CONTROL, Pieces(b"new", b"er"))
    assert read(stale.ask(method="HEAD")) == b""
    stale.beside.run()
    assert stale.backend.asked[-1].method == "GET"
    assert read(stale.ask()) == b"newer"


@pytest.mark.parametrize("wish", ["no-store", "only-if-cached"])
def test_some_clients_have_nothing_fetched(wish: str) -> None:
    stale = Stale()
    assert label(stale.ask(("Cache-Control", wish))) == "STALE"
    assert stale.beside.tasks == []


def test_where_too_much_is_under_way_the_next_one_tries_again() -> None:
    stale = Stale()
    stale.beside.full = True
    assert label(stale.ask()) == "STALE"
    stale.beside.full = False
    assert label(stale.ask()) == "STALE"
    assert len(stale.beside.tasks) == 1


@pytest.mark.parametrize("how", ["error", "status", "body"])
def test_a_failure_leaves_things_as_they_are(how: str, caplog: pytest.LogCaptureFixture) -> None:
    stale = Stale()
    if how == "error":
        stale.backend.fails(ConnectFailed())
    elif how == "status":
        stale.backend.says(None, status=503)
    else:
        stale.backend.play = lambda _: says(CONTROL, Pieces(b"new", broken=True))
    for _ in range(3):
        response = stale.ask()
        assert (label(response), read(response)) == ("STALE", b"answer")
        stale.beside.run()
    assert len(stale.backend.asked) == 4
    told = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert len(told) == 1


def test_what_is_not_to_be_kept_any_more_is_gone() -> None:
    stale = Stale()
    stale.backend.says("private", b"newer")
    assert label(stale.ask()) == "STALE"
    stale.beside.run()
    assert label(stale.ask()) == "BYPASS"


def test_by_default_it_is_done_in_the_background() -> None:
    backend, clock = Backend(), Clock()
    backend.says(CONTROL)
    handler = cached(backend, clocks={"wall": clock})
    read(handler(asking()))
    clock.now += 60
    came = threading.Event()

    def play(_request: UpstreamRequest) -> UpstreamResponse:
        assert came.wait(10)
        return says(CONTROL, b"newer")

    backend.play = play
    assert read(handler(outline())) == b"answer"
    came.set()
    assert wait_for(lambda: read(handler(outline())) == b"newer")
