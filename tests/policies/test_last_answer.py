"""Remembered answers: which ones, for how long, and never for anybody else."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import StaticBody, UpstreamRequest, UpstreamResponse
from gateway.bodies import RequestBody
from gateway.errors import BodyFailed
from gateway.exchange import Headers
from gateway.policies.last_answer import LARGEST, MOST_BYTES, PASSING, LastAnswers
from tests.support.outline import outline

TOKEN = ("Authorization", "Bearer one")


class Pieces:
    """A body in pieces whose end is not known before it comes; it may break."""

    def __init__(self, *pieces: bytes, broken: bool = False) -> None:
        self._pieces = pieces
        self._broken = broken
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._broken:
            raise BodyFailed

    def close(self) -> None:
        """Note it."""
        self.closed = True


class Time:
    """A clock that is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def response(
    body: bytes | Pieces = b"body", *fields: tuple[str, str], status: int = 200, framed: bool = True
) -> UpstreamResponse:
    """An answer as it comes from the wire."""
    headers: Headers = list(fields)
    if isinstance(body, bytes):
        if framed:
            headers.append(("Content-Length", str(len(body))))
        body = Pieces(body)
    elif framed:
        headers.append(("Transfer-Encoding", "chunked"))
    return UpstreamResponse(status, "Fine", headers, body, "http://a.internal", "/base")


def kept(
    answer: UpstreamResponse, request: UpstreamRequest | None = None, seconds: float = 300
) -> bytes | None:
    """What is remembered of an answer that has passed; None for nothing."""
    answers = LastAnswers(seconds)
    asked = request or outline()
    for _ in answers.remembering(asked, answer).body:
        pass
    found = answers.recall(asked)
    return None if found is None else b"".join(found.body)


def test_an_answer_is_given_again_whole_with_its_age() -> None:
    clock = Time()
    answers = LastAnswers(60, clock)
    fields = [("Content-Type", "text/plain"), ("Connection", "close"), ("X-Fallback", "no")]
    passing = answers.remembering(outline(), response(Pieces(b"one", b"two"), *fields))
    assert answers.recall(outline()) is None  # not before it is whole
    assert b"".join(passing.body) == b"onetwo"
    clock.now += 20.9
    for _ in range(2):
        found = answers.recall(outline())
        assert found is not None
        assert (found.status, found.reason) == (200, "Fine")
        assert (found.origin, found.base, found.target) == ("http://a.internal", "/base", "")
        assert b"".join(found.body) == b"onetwo"
        assert found.headers == [
            ("Content-Type", "text/plain"),
            ("Age", "20"),
            ("Content-Length", "6"),
        ]
    clock.now += 40
    assert answers.recall(outline()) is None


def test_the_newest_answer_counts() -> None:
    answers = LastAnswers(60)
    for body in (b"old", b"new"):
        assert b"".join(answers.remembering(outline(), response(body)).body) == body
    found = answers.recall(outline())
    assert found is not None
    assert b"".join(found.body) == b"new"


def test_ages_add_up() -> None:
    clock = Time()
    answers = LastAnswers(60, clock)
    assert list(answers.remembering(outline(), response(b"x", ("Age", "7"))).body) == [b"x"]
    clock.now += 3
    found = answers.recall(outline())
    assert found is not None
    assert ("Age", "10") in found.headers


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("Cache-Control", "public, max-age=1")],
        [("Vary", "Accept, Accept-Encoding"), ("Vary", "X-Tenant")],
        [("Expires", "0")],
        [("Cache-Control", "s-maxage=60")],
    ],
)
def test_what_is_remembered(fields: Headers) -> None:
    assert kept(response(b"body", *fields)) == b"body"
    assert kept(response(Pieces(b"bo", b"dy"), *fields)) == b"body"
    assert kept(response(Pieces(), *fields)) == b""


@pytest.mark.parametrize(
    "fields",
    [
        [("Cache-Control", "no-store")],
        [("cache-control", "max-age=5, No-Cache")],
        [("Cache-Control", 'no-cache="set-cookie"')],
        [("Cache-Control", "max-age=5"), ("Cache-Control", "must-revalidate")],
        [("Cache-Control", "proxy-revalidate")],
        [("Cache-Control", "private")],
        [("Cache-Control", "s-maxage=0")],
        [("Cache-Control", "s-maxage=soon")],
        [("Pragma", "no-cache")],
        [("Set-Cookie", "a=b")],
        [("Content-Range", "bytes 0-3/9")],
        [("Vary", "*")],
        [("Vary", "accept, User-Agent")],
        [("Vary", "X-Forwarded-For")],
        [("Content-Length", "9")],  # beside the right one
    ],
)
def test_what_is_not(fields: Headers) -> None:
    assert kept(response(b"body", *fields)) is None


def test_private_answers_are_for_callers_that_are_known() -> None:
    private = ("Cache-Control", "private")
    assert kept(response(b"x", private), outline(user="ada")) == b"x"
    assert kept(response(b"x", private), outline(headers=[TOKEN])) == b"x"
    assert kept(response(b"x", private), outline(headers=[("cookie", "a=b")])) == b"x"
    assert kept(response(b"x", private), outline(headers=[("X-Key", "a")])) is None


@pytest.mark.parametrize("status", [201, 203, 204, 206, 301, 404, 500, 503])
def test_only_200(status: int) -> None:
    assert kept(response(status=status)) is None


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "get"])
def test_only_get(method: str) -> None:
    assert kept(response(), outline(method)) is None


def test_no_requests_with_a_body() -> None:
    assert kept(response(), outline(body=RequestBody(io.BytesIO(), 0))) is None


