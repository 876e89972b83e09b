"""Asking whether what is kept is still good, and what a 304 changes of it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.caching.conditions import (
    kept_fields,
    matches,
    merged,
    renewed,
    revalidating,
    without_conditions,
)
from gateway.caching.entry import Entry
from gateway.caching.freshness import Rules, Verdict
from gateway.exchange import Headers
from tests.caching.told import (
    BODY,
    DATED,
    FORTY,
    NOW,
    TYPE,
    WEAK,
    control,
    date,
    entry,
    not_modified,
)
from tests.support.outline import outline

CLIENTS = [
    *(("Accept", "a"), ("If-None-Match", '"9"'), ("if-modified-since", "x"), ("If-Match", "y")),
    *(("If-Range", "z"), ("If-Unmodified-Since", "u"), ("Range", "bytes=0-1")),
]


def test_conditions_are_taken_out() -> None:
    assert without_conditions(CLIENTS) == [("Accept", "a"), ("Range", "bytes=0-1")]


REVALIDATING: dict[str, tuple[Headers, Headers]] = {
    "9111-4.3.1-both": (FORTY, [("If-None-Match", '"1"'), ("If-Modified-Since", date(-40))]),
    "9111-4.3.1-weak-tag": (WEAK, [("If-None-Match", 'W/"1"')]),
    "9111-4.3.1-date": (DATED, [("If-Modified-Since", date(-40))]),
    "9111-4.3.1-neither": ([TYPE], []),
}


@pytest.mark.parametrize(("kept", "added"), REVALIDATING.values(), ids=list(REVALIDATING))
def test_revalidating(kept: Headers, added: Headers) -> None:
    assert revalidating(CLIENTS, entry(kept)) == [("Accept", "a"), *added]


MATCHES: dict[str, tuple[Headers, Headers, bool]] = {
    "9111-4.3.4-strong": (FORTY, [("ETag", '"1"')], True),
    "9111-4.3.4-other-strong": (FORTY, [("ETag", '"2"'), ("Last-Modified", date(-40))], False),
    "9111-4.3.4-strong-of-weak": (WEAK, [("ETag", '"1"')], False),
    "9111-4.3.4-strong-of-none": (DATED, [("ETag", '"1"'), ("Last-Modified", date(-40))], False),
    "9111-4.3.4-weak": (WEAK, [("ETag", 'W/"1"')], True),
    "9111-4.3.4-weak-of-strong": (FORTY, [("ETag", 'W/"1"')], True),
    "9111-4.3.4-other-weak": (WEAK, [("ETag", 'W/"2"')], False),
    "9111-4.3.4-date": (FORTY, [("Last-Modified", date(-40))], True),
    "9111-4.3.4-date-in-another-form": (
        DATED,
        [("Last-Modified", "Wednesday, 31-Dec-25 23:59:20 GMT")],
        True,
    ),
    "9111-4.3.4-other-date": (DATED, [("Last-Modified", date(-39))], False),
    "9111-4.3.4-date-of-none": (WEAK, [("Last-Modified", date(-40))], False),
    "9111-4.3.4-unreadable-dates": ([("Last-Modified", "a")], [("Last-Modified", "b")], False),
    "9111-4.3.4-none-of-none": ([TYPE], [], True),
    "9111-4.3.4-none-for-the-one-sent": (FORTY, [("Date", date(0))], True),
}


@pytest.mark.parametrize(("kept", "told", "same"), MATCHES.values(), ids=list(MATCHES))
def test_matches(kept: Headers, told: Headers, same: bool) -> None:
    assert matches(entry(kept), not_modified(*told)) is same


# -- 304 ------------------------------------------------------------------------------------------

NOT_KEPT = [
    *("Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Proxy-Authenticate", "TE"),
    *("Age", "Content-Length", "Set-Cookie", "X-Cache", "X-Fallback", "Surrogate-Control"),
    *("Surrogate-Key", "X-Named"),
]


def test_kept_fields() -> None:
    """RFC 9111 section 3.1."""
    came = [TYPE, *((name, "X-Named, close") for name in NOT_KEPT), ("Date", "a"), ("X-Own", "1")]
    assert kept_fields(came, NOW) == [TYPE, ("Date", "a"), ("X-Own", "1")]


def test_what_has_no_date_has_that_of_its_coming() -> None:
    """RFC 9110 section 6.6.1."""
    assert kept_fields([TYPE], NOW) == [TYPE, ("Date", date(0))]


def test_merged_has_the_newer_fields() -> None:
    """RFC 9111 section 3.2."""
    kept = entry([*FORTY, ("Content-Encoding", "gzip"), ("X-Own", "1"), ("X-Own", "2")])
    told = not_modified(
        *(("date", date(3)), ("X-OWN", "3"), ("X-New", "4"), ("Content-Encoding", "br")),
        *(("Content-Length", "0"), ("Content-Range", "bytes 0-1/2"), ("Age", "1")),
    )
    verdict = Verdict(True, "", False, 70.0, 1.0, 2.0, 3.0, True)
    found = merged(kept, told, verdict, NOW + 3)
    fields = [TYPE, ("ETag", '"1"'), ("Last-Modified", date(-40)), ("Content-Encoding", "gzip")]
    fields += [("date", date(3)), ("X-OWN", "3"), ("X-New", "4")]
    assert found == Entry(200, "OK", fields, BODY, NOW + 3, 1.0, 70.0, 2.0, 3.0, True)


def test_merged_knows_its_new_validators() -> None:
    found = merged(entry(), not_modified(("ETag", 'W/"1"')), Verdict(True), NOW)
    assert (found.etag, found.modified) == ('W/"1"', date(-40))


RENEWED: dict[str, tuple[Headers, Headers, dict[str, Any]]] = {
    "9111-4.3.4-new-lifetime": (
        control("max-age=60"),
        [("Cache-Control", "max-age=90"), ("Date", date(0))],
        {"keep": True, "lifetime": 90, "age": 0},
    ),
    "9111-4.3.4-old-lifetime": (control("max-age=60"), [], {"lifetime": 60, "age": 0}),
    "9111-4.3.4-old-date-does-not-count": (
        [*control("max-age=60"), ("Date", date(-500))],
        [],
        {"lifetime": 60, "age": 0},
    ),
    "9111-4.2.3-its-own-age": (control("max-age=60"), [("Age", "7")], {"age": 7}),
    "9111-4.2.3-its-own-date": (control("max-age=60"), [("Date", date(-8))], {"age": 8}),
    "9111-5.3-old-expires": (
        [("ETag", '"1"'), ("Expires", date(60)), ("Date", date(-500))],
        [],
        {"keep": True, "lifetime": 60},
    ),
    "9111-4.2.2-heuristic": ([("Last-Modified", date(-1000))], [], {"lifetime": 100}),
    "9111-5.2.2.5-no-store-now": (
        control("max-age=60"),
        [("Cache-Control", "no-store")],
        {"keep": False, "why": "no-store"},
    ),
    "9111-5.2.2.2-must-revalidate-now": (
        control("max-age=60, stale-if-error=9"),
        [("Cache-Control", "max-age=60, must-revalidate")],
        {"keep": True, "if_error": 0},
    ),
    "6265-set-cookie": (control("max-age=60"), [("Set-Cookie", "a=1")], {"keep": False}),
    "surrogate": (
        control("max-age=60"),
        [("Surrogate-Control", "max-age=90")],
        {"keep": True, "lifetime": 90},
    ),
    "9111-4.1-vary": (control("max-age=60"), [("Vary", "b, a")], {"vary": ("a", "b")}),
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("kept", "told", "expected"), RENEWED.values(), ids=list(RENEWED))
def test_renewed(kept: Headers, told: Headers, expected: dict[str, Any], method: str) -> None:
    before = entry(kept, at=NOW - 500, if_error=9.0)
    found, verdict = renewed(
        before, outline(method), not_modified(*told), Rules(), asked_at=NOW, now=NOW
    )
    assert {name: getattr(verdict, name) for name in expected} == expected
    assert found == merged(before, not_modified(*told), verdict, NOW)
    assert (found.status, found.body, found.at) == (200, BODY, NOW)
    assert not {name for name, _ in found.headers} & {"Set-Cookie", "Age", "Surrogate-Control"}
