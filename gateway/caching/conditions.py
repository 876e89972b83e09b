"""Validators, conditional requests, 304 and ranges, as far as a kept answer can deal with them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from email.utils import formatdate

from gateway.caching.directives import http_date, seconds
from gateway.caching.entry import Entry
from gateway.caching.freshness import Rules, Verdict, judge
from gateway.exchange import Asked, Headers, UpstreamRequest, UpstreamResponse
from gateway.headers import HOP_BY_HOP, named_in_connection
from gateway.response_bodies import StaticBody

#: Request fields that make a request conditional (RFC 9110 section 13.1), in lower case.
CONDITIONAL = frozenset(
    {"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"}
)
#: Those of them that only the origin can evaluate (RFC 9111 section 4.3.2).
FOR_ORIGINS = frozenset({"if-match", "if-unmodified-since"})

_PARTIAL = CONDITIONAL | {"range"}
# Without a range, If-Range means nothing.
_TELLING = _PARTIAL - {"if-range"}

# Of an answer and not of what is kept: of its message, or for this cache and this client alone.
_NOT_KEPT = HOP_BY_HOP | {
    *("age", "content-length", "set-cookie", "x-cache", "x-fallback"),
    *("surrogate-control", "surrogate-key"),
}
# Of the body as it came, which a 304 has none of (RFC 9111 section 3.2).
_OF_BODY = frozenset(
    {"content-digest", "content-encoding", "content-md5", "content-range", "digest", "repr-digest"}
)
# Of these, a 304 decides anew whether what is kept may be kept on.
_OF_304 = frozenset({"age", "set-cookie", "surrogate-control", "x-fallback"})

#: The fields of a 304 (RFC 9110 section 15.4.5; RFC 9213 for caches that read the last one).
_NOT_MODIFIED = frozenset(
    {"cache-control", "content-location", "date", "etag", "expires", "vary", "cdn-cache-control"}
)

_TAG = re.compile(r'(W/)?("[^"]*"|[^\s,"]+)')
_RANGE = re.compile(r"([0-9]*)-([0-9]*)")


@dataclass(frozen=True, slots=True)
class Selected:
    """What a kept answer is for one request: 200 or whatever it was, 304, 206 or 416. The list is
    the caller's."""

    status: int
    headers: Headers
    body: bytes


# -- what is asked upstream ------------------------------------------------------------------------


def without_conditions(headers: Headers) -> Headers:
    """A request's fields, less those that make it conditional."""
    return [field for field in headers if field[0].lower() not in CONDITIONAL]


def revalidating(headers: Headers, entry: Entry) -> Headers:
    """A request's fields that ask whether what is kept is still good, or else for all of it,
    instead of what the client wanted to know (RFC 9111 section 4.3.1)."""
    fields = [field for field in headers if field[0].lower() not in _PARTIAL]
    if entry.etag:
        fields.append(("If-None-Match", entry.etag))
    if entry.modified:
        fields.append(("If-Modified-Since", entry.modified))
    return fields


# -- what comes back -------------------------------------------------------------------------------


def kept_fields(headers: Headers, at: float) -> Headers:
    """An upstream's fields as an Entry has them (RFC 9111 section 3.1). at: when they came, a wall
    time: their date if they have none (RFC 9110 section 6.6.1)."""
    listed = [value for name, value in headers if name.lower() == "connection"]
    dropped = _NOT_KEPT | named_in_connection(listed) if listed else _NOT_KEPT
    fields = [field for field in headers if field[0].lower() not in dropped]
    if not any(name.lower() == "date" for name, _ in fields):
        fields.append(("Date", formatdate(at, usegmt=True)))
    return fields


def matches(entry: Entry, response: UpstreamResponse) -> bool:
    """Whether a 304 means what is kept (RFC 9111 section 4.3.4). If not, it says nothing of it, and
    all of it is to be asked for.

    One without any validator means it: only that of the entry was sent.
    """
    told = {name.lower(): value for name, value in response.headers}
    etag, modified = told.get("etag", ""), told.get("last-modified", "")
    if etag:
        same = _opaque(etag) == _opaque(entry.etag)
        return same and (_is_weak(etag) or not _is_weak(entry.etag))
    return not modified or modified == entry.modified or _same_date(modified, entry.modified)


