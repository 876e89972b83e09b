"""Conditional requests, answered from what is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.caching.conditions import (
    CONDITIONAL,
    FOR_ORIGINS,
    Selected,
    kept_fields,
    matches,
    renewed,
    selected,
)
from gateway.caching.freshness import Rules
from gateway.exchange import Exchange, Headers
from tests.caching.told import (
    BODY,
    DATED,
    FIELDS,
    FORTY,
    NOW,
    RULES,
    TYPE,
    WEAK,
    asked,
    date,
    entry,
    not_modified,
)
from tests.support.outline import outline

# -- nothing special ------------------------------------------------------------------------------


def test_as_it_is() -> None:
    assert asked(entry(), TYPE) == Selected(200, [*FORTY, ("Content-Length", "10")], BODY)


def test_head_has_the_fields_alone() -> None:
    """RFC 9110 section 9.3.2."""
    assert asked(entry(), method="HEAD") == replace(asked(entry()), body=b"")


def test_no_content_has_no_length() -> None:
    """RFC 9110 section 8.6."""
    kept = entry([TYPE], b"", status=204)
    assert asked(kept) == Selected(204, [TYPE], b"")


def test_the_list_is_the_callers() -> None:
    kept = entry()
    for status in (200, 204):
        asked(replace(kept, status=status)).headers.append(("Age", "5"))
    assert kept.headers == FORTY


# -- conditions -----------------------------------------------------------------------------------

MADE = [("Date", date(-40))]
CONDITIONS: dict[str, tuple[Headers, Headers, int]] = {
    "9110-13.1.2-same": (FORTY, [("If-None-Match", '"1"')], 304),
    "9110-13.1.2-other": (FORTY, [("If-None-Match", '"2"')], 200),
    "9110-13.1.2-one-of-several": (FORTY, [("If-None-Match", '"0", W/"1" ,"2"')], 304),
    "9110-13.1.2-several-lines": (FORTY, [("If-None-Match", '"0"'), ("if-none-match", '"1"')], 304),
    "9110-13.1.2-any": (FORTY, [("If-None-Match", " * ")], 304),
    "9110-13.1.2-any-without-etag": (DATED, [("If-None-Match", "*")], 304),
    "9110-13.1.2-no-etag": (DATED, [("If-None-Match", '"1"')], 200),
    "9110-13.1.2-empty-etag": ([("ETag", '""')], [("If-None-Match", '""')], 304),
    "9110-13.1.2-part-of-another": (FORTY, [("If-None-Match", '"21"')], 200),
    "9110-13.1.2-comma-in-a-tag": ([("ETag", '"a,b"')], [("If-None-Match", '"a,b"')], 304),
    "9110-13.1.2-comma-parts-nothing": ([("ETag", "b")], [("If-None-Match", '"a,b"')], 200),
    "9110-8.8.3.2-weak-of-strong": (FORTY, [("If-None-Match", 'W/"1"')], 304),
    "9110-8.8.3.2-strong-of-weak": (WEAK, [("If-None-Match", '"1"')], 304),
    "9110-8.8.3.2-small-w": (FORTY, [("If-None-Match", 'w/"2"')], 200),
    "unquoted-tags": ([("ETag", "abc")], [("If-None-Match", "xyz, abc")], 304),
    "9110-13.1.3-same": (FORTY, [("If-Modified-Since", date(-40))], 304),
    "9110-13.1.3-later": (FORTY, [("If-Modified-Since", date(-10))], 304),
    "9110-13.1.3-earlier": (FORTY, [("If-Modified-Since", date(-41))], 200),
    "9110-13.1.3-no-date": (FORTY, [("If-Modified-Since", "0")], 200),
    "9110-13.1.3-two-dates": (
        FORTY,
        [("If-Modified-Since", date(0)), ("If-Modified-Since", date(0))],
        200,
    ),
    "9111-4.3.2-date-instead": (MADE, [("If-Modified-Since", date(-40))], 304),
    "9111-4.3.2-date-instead-later": (MADE, [("If-Modified-Since", date(-41))], 200),
    "9111-4.3.2-coming-instead": ([], [("If-Modified-Since", date(0))], 304),
    "9111-4.3.2-coming-instead-later": ([], [("If-Modified-Since", date(-1))], 200),
    "9110-13.2.2-tag-before-date": (
        FORTY,
        [("If-None-Match", '"2"'), ("If-Modified-Since", date(0))],
        200,
    ),
    "9110-13.2.2-tag-before-range": (
        FORTY,
        [("If-None-Match", '"1"'), ("Range", "bytes=0-1")],
        304,
    ),
    "9110-13.2.2-range-after-tag": (FORTY, [("If-None-Match", '"2"'), ("Range", "bytes=0-1")], 206),
    "9110-13.2.2-date-before-range": (
        FORTY,
        [("If-Modified-Since", date(0)), ("Range", "bytes=0-1")],
        304,
    ),
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("kept", "headers", "status"), CONDITIONS.values(), ids=list(CONDITIONS))
def test_conditions(kept: Headers, headers: Headers, status: int, method: str) -> None:
    found = asked(entry(kept), *headers, method=method)
    if method == "HEAD" and status == 206:
        status = 200  # ranges are for GET alone (RFC 9110 section 14.2)
    assert found.status == status
    assert bool(found.body) is (method == "GET" and status != 304)


@pytest.mark.parametrize("status", [203, 301, 404])
def test_conditions_are_for_200(status: int) -> None:
    """RFC 9111 section 4.3.2, RFC 9110 section 13.2.1."""
    found = asked(entry(status=status), ("If-None-Match", '"1"'), ("Range", "bytes=0-1"))
    assert (found.status, found.body) == (status, BODY)


@pytest.mark.parametrize("name", sorted(FOR_ORIGINS))
@pytest.mark.parametrize("status", [200, 404])
def test_some_conditions_are_for_the_origin(name: str, status: int) -> None:
    """RFC 9111 section 4.3.2."""
    headers = [(name.title(), '"1"'), ("If-None-Match", '"1"')]
    assert selected(entry(status=status), outline(headers=headers)) is None


def test_the_fields_of_a_304() -> None:
    """RFC 9110 section 15.4.5."""
    telling = [
        *(("Date", date(-5)), ("ETag", '"1"'), ("Vary", "a"), ("Cache-Control", "max-age=60")),
        *(("Expires", date(9)), ("Content-Location", "/a"), ("CDN-Cache-Control", "max-age=9")),
    ]
    others = [TYPE, ("Content-Encoding", "gzip"), ("Last-Modified", date(-40)), ("X-Own", "1")]
    found = asked(entry([*telling, *others]), ("If-None-Match", '"1"'))
    assert found == Selected(304, telling, b"")


def test_a_304_without_etag_tells_when_it_changed() -> None:
    """RFC 9110 section 15.4.5."""
    found = asked(entry([TYPE, *DATED]), ("If-Modified-Since", date(0)))
    assert found == Selected(304, DATED, b"")


# -- a request whose fields are not all known -----------------------------------------------------


class Unsure:
    """A request of which one field is not known yet, and these are."""

    method, target, requester = "GET", "/", None
    differs: tuple[str, ...] = ()

    def __init__(self, unknown: str, known: Headers) -> None:
        self.exchange = Exchange("a", 0.0)
        self._unknown = unknown
        self._known = {name.lower(): value for name, value in known}

    def field(self, name: str) -> str | None:
        """As exchange.Asked."""
        return None if name == self._unknown else self._known.get(name, "")


@pytest.mark.parametrize("unknown", sorted(CONDITIONAL | {"range"}))
def test_what_is_not_known_cannot_be_answered(unknown: str) -> None:
    found = selected(entry(), Unsure(unknown, []))
    assert found is None or unknown == "if-range"
    assert (
        selected(entry(), Unsure(unknown, [("Range", "bytes=0-1"), ("If-None-Match", "1")])) is None
    )


def test_what_is_known_is_answered() -> None:
    assert selected(entry(), Unsure("", [])) == asked(entry())
    known = [("If-None-Match", '"1"')]
    assert selected(entry(), Unsure("", known)) == asked(entry(), *known)


# -- whatever comes -------------------------------------------------------------------------------

ASKED = st.lists(
    st.tuples(
        st.sampled_from([*sorted(CONDITIONAL), "Range"]),
        st.sampled_from(['"1"', 'W/"1"', "*", date(-40), "bytes=0-1", "bytes=-2", "bytes=99-"])
        | st.text('W/"1,*bytes=-0é \x00')
        | st.text(),
    ),
    max_size=4,
)


@given(FIELDS, FIELDS, ASKED, RULES, st.binary(max_size=5))
def test_no_message_is_too_bad(
    came: Headers, told: Headers, wanted: Headers, rules: Rules, body: bytes
) -> None:
    kept = entry(kept_fields(came, NOW), body)
    request = outline(headers=wanted)
    assert selected(kept, request) == selected(kept, Unsure("", _joined(wanted)))
    found = selected(kept, request)
    names = {name.lower() for name, _ in wanted}
    assert (found is None) is any(request.field(name) for name in FOR_ORIGINS)
    if found is not None:
        assert found.status in (200, 206, 304, 416)
        assert found.status in (200, 304) or "range" in names
        assert found.body in body
    response = not_modified(*told)
    assert matches(kept, response) in (True, False)
    again, verdict = renewed(kept, request, response, rules, asked_at=NOW, now=NOW)
    assert (again.body, again.age, again.lifetime) == (body, verdict.age, verdict.lifetime)
    assert kept_fields(again.headers, NOW) == again.headers
    assert matches(kept, not_modified(*kept.headers))


def _joined(fields: Headers) -> Headers:
    """Each field once, as a server of WSGI has them."""
    names = dict.fromkeys(name.lower() for name, _ in fields)
    return [(name, outline(headers=fields).field(name)) for name in names]
