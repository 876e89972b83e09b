"""Requests that go on by themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from gateway import StaticBody, UpstreamResponse
from gateway.detached import closed, detached, read_over
from gateway.exchange import Exchange
from tests.support.outline import answer, outline
from tests.test_response_bodies import Pieces


def test_a_copy_has_a_record_and_a_time_of_its_own() -> None:
    request = outline(user="ada", abandoned=lambda: True)
    copy = detached(request, 1.5)
    assert (copy.method, copy.target, copy.headers) == ("GET", request.target, request.headers)
    assert copy.requester is request.requester
    assert not copy.abandoned()
    assert (copy.timeouts.total, copy.timeouts.read) == (1.5, 1.5)
    assert copy.deadline == pytest.approx(copy.exchange.started + 1.5)
    own, main = copy.exchange, request.exchange
    assert own is not main
    assert (own.request_id, own.user, own.service) == (main.request_id, "ada", "things")
    assert detached(request, 1.0, service="others").exchange.service == "others"


def test_its_record_may_be_of_a_kind() -> None:
    class Marked(Exchange):
        """Another kind."""

    assert isinstance(detached(outline(), 1.0, Marked).exchange, Marked)


def test_everything_is_closed_at_its_end() -> None:
    copy, body, ended = detached(outline(), 1.0), Pieces(b"a"), []
    copy.exchange.bodies.append(body)
    copy.exchange.endings.append(lambda: ended.append(1))
    closed(copy)
    assert (body.closed, ended) == (1, [1])


@pytest.mark.parametrize(("most", "seconds"), [(1, 5.0), (9, -1.0)], ids=["size", "time"])
def test_reading_is_bounded(most: int, seconds: float) -> None:
    class Counted(Pieces):
        """How many pieces were asked for."""

        given = 0

        def __iter__(self) -> Iterator[bytes]:
            for piece in super().__iter__():
                self.given += 1
                yield piece

    body = Counted(b"ab", b"cd", b"ef")
    read_over(UpstreamResponse(200, "", [], body), time.monotonic() + seconds, most)
    assert (body.given, body.closed) == (1, 1)


def test_reading_ends_with_the_body() -> None:
    response = answer(body=b"abc")
    assert isinstance(response.body, StaticBody)
    read_over(response, time.monotonic() + 5, 3)
    assert list(response.body) == []
