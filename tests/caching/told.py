"""What backends say of their answers, as tests of the cache say it."""

from __future__ import annotations

from email.utils import formatdate

from hypothesis import strategies as st

from gateway.caching.conditions import Selected, selected
from gateway.caching.entry import Entry
from gateway.caching.freshness import Rules, Verdict, judge
from gateway.exchange import Headers, ResponseBody, UpstreamResponse
from gateway.response_bodies import StaticBody
from tests.support.outline import outline

NOW = 1_767_225_600.0


def date(seconds: float) -> str:
    """A date so far from now."""
    return formatdate(NOW + seconds, usegmt=True)


def control(value: str) -> Headers:
    """Cache-Control, with a validator: what is kept for it alone is asked for anew each time."""
    return [("Cache-Control", value), ("ETag", '"1"')]


def judged(
    headers: Headers,
    status: int = 200,
    *,
    rules: Rules | None = None,
    asked: Headers | None = None,
    asked_at: float = NOW,
    now: float = NOW,
    body: ResponseBody | None = None,
) -> Verdict:
    """What is thought of an answer."""
    response = UpstreamResponse(status, "", headers, body or StaticBody(b"ok"))
    request = outline(headers=asked)
    return judge(request, response, rules or Rules(), asked_at=asked_at, now=now)


BODY = b"0123456789"
TYPE = ("Content-Type", "text/plain")
FORTY = [TYPE, ("ETag", '"1"'), ("Last-Modified", date(-40)), ("Date", date(-5))]
WEAK = [("ETag", 'W/"1"'), ("Date", date(-5))]
DATED = [("Last-Modified", date(-40)), ("Date", date(-5))]


def entry(
    headers: Headers | None = None,
    body: bytes = BODY,
    *,
    status: int = 200,
    at: float = NOW,
    if_error: float = 0.0,
) -> Entry:
    """What is kept of an answer that came at `at`, fresh for a minute."""
    fields = FORTY if headers is None else headers
    return Entry(status, "OK", fields, body, at, 5.0, 60.0, if_error=if_error)


def asked(kept: Entry, *headers: tuple[str, str], method: str = "GET") -> Selected:
    """What is kept, for a request."""
    found = selected(kept, outline(method, headers=list(headers)))
    assert found is not None
    return found


def not_modified(*headers: tuple[str, str]) -> UpstreamResponse:
    """A 304."""
    return UpstreamResponse(304, "Not Modified", list(headers), StaticBody(b""))


# -- at random ------------------------------------------------------------------------------------

OVERRIDES = frozenset({"no-store", "private", "no-cache", "must-revalidate", "set-cookie"})
NAMES = st.sampled_from(
    [
        *("Cache-Control", "CDN-Cache-Control", "Surrogate-Control", "Expires", "Date", "Age"),
        *("Last-Modified", "ETag", "Vary", "Pragma", "Content-Length", "X-Any"),
    ]
)
DIRECTIVES = st.lists(
    st.sampled_from(
        [
            *("max-age=60", "s-maxage=9", "max-age=", "public", "private", "no-cache", "no-store"),
            *("must-revalidate", "must-understand", "stale-if-error=9", "max-stale", "min-fresh=3"),
            *("stale-while-revalidate=9", 'private="a', "only-if-cached", "x=?0"),
        ]
    ),
    max_size=4,
).map(", ".join)
VALUES = DIRECTIVES | st.sampled_from([date(0), date(-99), date(99), "5", "-1"]) | st.text()
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
TIMES = st.none() | st.floats(0, 1e6)
RULES = st.builds(
    Rules,
    ttl=TIMES,
    negative_ttl=TIMES,
    while_revalidating=TIMES,
    if_error=TIMES,
    override=st.frozensets(st.sampled_from(sorted(OVERRIDES))),
)
