"""Bodies taken in whole, up to a bound."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.bodies import BytesBody, RequestBody
from gateway.errors import BodyFailed, ClientBodyError, ClientGone, Refusal, UnusableAnswer
from gateway.exchange import BodySource, UpstreamResponse
from gateway.transforms.reading import read_request, read_response
from tests.support.outline import answer, outline


class Untouched(io.BytesIO):
    """A stream that nobody may read."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError


class Pieces:
    """A response body that comes in pieces, and may end in an error."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self.pieces = pieces
        self.error = error
        self.given = 0
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.given += 1
            yield piece
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed += 1


def streamed(data: bytes, *, chunked: bool = False) -> RequestBody:
    return RequestBody(io.BytesIO(data), None if chunked else len(data))


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 1, 5, 200_000])
def test_all_of_a_request_is_read(size: int, chunked: bool) -> None:
    body = streamed(bytes(size), chunked=chunked)
    assert read_request(outline(body=body), size) == bytes(size)
    assert body.finished


def test_a_request_without_a_body() -> None:
    assert read_request(outline(), 0) == b""


def test_one_that_says_it_is_too_large_is_not_read() -> None:
    body: BodySource
    for body in (RequestBody(Untouched(), 6), BytesBody(b"abcdef")):
        with pytest.raises(Refusal) as raised:
            read_request(outline(body=body), 5)
        assert (raised.value.code, raised.value.slug) == (413, "body_too_large")


def test_one_that_becomes_too_large_is_read_no_further() -> None:
    body = streamed(bytes(1_000_000), chunked=True)
    with pytest.raises(Refusal) as raised:
        read_request(outline(body=body), 5)
    assert raised.value.code == 413
    assert body.received < 100_000
    assert not body.finished


def test_what_the_body_raises_passes() -> None:
    with pytest.raises(ClientBodyError):
        read_request(outline(body=RequestBody(io.BytesIO(b"abc"), 5)), 10)


def test_what_is_here_already_stays_to_be_sent() -> None:
    body = BytesBody(b"abc")
    request = outline(body=body)
    assert read_request(request, 3) == b"abc" == read_request(request, 3)
    assert not body.finished


def read(body: Pieces, limit: int = 10, *, total: float | None = 5.0, times: str = "") -> bytes:
    """Read it as an answer's body; times: what the clock says each time, a digit each."""
    request = outline()
    request = replace(request, timeouts=replace(request.timeouts, total=total))
    ticks = (float(digit) for digit in times or "0" * 20)
    return read_response(
        request, UpstreamResponse(200, "", [], body, target="a"), limit, ticks.__next__
    )


@pytest.mark.parametrize("pieces", [(), (b"abc",), (b"a", b"", b"bc")])
def test_all_of_an_answer_is_read_and_closed(pieces: tuple[bytes, ...]) -> None:
    body = Pieces(*pieces)
    assert read(body) == b"".join(pieces)
    assert body.closed


def test_an_answer_that_is_too_large_is_read_no_further() -> None:
    body = Pieces(b"abcdef", b"ghijkl", b"more")
    with pytest.raises(UnusableAnswer) as raised:
        read(body)
    error = raised.value
    assert (error.status, error.reason) == (502, "http_response_body_size")
    assert (error.party, error.target) == ("upstream", "a")
    assert not error.retry_safe
    assert body.given == 2
    assert body.closed


def test_an_answer_that_says_it_is_too_large_is_not_read() -> None:
    body = Pieces(b"abc")
    response = UpstreamResponse(200, "", [("content-length", "11")], body)
    with pytest.raises(UnusableAnswer):
        read_response(outline(), response, 10)
    assert (body.given, bool(body.closed)) == (0, True)


def test_an_answer_that_drips_is_given_up() -> None:
    body = Pieces(*[b"a"] * 9)
    with pytest.raises(UnusableAnswer) as raised:
        read(body, times="0136")
    assert (raised.value.status, raised.value.reason) == (504, "http_response_timeout")
    assert (body.given, bool(body.closed)) == (3, True)


def test_without_a_total_it_may_take_its_time() -> None:
    assert read(Pieces(b"a", b"b"), total=None, times="0") == b"ab"


@pytest.mark.parametrize("error", [BodyFailed("cut"), ClientGone()])
def test_an_answer_that_breaks_is_an_error_while_the_head_is_not_sent(error: Exception) -> None:
    body = Pieces(b"a", error=error)
    with pytest.raises(type(error)):
        read(body)
    assert body.closed


def test_an_answer_that_is_here_already() -> None:
    assert read_response(outline(), answer(body=b"abc"), 3) == b"abc"