def describes(entry: Entry, response: UpstreamResponse) -> bool:
    """Whether a 200 to HEAD is about what is kept, by all that it says of it: validators, length
    (RFC 9111 section 4.3.5). If not, what is kept is out of date."""
    told = {name.lower(): value for name, value in response.headers}
    length, modified = told.get("content-length"), told.get("last-modified", "")
    return (
        entry.status == response.status
        and told.get("etag", entry.etag) == entry.etag
        and (not modified or modified == entry.modified or _same_date(modified, entry.modified))
        and (length is None or seconds(length) == len(entry.body))
    )


def renewed(
    entry: Entry,
    request: UpstreamRequest,
    response: UpstreamResponse,
    rules: Rules,
    *,
    asked_at: float,
    now: float,
) -> tuple[Entry, Verdict]:
    """What is kept, found to be still good by a 304 that matches it, or a HEAD that describes it,
    and whether it may be kept on: what `judge` is for a whole answer. The entry is good for this
    request even if it may not.

    Surrogate-Control is not kept: where the 304 does not say it again, Cache-Control counts.
    """
    now_told = [field for field in response.headers if field[0].lower() in _OF_304]
    fields = [*_updated(entry, response, now), *now_told, _length(entry.body)]
    whole = UpstreamResponse(entry.status, entry.reason, fields, StaticBody(entry.body))
    asked = request if request.method == "GET" else replace(request, method="GET")
    verdict = judge(asked, whole, rules, asked_at=asked_at, now=now)
    return merged(entry, response, verdict, now), verdict


def merged(entry: Entry, response: UpstreamResponse, verdict: Verdict, at: float) -> Entry:
    """What is kept, with the fields of a 304 that came at `at`, and the times of the verdict."""
    return replace(
        entry,
        headers=_updated(entry, response, at),
        at=at,
        age=verdict.age,
        lifetime=verdict.lifetime,
        while_revalidating=verdict.while_revalidating,
        if_error=verdict.if_error,
        always_ask=verdict.always_ask,
    )


def _updated(entry: Entry, response: UpstreamResponse, at: float) -> Headers:
    """The fields of what is kept, replaced by those of a 304 (RFC 9111 section 3.2)."""
    told = [one for one in kept_fields(response.headers, at) if one[0].lower() not in _OF_BODY]
    names = {name.lower() for name, _ in told}
    return [one for one in entry.headers if one[0].lower() not in names] + told


# -- what the client gets --------------------------------------------------------------------------


def selected(entry: Entry, asked: Asked) -> Selected | None:
    """What a kept answer is for a request, GET or HEAD; None where it cannot be told from it: the
    condition is for the origin, or a field is not known yet. RFC 9110 section 13.2.2."""
    if _is_plain(asked):
        return _whole(entry, asked)
    if asked.field("if-match") != "" or asked.field("if-unmodified-since") != "":
        return None
    if entry.status != 200:  # RFC 9111 section 4.3.2, RFC 9110 section 14.2
        return _whole(entry, asked)
    tags = asked.field("if-none-match")
    since = asked.field("if-modified-since")
    span = asked.field("range")
    validator = asked.field("if-range")
    if tags is None or since is None or span is None or validator is None:
        return None
    if _is_known(entry, tags) if tags else since and not _is_modified(entry, since):
        return Selected(304, _not_modified(entry), b"")
    if span and asked.method == "GET" and (not validator or _is_same(entry, validator)):
        return _part(entry, span) or _whole(entry, asked)
    return _whole(entry, asked)


def _is_plain(asked: Asked) -> bool:
    """Whether nothing is asked of an answer but to be there."""
    if isinstance(asked, UpstreamRequest):  # to read its fields one by one would take much longer
        return _TELLING.isdisjoint([name.lower() for name, _ in asked.headers])
    field = asked.field
    return (
        field("if-none-match")
        == field("if-modified-since")
        == field("range")
        == field("if-match")
        == field("if-unmodified-since")
        == ""
    )