def test_a_client_may_forbid_it() -> None:
    assert kept(response(), outline(headers=[("Cache-Control", "no-store")])) is None


def test_only_whole_bodies() -> None:
    assert kept(response(b"body", ("Content-Length", "4"), framed=False)) == b"body"
    assert kept(response(b"body", ("Content-Length", "5"), framed=False)) is None
    assert kept(response(b"body", framed=False)) is None  # until the connection closes
    whole = UpstreamResponse(200, "", [], StaticBody(b"whole"))
    assert kept(whole) == b"whole"


def test_no_bodies_that_break_or_are_left() -> None:
    answers = LastAnswers(60)
    broken = answers.remembering(outline(), response(Pieces(b"bo", broken=True)))
    with pytest.raises(BodyFailed):
        list(broken.body)
    left, pieces = outline(), Pieces(b"bo", b"dy")
    passing = answers.remembering(left, response(pieces))
    assert next(iter(passing.body)) == b"bo"
    passing.body.close()
    assert pieces.closed
    assert list(passing.body) == [b"dy"]  # read on by somebody all the same
    assert answers.recall(outline()) is None


def test_no_bodies_that_are_large() -> None:
    assert kept(response(bytes(LARGEST))) == bytes(LARGEST)
    assert kept(response(bytes(LARGEST + 1))) is None
    assert kept(response(Pieces(*[bytes(LARGEST)] * 3))) is None


def test_what_is_held_is_bounded() -> None:
    answers = LastAnswers(60)

    def remembered(size: int, number: int) -> int:
        requests = [outline(target=f"/{size}/{one}") for one in range(number)]
        for request in requests:
            assert len(b"".join(answers.remembering(request, response(bytes(size))).body)) == size
        return sum(answers.recall(request) is not None for request in requests)

    assert 100 < remembered(LARGEST, 200) <= MOST_BYTES // LARGEST
    assert 1000 < remembered(0, 3000) <= MOST_BYTES // 4096


def test_a_backend_may_shorten_it() -> None:
    clock = Time()
    answers = LastAnswers(60, clock)
    for _ in answers.remembering(
        outline(), response(b"x", ("Cache-Control", 'public, s-maxage="10"'))
    ).body:
        pass
    clock.now += 9
    assert answers.recall(outline()) is not None
    clock.now += 2
    assert answers.recall(outline()) is None


def test_fields_on_the_way_do_not_matter() -> None:
    answers = LastAnswers(60)
    first: Headers = [(name.title(), "first") for name in sorted(PASSING - {"cache-control"})]
    second: Headers = [(name, "second") for name in sorted(PASSING)]
    asked = outline(headers=[("Accept", "a"), *first])
    assert list(answers.remembering(asked, response()).body) == [b"body"]
    assert answers.recall(outline(headers=[*second, ("accept", "a")])) is not None
    assert answers.recall(outline(headers=[*second, ("accept", "b")])) is None
    assert PASSING.isdisjoint({"authorization", "cookie", "x-user-id", "accept", "x-api-key"})


def test_what_policies_made_it_differ_by_matters() -> None:
    answers = LastAnswers(60)
    asked = replace(outline(), differs=("from orders",))
    assert list(answers.remembering(asked, response()).body) == [b"body"]
    assert answers.recall(asked) is not None
    assert answers.recall(outline()) is None


def test_what_a_cache_said_of_it_is_not_said_again() -> None:
    answers = LastAnswers(60)
    told = [("X-Cache", "HIT"), ("Cache-Status", "edge; hit"), ("Via", "1.1 a")]
    assert list(answers.remembering(outline(), response(b"body", *told)).body) == [b"body"]
    found = answers.recall(outline())
    assert found is not None
    assert {"X-Cache", "Cache-Status"}.isdisjoint(name for name, _ in found.headers)
    assert ("Via", "1.1 a") in found.headers


callers = st.builds(
    lambda user, target, fields, host: (user, target, tuple(fields), host),
    st.sampled_from(["", "ada", "bob"]),
    st.sampled_from(["/a", "/b", "/a?x"]),
    st.lists(
        st.tuples(
            st.sampled_from(["Authorization", "Cookie", "X-Api-Key", "Accept", "Accept-Language"]),
            st.sampled_from(["", "1", "2", "12", "1\0cookie:2"]),
        ),
        max_size=3,
    ),
    st.sampled_from([None, "a.example", "b.example"]),
)


def test_no_field_can_pass_for_two() -> None:
    answers = LastAnswers(60)
    asked = outline(headers=[("Authorization", "1"), ("Cookie", "2")])
    assert list(answers.remembering(asked, response()).body) == [b"body"]
    for value in ("1\0cookie:2", "1'), ('cookie', '2"):
        assert answers.recall(outline(headers=[("Authorization", value)])) is None


@given(st.lists(callers, max_size=8), st.lists(callers, max_size=8))
def test_nobody_gets_what_another_was_told(
    first: list[tuple[str, str, tuple[tuple[str, str], ...], str | None]],
    then: list[tuple[str, str, tuple[tuple[str, str], ...], str | None]],
) -> None:
    """Each answer says to whom it was given; a caller differs by anything it says of itself."""
    answers = LastAnswers(60)
    for caller in first:
        told = repr(caller).encode()
        for _ in answers.remembering(_of(caller), response(told)).body:
            pass
    for caller in [*first, *then]:
        found = answers.recall(_of(caller))
        told = repr(caller).encode()
        if found is None:
            assert caller not in first
        else:
            assert b"".join(found.body) == told


def _of(caller: tuple[str, str, tuple[tuple[str, str], ...], str | None]) -> UpstreamRequest:
    user, target, fields, host = caller
    return replace(outline(target=target, user=user, headers=list(fields)), host=host)
