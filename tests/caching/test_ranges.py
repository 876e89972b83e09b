"""Parts of a kept body."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.caching.conditions import Selected
from gateway.caching.freshness import Rules
from gateway.caching.handler import Cached
from gateway.caching.memory import MemoryResponses
from gateway.caching.tiers import TieredResponses
from gateway.edge.origin import Edge
from gateway.exchange import Headers, UpstreamRequest, UpstreamResponse
from gateway.policies.cache import Cache
from gateway.requester import Requester
from tests.caching.told import (
    BODY,
    DATED,
    FORTY,
    NOW,
    TYPE,
    WEAK,
    asked,
    control,
    date,
    entry,
)
from tests.support.outline import outline

RANGES = {
    "9110-14.1.2-first-byte": ("bytes=0-0", "0-0"),
    "9110-14.1.2-inside": ("bytes=2-4", "2-4"),
    "9110-14.1.2-all": ("bytes=0-9", "0-9"),
    "9110-14.1.2-longer": ("bytes=5-99", "5-9"),
    "9110-14.1.2-much-longer": (f"bytes=5-{'9' * 5000}", "5-9"),
    "9110-14.1.2-open": ("bytes=7-", "7-9"),
    "9110-14.1.2-suffix": ("bytes=-3", "7-9"),
    "9110-14.1.2-suffix-longer": ("bytes=-99", "0-9"),
    "9110-14.1-any-case": ("Bytes=2-4", "2-4"),
    "9110-5.6.1-empty-members": ("bytes=, 2-4 ,", "2-4"),
    "9110-14.2-beyond": ("bytes=10-", "*"),
    "9110-14.2-beyond-with-end": ("bytes=10-12", "*"),
    "9110-14.2-far-beyond": (f"bytes={'9' * 5000}-", "*"),
    "9110-14.2-suffix-of-nothing": ("bytes=-0", "*"),
    "9110-14.2-several": ("bytes=0-1, 3-4", ""),
    "9110-14.2-other-unit": ("lines=0-1", ""),
    "9110-14.1.1-end-before-begin": ("bytes=4-2", ""),
    "9110-14.1.1-no-number": ("bytes=a-b", ""),
    "9110-14.1.1-neither": ("bytes=-", ""),
    "9110-14.1.1-no-range": ("bytes=5", ""),
    "9110-14.1.1-no-set": ("bytes=", ""),
    "9110-14.1.1-no-unit": ("0-1", ""),
    "9110-14.1.1-negative": ("bytes=--1", ""),
    "9110-14.1.1-spaces-inside": ("bytes=1 - 2", ""),
    "9110-14.1.1-other-digits": ("bytes=\u0660-\u0661", ""),
}


@pytest.mark.parametrize(("wanted", "place"), RANGES.values(), ids=list(RANGES))
def test_ranges(wanted: str, place: str) -> None:
    found = asked(entry(), ("Range", wanted))
    if place == "*":
        fields = [("Content-Range", "bytes */10"), ("Content-Length", "0")]
        assert found == Selected(416, fields, b"")
    elif place:
        begin, _, end = place.partition("-")
        part = BODY[int(begin) : int(end) + 1]
        fields = [("Content-Range", f"bytes {place}/10"), ("Content-Length", str(len(part)))]
        assert found == Selected(206, FORTY + fields, part)
    else:
        assert found == asked(entry())


@pytest.mark.parametrize(
    ("wanted", "status"), [("bytes=0-", 416), ("bytes=-5", 200), ("bytes=-0", 416)]
)
def test_ranges_of_nothing(wanted: str, status: int) -> None:
    """RFC 9110 section 14.1.2."""
    assert asked(entry(body=b""), ("Range", wanted)).status == status


SECOND = [("Last-Modified", date(-40)), ("Date", date(-40))]
IF_RANGE: dict[str, tuple[Headers, str, int]] = {
    "9110-13.1.5-same-tag": (FORTY, '"1"', 206),
    "9110-13.1.5-other-tag": (FORTY, '"2"', 200),
    "9110-13.1.5-weak": (FORTY, 'W/"1"', 200),
    "9110-13.1.5-of-weak": (WEAK, '"1"', 200),
    "9110-13.1.5-both-weak": (WEAK, 'W/"1"', 200),
    "9110-13.1.5-no-tag": (DATED, '"1"', 200),
    "9110-13.1.5-same-date": (FORTY, date(-40), 206),
    "9110-13.1.5-same-date-in-another-form": (
        FORTY,
        "Wednesday, 31-Dec-25 23:59:20 GMT",
        206,
    ),
    "9110-13.1.5-later-date": (FORTY, date(-39), 200),
    "9110-13.1.5-earlier-date": (FORTY, date(-41), 200),
    "9110-8.8.2.2-weak-date": (SECOND, date(-40), 200),
    "9110-8.8.2.2-strong-date": (
        [("Last-Modified", date(-40)), ("Date", date(-39))],
        date(-40),
        206,
    ),
    "9110-8.8.2.2-no-date": ([("Last-Modified", date(-40))], date(-40), 200),
    "9110-13.1.5-nothing-to-compare": ([TYPE, ("Date", date(0))], date(-40), 200),
    "9110-13.1.5-neither": (FORTY, "1", 200),
}


@pytest.mark.parametrize(("kept", "validator", "status"), IF_RANGE.values(), ids=list(IF_RANGE))
def test_if_range(kept: Headers, validator: str, status: int) -> None:
    found = asked(entry(kept), ("If-Range", validator), ("Range", "bytes=0-1"))
    assert found.status == status


def test_if_range_without_a_range_means_nothing() -> None:
    """RFC 9110 section 13.1.5."""
    assert asked(entry(), ("If-Range", '"2"')).status == 200


@given(st.binary(max_size=9), st.integers(0, 12), st.integers(0, 12) | st.none())
def test_ranges_are_slices(body: bytes, first: int, last: int | None) -> None:
    found = asked(entry(body=body), ("Range", f"bytes={first}-{'' if last is None else last}"))
    if last is not None and last < first:
        assert (found.status, found.body) == (200, body)
    elif first >= len(body):
        assert found.status == 416
    else:
        assert (found.status, found.body) == (206, body[first : None if last is None else last + 1])


class Arriving:
    """A body of which nothing is here yet."""

    def __iter__(self) -> Iterator[bytes]:
        return iter([BODY])

    def close(self) -> None:
        """Nothing is open."""


def test_of_what_is_still_coming_there_are_no_ranges() -> None:
    """A new answer instead of a stale one, to a request for a part: RFC 9110 section 14.2."""
    now = [NOW]

    def following(request: UpstreamRequest) -> UpstreamResponse:
        assert not request.field("range")
        fields = [*control("max-age=60"), ("Content-Length", "10")]
        return UpstreamResponse(200, "OK", fields, Arriving())

    store = TieredResponses(MemoryResponses(1 << 20), 0)
    handler = Cached(following, "things", Cache(), Rules(), store, wall=lambda: now[0])
    edge = Edge("192.0.2.1", False, "192.0.2.1", "http", "things.test")
    environ = {"gateway.edge": edge, "RAW_URI": "/things/7", "PATH_INFO": "/things/7"}
    request = replace(
        outline(headers=[("Range", "bytes=2-4")]), requester=Requester(environ, None, ())
    )
    for headers, body in (([], BODY), (request.headers, BODY), (request.headers, BODY[2:5])):
        response = handler(replace(request, headers=headers))
        assert b"".join(response.body) == body
        now[0] += 61 if headers == [] else 0