def _length(body: bytes) -> tuple[str, str]:
    return "Content-Length", str(len(body))


def _whole(entry: Entry, asked: Asked) -> Selected:
    body = entry.body
    # No content has no length either (RFC 9110 section 8.6).
    fields = [*entry.headers, _length(body)] if entry.status != 204 else [*entry.headers]
    return Selected(entry.status, fields, b"" if asked.method == "HEAD" else body)


def _not_modified(entry: Entry) -> Headers:
    wanted = _NOT_MODIFIED if entry.etag else _NOT_MODIFIED | {"last-modified"}
    return [field for field in entry.headers if field[0].lower() in wanted]


# -- validators: RFC 9110 section 8.8 --------------------------------------------------------------


def _is_weak(etag: str) -> bool:
    return etag.startswith("W/")


def _opaque(etag: str) -> str:
    return etag.removeprefix("W/")


def _is_known(entry: Entry, tags: str) -> bool:
    """Whether If-None-Match names it, by weak comparison (section 13.1.2)."""
    if tags.strip() == "*":
        return True
    opaque = _opaque(entry.etag)
    return bool(opaque) and any(one[2] == opaque for one in _TAG.finditer(tags))


def _is_modified(entry: Entry, since: str) -> bool:
    """Whether it is newer than If-Modified-Since; True where that is no date (section 13.1.3).
    What has no date of change has that of its making (RFC 9111 section 4.3.2)."""
    limit = http_date(since)
    if limit is None:
        return True
    changed = http_date(entry.modified)
    if changed is None:
        changed = _made(entry)
    return (entry.at if changed is None else changed) > limit


def _is_same(entry: Entry, validator: str) -> bool:
    """Whether If-Range means what is kept, by strong comparison (section 13.1.5)."""
    if validator.startswith(('"', "W/")):
        return validator == entry.etag and not _is_weak(validator)
    changed, made = http_date(entry.modified), _made(entry)
    # It may have changed twice in the second it was made in (section 8.8.2.2).
    strong = changed is not None and made is not None and made >= changed + 1
    return strong and changed == http_date(validator)


def _made(entry: Entry) -> float | None:
    return http_date(next((value for name, value in entry.headers if name.lower() == "date"), ""))


def _same_date(one: str, other: str) -> bool:
    date = http_date(one)
    return date is not None and date == http_date(other)


# -- ranges: RFC 9110 section 14 -------------------------------------------------------------------


def _part(entry: Entry, span: str) -> Selected | None:
    """The part of a body that is asked for, or that there is none; None where Range is to be
    ignored: no bytes, several, not readable."""
    unit, _, rest = span.partition("=")
    spans = [one.strip() for one in rest.split(",") if one.strip()]
    found = _RANGE.fullmatch(spans[0]) if len(spans) == 1 else None
    if unit.strip().lower() != "bytes" or found is None:
        return None
    size = len(entry.body)
    place = _place(found[1], found[2], size)
    if place is None:
        return None
    begin, end = place
    if begin >= end:
        return Selected(416, [("Content-Range", f"bytes */{size}"), ("Content-Length", "0")], b"")
    body = entry.body[begin:end]
    fields = [*entry.headers, ("Content-Range", f"bytes {begin}-{end - 1}/{size}"), _length(body)]
    return Selected(206, fields, body)


def _place(first: str, last: str, size: int) -> tuple[int, int] | None:
    """From where to where, the end not included; where nothing is between, it cannot be satisfied.
    None for what is no range, and for the end of an empty body (section 14.1.2)."""
    if not first:
        wanted = _number(last) if last else None
        if wanted is None or (wanted and not size):
            return None
        return max(size - wanted, 0), size
    begin = _number(first)
    if not last:
        return begin, size
    end = _number(last)
    return None if end < begin else (begin, min(end + 1, size))


def _number(digits: str) -> int:
    """A number of bytes; beyond any body where it has more digits than those."""
    return int(digits) if len(digits) < 19 else 10**18
