"""Which answers are kept, and for how long they are fresh."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bodies import RequestBody
from gateway.caching.entry import Entry
from gateway.caching.freshness import Rules, Verdict, judge, standing, wants
from gateway.exchange import Headers, UpstreamResponse
from gateway.response_bodies import StaticBody
from tests.caching.told import FIELDS, NOW, OVERRIDES, RULES, control, date, judged
from tests.support.outline import outline

HOUR, DAY = 3600.0, 86400.0
ENDLESS = 2.0**31


class Arriving:
    """A body of which nothing is here yet."""

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"ok"])

    def close(self) -> None:
        """Nothing is open."""


# -- how long it is fresh -------------------------------------------------------------------------

CDN, SURROGATE = "CDN-Cache-Control", "Surrogate-Control"
PLAIN = ("ETag", '"1"')
LIFETIMES: dict[str, tuple[Headers, float]] = {
    "9111-4.2.1-max-age": (control("max-age=60"), 60),
    "9111-4.2.1-s-maxage-wins": (control("max-age=60, s-maxage=70"), 70),
    "9111-4.2.1-s-maxage-wins-if-shorter": (control("max-age=60, s-maxage=5"), 5),
    "9111-4.2.1-max-age-over-expires": (
        [*control("max-age=60"), ("Expires", date(HOUR)), ("Date", date(0))],
        60,
    ),
    "9111-4.2.1-unreadable-is-stale": (control("max-age=soon, public"), 0),
    "9111-4.2.1-negative-is-stale": (control("max-age=-5"), 0),
    "9111-4.2.1-unreadable-s-maxage-is-stale": (control("s-maxage=x, max-age=60"), 0),
    "9111-4.2.1-smaller-of-two": (control("max-age=60, max-age=9"), 9),
    "9111-1.2.2-overflow": (control("max-age=99999999999999999999"), ENDLESS),
    "9111-5.3-expires": ([PLAIN, ("Expires", date(60)), ("Date", date(0))], 60),
    "9111-5.3-expires-counts-from-date": ([PLAIN, ("Expires", date(60)), ("Date", date(-30))], 90),
    "9111-5.3-expires-without-date": ([PLAIN, ("Expires", date(60))], 60),
    "9111-5.3-expires-in-the-past": ([PLAIN, ("Expires", date(-60)), ("Date", date(0))], 0),
    "9111-5.3-invalid-expires-is-stale": (
        [PLAIN, ("Expires", "0"), ("Last-Modified", date(-DAY))],
        0,
    ),
    "9111-5.3-first-to-expire": ([PLAIN, ("Expires", date(60)), ("Expires", date(9))], 9),
    "9111-5.3-one-invalid-of-two": ([PLAIN, ("Expires", date(60)), ("Expires", "-1")], 0),
    "9111-4.2.2-tenth-of-its-age": ([("Last-Modified", date(-1000)), ("Date", date(0))], 100),
    "9111-4.2.2-a-day-at-most": ([("Last-Modified", date(-1000 * DAY))], DAY),
    "9111-4.2.2-from-date": ([("Last-Modified", date(-1100)), ("Date", date(-100))], 100),
    "9111-4.2.2-changed-in-the-future": ([("Last-Modified", date(HOUR))], 0),
    "9111-4.2.2-not-with-max-age": ([("Last-Modified", date(-DAY)), *control("max-age=0")], 0),
    "9111-4.2.2-with-another-directive": ([("Last-Modified", date(-1000)), *control("foo")], 100),
    "9111-4.2.2-nothing-to-go-by": ([PLAIN], 0),
    "9111-5.4-pragma-is-no-heuristic": ([("Last-Modified", date(-DAY)), ("Pragma", "no-cache")], 0),
    "9111-5.4-pragma-is-no-directive": ([*control("max-age=60"), ("Pragma", "no-cache")], 60),
    "9213-2.1-instead-of-cache-control": ([*control("no-store"), (CDN, "max-age=60")], 60),
    "9213-2.1-instead-of-expires": (
        [(CDN, "public"), ("Expires", date(60)), ("Last-Modified", date(-1000))],
        100,
    ),
    "9213-2.1-wins-if-longer": ([*control("s-maxage=5"), (CDN, "max-age=60")], 60),
    "9213-2.1-string-is-stale": ([*control("max-age=5"), (CDN, 'max-age="60"')], 0),
    "9213-2.2-unreadable-is-ignored": ([*control("max-age=5"), (CDN, "max-age=")], 5),
    "surrogate-instead-of-cache-control": ([*control("private"), (SURROGATE, "max-age=60")], 60),
    "9213-2.2-first-of-the-list": ([PLAIN, (SURROGATE, "max-age=5"), (CDN, "max-age=60")], 60),
}


@pytest.mark.parametrize(("headers", "lifetime"), LIFETIMES.values(), ids=list(LIFETIMES))
def test_lifetimes(headers: Headers, lifetime: float) -> None:
    found = judged(headers)
    assert found.keep, found.why
    assert found.lifetime == pytest.approx(lifetime)


HEURISTIC = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]


@pytest.mark.parametrize("status", [*HEURISTIC, 201, 302, 303, 307, 400, 403, 418, 429, 500, 503])
def test_heuristics_are_for_some_statuses(status: int) -> None:
    """RFC 9110 section 15.1."""
    changed = [("Last-Modified", date(-1000))]
    found = judged(changed, status)
    assert found.keep is (status in HEURISTIC)
    assert found.why == ("" if found.keep else "status")
    marked = judged([*changed, ("Cache-Control", "public")], status)
    assert marked.keep
    assert marked.lifetime == pytest.approx(100)
    told = judged([("Cache-Control", "max-age=60")], status)
    assert (told.keep, told.lifetime) == (True, 60)


# -- how old it is --------------------------------------------------------------------------------

AGES: dict[str, tuple[Headers, dict[str, float], float]] = {
    "9111-4.2.3-new": ([], {}, 0),
    "9111-4.2.3-age-field": ([("Age", "30")], {}, 30),
    "9111-4.2.3-date": ([("Date", date(-20))], {}, 20),
    "9111-4.2.3-older-of-both": ([("Date", date(-20)), ("Age", "30")], {}, 30),
    "9111-4.2.3-older-of-both-date": ([("Date", date(-40)), ("Age", "30")], {}, 40),
    "9111-4.2.3-way-counts": ([("Age", "30")], {"asked_at": NOW - 2.5}, 32.5),
    "9111-4.2.3-way-is-no-part-of-date": ([("Date", date(-20))], {"asked_at": NOW - 2.5}, 20),
    "9111-4.2.3-date-ahead": ([("Date", date(60))], {}, 0),
    "9111-4.2.3-part-of-a-second": ([("Date", date(0))], {"now": NOW + 0.9, "asked_at": NOW}, 0.9),
    "9111-4.2.3-clock-set-back": ([], {"asked_at": NOW + 60}, 0),
    "9111-5.1-unreadable-is-ignored": ([("Age", "old")], {}, 0),
    "9111-5.1-negative-is-ignored": ([("Age", "-5")], {}, 0),
    "9111-5.1-first-of-a-list": ([("Age", "7, 30")], {}, 7),
    "9111-5.1-first-of-two-lines": ([("Age", "7"), ("Age", "30")], {}, 7),
    "9111-1.2.2-overflow": ([("Age", "9" * 30)], {}, ENDLESS),
    "9110-6.6.1-unreadable-date": ([("Date", "today")], {}, 0),
}


@pytest.mark.parametrize(("headers", "times", "age"), AGES.values(), ids=list(AGES))
def test_ages(headers: Headers, times: dict[str, float], age: float) -> None:
    assert judged([*headers, PLAIN], **times).age == pytest.approx(age)  # type: ignore[arg-type]


# -- what is not kept -----------------------------------------------------------------------------

REFUSED: dict[str, tuple[Headers, int, str, bool]] = {
    "9111-5.2.2.5-no-store": (control("no-store, max-age=60"), 200, "no-store", True),
    "9111-5.2.2.7-private": (control("private, max-age=60"), 200, "private", True),
    "9111-5.2.2.7-private-fields": (control('private="x-a", max-age=60'), 200, "private", True),
    "9111-5.2.2.3-unknown-status": (
        control("must-understand, max-age=9"),
        299,
        "must-understand",
        True,
    ),
    "9111-5.2.2.4-no-cache-without-validator": (
        [("Cache-Control", "no-cache, max-age=60, stale-if-error=60")],
        200,
        "no-cache",
        True,
    ),
    "9111-4.1-vary-on-everything": ([*control("max-age=60"), ("Vary", "a, *")], 200, "vary", True),
    "9111-3.3-partial": (control("max-age=60"), 206, "partial", False),
    "9111-3.3-content-range": (
        [*control("max-age=60"), ("Content-Range", "bytes 0-1/2")],
        200,
        "partial",
        False,
    ),
    "9111-3-not-modified": (control("max-age=60"), 304, "partial", False),
    "9111-3-not-final": (control("max-age=60"), 103, "partial", False),
    "9111-3-status-without-lifetime": ([PLAIN], 302, "status", True),
    "9111-3-request-that-is-refused": ([PLAIN], 406, "status", False),
    "9111-3-error-without-lifetime": ([PLAIN], 500, "status", False),
    "9111-3-refused-to-one-caller": (control("no-store"), 403, "no-store", False),
    "9111-3-too-many-of-one-caller": ([PLAIN], 429, "status", False),
    "9111-3-not-there": ([], 404, "stale", False),
    "9111-3-neither-lifetime-nor-validator": ([], 200, "stale", True),
    "9111-4.2-old-already": ([("Cache-Control", "max-age=60"), ("Age", "60")], 200, "stale", True),
    "9111-5.2.2.5-no-store-of-an-error": (control("no-store"), 503, "no-store", False),
    "9213-2.1-no-store": ([*control("max-age=60"), (CDN, "no-store")], 200, "no-store", True),
    "surrogate-no-store": (
        [*control("max-age=60"), (SURROGATE, "no-store")],
        200,
        "no-store",
        True,
    ),
    "6265-set-cookie": ([*control("max-age=60"), ("Set-Cookie", "a=1")], 200, "set-cookie", True),
    "fallback": ([*control("max-age=60"), ("X-Fallback", "static")], 200, "fallback", False),
    "9110-6.5-trailers": ([*control("max-age=60"), ("Trailer", "Digest")], 200, "trailers", True),
    "too-long": ([*control("max-age=60"), ("Content-Length", "1048577")], 200, "length", True),
}


@pytest.mark.parametrize(
    ("headers", "status", "why", "lasting"), REFUSED.values(), ids=list(REFUSED)
)
def test_refused(headers: Headers, status: int, why: str, lasting: bool) -> None:
    assert judged(headers, status) == Verdict(False, why, lasting=lasting)


@pytest.mark.parametrize(
    ("method", "headers", "why"),
    [
        pytest.param("HEAD", [], "method", id="9111-3-head-has-no-body"),
        pytest.param("POST", [], "method", id="9111-3-post"),
        pytest.param("GET", control("a, no-store"), "request-no-store", id="9111-5.2.1.5-no-store"),
    ],
)
def test_requests_whose_answers_are_not_kept(method: str, headers: Headers, why: str) -> None:
    response = UpstreamResponse(200, "", control("max-age=60"), StaticBody(b""))
    found = judge(
        outline(method, headers=headers), response, Rules(override=OVERRIDES), asked_at=NOW, now=NOW
    )
    assert found == Verdict(False, why)


def test_answers_to_a_request_with_a_body_are_not_kept() -> None:
    body = RequestBody(io.BytesIO(b"a"), 1)
    response = UpstreamResponse(200, "", control("max-age=60"), StaticBody(b""))
    assert judge(outline(body=body), response, Rules(), asked_at=NOW, now=NOW).why == "method"


ENDS: dict[str, tuple[Headers, int, str]] = {
    "9112-6.3-length": ([("Content-Length", "2")], 200, ""),
    "9112-6.3-longest": ([("Content-Length", "1048576")], 200, ""),
    "9112-6.3-chunked": ([("Transfer-Encoding", "chunked")], 200, ""),
    "9112-6.3-no-content": ([], 204, ""),
    "9112-6.3-until-it-closes": ([], 200, "end"),
    "9112-6.3-unreadable-length": ([("Content-Length", "two")], 200, "end"),
}


@pytest.mark.parametrize(("headers", "status", "why"), ENDS.values(), ids=list(ENDS))
def test_the_end_of_a_body_must_be_told(headers: Headers, status: int, why: str) -> None:
    found = judged([*control("max-age=60"), *headers], status, body=Arriving())
    assert (found.keep, found.why) == (not why, why)


def test_what_must_be_understood_is_kept_where_it_is() -> None:
    """RFC 9111 section 5.2.2.3: no-store is there for caches that do not know the directive."""
    assert judged(control("must-understand, no-store, max-age=60"), 203).lifetime == 60


# -- by what it varies ----------------------------------------------------------------------------

VARYING: dict[str, tuple[Headers, tuple[str, ...]]] = {
    "9111-4.1-none": ([], ()),
    "9111-4.1-sorted": ([("Vary", "b, A ,a,")], ("a", "b")),
    "9111-4.1-lines": ([("Vary", "b"), ("vary", "Accept")], ("accept", "b")),
    "cors-one-origin": ([("Access-Control-Allow-Origin", "https://a.example")], ("origin",)),
    "cors-any-origin": ([("Access-Control-Allow-Origin", "*")], ()),
    "9110-12.5.3-encoded": ([("Content-Encoding", "gzip")], ("accept-encoding",)),
    "9110-12.5.3-encoded-and-told": (
        [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding, B")],
        ("accept-encoding", "b"),
    ),
}


@pytest.mark.parametrize(("headers", "names"), VARYING.values(), ids=list(VARYING))
def test_vary(headers: Headers, names: tuple[str, ...]) -> None:
    assert judged([PLAIN, *headers]).vary == names


# -- whatever comes -------------------------------------------------------------------------------


@given(FIELDS, FIELDS, st.integers(100, 999), RULES, st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_no_message_is_too_bad(
    told: Headers, said: Headers, status: int, rules: Rules, way: float, later: float
) -> None:
    found = judged(told, status, rules=rules, asked=said, asked_at=NOW - way)
    assert found.keep is not bool(found.why)
    assert found.keep or found == Verdict(False, found.why, found.lasting)
    assert found.lifetime >= 0
    assert found.age >= 0
    kept = Entry(
        status,
        "",
        told,
        b"",
        NOW,
        found.age,
        found.lifetime,
        found.while_revalidating,
        found.if_error,
        found.always_ask,
    )
    stands = standing(kept, NOW + later, wants(outline(headers=said)))
    assert stands != "fresh" or kept.age_at(NOW + later) < kept.lifetime


@given(FIELDS)
def test_what_is_forbidden_in_words_is_never_kept(told: Headers) -> None:
    last = [("CDN-Cache-Control", "no-store")]
    before = [one for one in told if one[0] != "CDN-Cache-Control"]
    assert not judged([*before, *last], rules=Rules(ttl=300)).keep
