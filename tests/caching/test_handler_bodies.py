"""What a cache does with bodies: on their way, that break, too long, or asked for in part."""

from __future__ import annotations

import pytest

from gateway import UpstreamRequest
from gateway.errors import BodyFailed
from gateway.response_bodies import TeedBody
from tests.caching.handling import (
    FRESH,
    Backend,
    Pieces,
    asking,
    cached,
    header,
    label,
    read,
    says,
)

ETAG = '"one"'


@pytest.mark.parametrize("body", [b"answer", None], ids=["whole", "arriving"])
def test_conditions_are_answered_from_what_comes(body: bytes | None) -> None:
    backend = Backend(lambda _: says(FRESH, body or Pieces(b"ans", b"wer"), etag=ETAG))
    handler = cached(backend)
    response = handler(asking(("If-None-Match", ETAG)))
    assert backend.last("if-none-match") == ""
    assert (response.status, label(response), read(response)) == (304, "MISS", b"")
    assert read(handler(asking())) == b"answer"
    assert len(backend.asked) == 1


def test_conditions_that_are_not_met() -> None:
    backend = Backend(lambda _: says(FRESH, Pieces(b"answer"), etag='"two"'))
    handler = cached(backend)
    assert read(handler(asking(("If-None-Match", ETAG)))) == b"answer"
    assert handler(asking(("If-None-Match", '"two"'))).status == 304


def test_a_body_that_is_not_needed_may_break() -> None:
    backend = Backend(lambda _: says(FRESH, Pieces(b"ans", broken=True), etag=ETAG))
    handler = cached(backend)
    assert handler(asking(("If-None-Match", ETAG))).status == 304
    assert label(handler(asking())) == "MISS"


@pytest.mark.parametrize("name", ["If-Match", "If-Unmodified-Since"])
def test_conditions_for_the_origin_pass(name: str) -> None:
    backend = Backend()
    handler = cached(backend)
    read(handler(asking()))
    response = handler(asking((name, ETAG)))
    assert backend.last(name.lower()) == ETAG
    assert (label(response), header(response, "Cache-Status")) == ("BYPASS", "edge; fwd=request")


def test_a_range_passes_where_nothing_is_kept() -> None:
    backend = Backend(lambda _: says(FRESH, b"ans", 206, content_range="bytes 0-2/6"))
    handler = cached(backend)
    part = ("Range", "bytes=0-2")
    response = handler(asking(part))
    assert (response.status, label(response)) == (206, "BYPASS")
    assert backend.last("range") == "bytes=0-2"
    backend.says(FRESH)
    read(handler(asking()))
    response = handler(asking(part))
    assert (response.status, label(response), read(response)) == (206, "HIT", b"ans")
    assert header(response, "Content-Range") == "bytes 0-2/6"


def test_a_body_reaches_the_client_as_it_comes() -> None:
    pieces = Pieces(b"one", b"two")
    handler = cached(Backend(lambda _: says(FRESH, pieces)))
    response = handler(asking())
    assert pieces.given == 0
    assert next(iter(response.body)) == b"one"
    assert pieces.given == 1


def test_a_body_that_breaks_is_not_kept() -> None:
    handler = cached(Backend(lambda _: says(FRESH, Pieces(b"one", broken=True))))
    for _ in range(2):
        response = handler(asking())
        assert label(response) == "MISS"
        with pytest.raises(BodyFailed):
            read(response)


@pytest.mark.parametrize("by", ["close", "end"])
def test_a_body_that_nobody_reads_is_not_kept(by: str) -> None:
    """The client leaves, or something further out drops the answer."""
    handler = cached(Backend(lambda _: says(FRESH, Pieces(b"one", b"two"))))
    request = asking()
    response = handler(request)
    next(iter(response.body))
    if by == "close":
        response.body.close()
    else:
        for body in request.exchange.bodies:
            body.close()
    assert label(handler(asking())) == "MISS"


def test_a_body_shorter_than_announced_is_not_kept() -> None:
    def cut(_request: UpstreamRequest) -> object:
        response = says(FRESH, Pieces(b"one"))
        response.headers[-1] = ("Content-Length", "4")
        return response

    handler = cached(Backend(cut))  # type: ignore[arg-type]
    for _ in range(2):
        response = handler(asking())
        assert label(response) == "MISS"
        read(response)


def test_a_body_that_turns_out_too_long_passes_from_then_on() -> None:
    backend = Backend(lambda _: says(FRESH, Pieces(b"1234", b"5678"), etag=ETAG))
    handler = cached(backend, max_bytes=7)
    assert read(handler(asking())) == b"12345678"
    condition = ("If-None-Match", '"other"')
    response = handler(asking(condition))
    assert label(response) == "BYPASS"
    assert backend.last("if-none-match") == '"other"'


def test_the_tee_is_closed_at_the_requests_end() -> None:
    request = asking()
    response = cached(Backend(lambda _: says(FRESH, Pieces(b"one"))))(request)
    assert isinstance(response.body, TeedBody)
    assert response.body in request.exchange.bodies


@pytest.mark.parametrize(
    "field",
    [("If-None-Match", '"x"'), ("Range", "bytes=0-1"), ("Cache-Control", "no-store")],
    ids=lambda field: str(field[0]),
)
def test_a_request_for_less_passes_as_it_is(field: tuple[str, str]) -> None:
    backend = Backend()
    backend.says("private")
    handler = cached(backend)
    handler(asking())
    backend.says(FRESH)
    assert label(handler(asking(field))) == "BYPASS"
    assert backend.last(field[0].lower()) == field[1]
