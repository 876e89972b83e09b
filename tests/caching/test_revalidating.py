"""Asking whether what is kept is still good, and what counts if nobody says so."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gateway import UpstreamRequest, UpstreamResponse
from gateway.caching.handler import Cached
from gateway.caching.store import Purge
from gateway.errors import ConnectFailed, HeadTimeout, NotSent
from tests.caching.handling import (
    FRESH,
    Backend,
    Clock,
    asking,
    cached,
    header,
    label,
    read,
    says,
    store,
)
from tests.support.gunicorn import wait_for

ETAG = '"one"'
TOLERANT = "max-age=60, stale-if-error=600"


def unchanged(**fields: str) -> UpstreamResponse:
    """304."""
    response = says(FRESH, b"", 304, **{"etag": ETAG, **fields})
    response.headers = [one for one in response.headers if one[0] != "Content-Length"]
    return response


class Stale:
    """A cache with an answer whose time is over."""

    def __init__(self, control: str = FRESH, **options: Any) -> None:
        self.backend, self.clock, self.kept = Backend(), Clock(), store()
        self.backend.says(control, etag=ETAG, surrogate_key="tag")
        self.handler: Cached = cached(
            self.backend, kept=self.kept, clocks={"wall": self.clock}, **options
        )
        read(self.handler(asking()))
        self.clock.now += 60

    def ask(self, *headers: tuple[str, str], method: str = "GET") -> UpstreamResponse:
        """Ask for it now."""
        return self.handler(asking(*headers, method=method))


def test_what_is_still_good_is_kept_anew() -> None:
    stale = Stale()
    stale.backend.play = lambda _: unchanged()
    response = stale.ask(("If-None-Match", '"other"'), ("Range", "bytes=0-1"))
    assert stale.backend.last("if-none-match") == ETAG
    assert stale.backend.last("range") == ""
    assert (response.status, label(response), read(response)) == (206, "REVALIDATED", b"an")
    assert header(response, "Cache-Status") == "edge; fwd=stale; fwd-status=304; stored"
    assert label(stale.ask()) == "HIT"
    assert len(stale.backend.asked) == 2


def test_tags_outlive_an_answer_that_does_not_say_them_again() -> None:
    stale = Stale()
    stale.backend.play = lambda _: unchanged()
    read(stale.ask())
    assert stale.kept.purge(Purge("tag", "tag")) == 1
    assert label(stale.ask()) == "MISS"


def test_head_asks_with_head() -> None:
    stale = Stale()
    stale.backend.play = lambda _: unchanged()
    response = stale.ask(method="HEAD")
    assert stale.backend.asked[-1].method == "HEAD"
    assert (label(response), read(response)) == ("REVALIDATED", b"")
    assert read(stale.ask()) == b"answer"
    assert len(stale.backend.asked) == 2


def test_another_answer_takes_its_place() -> None:
    stale = Stale()
    stale.backend.says(FRESH, b"newer", etag='"two"')
    response = stale.ask()
    assert (label(response), read(response)) == ("MISS", b"newer")
    assert header(response, "Cache-Status") == "edge; fwd=stale; stored"
    assert (label(stale.ask()), read(stale.ask())) == ("HIT", b"newer")


def test_a_304_about_something_else_means_nothing() -> None:
    stale = Stale()

    def play(request: UpstreamRequest) -> UpstreamResponse:
        asked = request.field("if-none-match")
        return unchanged(etag='"two"') if asked else says(FRESH, b"whole")

    stale.backend.play = play
    assert read(stale.ask()) == b"whole"
    assert len(stale.backend.asked) == 3


def test_an_answer_that_is_not_to_be_kept_any_more_is_gone() -> None:
    stale = Stale()
    stale.backend.says("no-store", b"newer")
    assert read(stale.ask()) == b"newer"
    stale.backend.play = lambda _: unchanged()
    assert label(stale.ask()) == "BYPASS"
    assert stale.backend.last("if-none-match") == ""


def test_a_cookie_of_a_304_is_for_the_one_who_asked() -> None:
    stale = Stale(override=["set-cookie"])
    stale.backend.play = lambda _: unchanged(set_cookie="sid=1")
    first = stale.ask()
    assert (label(first), header(first, "Set-Cookie")) == ("REVALIDATED", "sid=1")
    second = stale.ask()
    assert (label(second), header(second, "Set-Cookie")) == ("HIT", "")


@pytest.mark.parametrize(
    ("error", "party", "told", "lines"),
    [
        (ConnectFailed(), "upstream", "detail=connection_refused", 1),
        (HeadTimeout(), "upstream", "detail=http_response_timeout", 1),
        (NotSent("circuit_open"), "gateway", "detail=circuit_open", 0),
        (None, "upstream", "fwd-status=503", 1),
    ],
    ids=["refused", "late", "circuit", "status"],
)
def test_something_stale_instead_of_an_error(
    error: Exception | None,
    party: str,
    told: str,
    lines: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stale = Stale(TOLERANT)
    if error is None:
        stale.backend.says(None, status=503)
    else:
        stale.backend.fails(error)
    request = asking()
    response = stale.handler(request)
    assert (label(response), read(response)) == ("STALE", b"answer")
    assert header(response, "Cache-Status") == f"edge; fwd=stale; {told}"
    assert (request.exchange.party, request.exchange.cache) == (party, "stale")
    found = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert len(found) == lines
    assert all(line.startswith("a-request-id: things ") for line in found)


def test_errors_are_told_where_nothing_stale_may_be_used() -> None:
    stale = Stale(TOLERANT)
    stale.clock.now += 600
    stale.backend.fails(ConnectFailed())
    with pytest.raises(ConnectFailed):
        stale.ask()
    strict = Stale("max-age=60, must-revalidate", stale_if_error=600)
    strict.backend.says(None, status=503)
    assert strict.ask().status == 503


def test_one_asks_for_all_who_have_the_same_stale_answer() -> None:
    stale = Stale(collapse=30.0)
    opened = threading.Event()

    def play(_request: UpstreamRequest) -> UpstreamResponse:
        assert opened.wait(20)
        return unchanged()

    stale.backend.play = play
    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(lambda: label(stale.ask())) for _ in range(10)]
        assert wait_for(lambda: len(stale.backend.asked) == 2)
        opened.set()
        came = sorted(one.result(20) for one in asked)
    assert came == ["HIT"] * 9 + ["REVALIDATED"]
    assert len(stale.backend.asked) == 2


def test_who_waited_for_a_failure_gets_the_stale_answer_without_asking() -> None:
    stale = Stale(TOLERANT, collapse=30.0)
    opened, asking_now = threading.Event(), threading.Barrier(2)

    def play(_request: UpstreamRequest) -> UpstreamResponse:
        asking_now.wait(20)
        assert opened.wait(20)
        raise ConnectFailed

    stale.backend.play = play
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(lambda: label(stale.ask()))
        asking_now.wait(20)
        before = threading.active_count()
        others = [pool.submit(lambda: header(stale.ask(), "Cache-Status")) for _ in range(9)]
        assert wait_for(lambda: threading.active_count() == before + 9)
        assert wait_for(lambda: waiting(stale.handler) == 9)
        opened.set()
        assert first.result(20) == "STALE"
        assert {one.result(20) for one in others} == {"edge; fwd=stale; collapsed"}
    assert len(stale.backend.asked) == 2


def waiting(handler: Cached) -> int:
    """How many wait for a request that is under way."""
    events: list[Any] = [one._ended for one in handler._collapsing._flights.values()]
    return sum(len(event._cond._waiters) for event in events)
