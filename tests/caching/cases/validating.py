"""RFC 9111 section 4.3, RFC 9110 section 13 and 15.4.5: conditions, of the cache and of clients."""

from typing import Any

from tests.caching.script import (
    ANY,
    At,
    Case,
    Origin,
    Step,
    asked,
    fails,
    hit,
    miss,
    refused,
    renewed,
    says,
    stale,
    unchanged,
)

SHORT, FRESH = "max-age=10", "max-age=60"
OLD = At(-1000)


def inm(value: str) -> dict[str, str | At]:
    """If-None-Match."""
    return {"If-None-Match": value}


def ims(value: str | At) -> dict[str, str | At]:
    """If-Modified-Since."""
    return {"If-Modified-Since": value}


def named(name: str, value: str) -> dict[str, Any]:
    """A field of the backend's."""
    return {name: value}


def kept(**fields: Any) -> Step:
    """An answer is kept."""
    return miss(says(FRESH, body=b"hello", **fields), body=b"hello")


def same(fields: dict[str, str | At], **rest: object) -> Step:
    """304 from the cache."""
    return hit(fields=fields, status=304, body=b"", **rest)


def whole(fields: dict[str, str | At], **rest: object) -> Step:
    """All of it from the cache."""
    return hit(fields=fields, body=b"hello", **rest)


def forwarded(fields: dict[str, str | At], origin: Origin, status: int) -> Step:
    """The condition is the backend's to judge."""
    return asked(origin, fields=fields, status=status, sent=fields)


SENT = [
    Case(
        "9111-4.3.1-both-validators",
        miss(says(SHORT, etag='"a"', last_modified="Sun, 06 Nov 1994 08:49:37 GMT")),
        renewed(unchanged(FRESH, etag='"a"'), after=11, made=1, sent={
            "If-None-Match": '"a"', "If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}),
        hit(made=1, age=0),
    ),
    Case("9111-4.3.1-etag-only", miss(says(SHORT, etag='"a"')),
         renewed(unchanged(FRESH, etag='"a"'), after=11,
                 sent={"If-None-Match": '"a"', "If-Modified-Since": None})),
    Case("9111-4.3.1-date-only",
         miss(says(SHORT, last_modified="Sun, 06 Nov 1994 08:49:37 GMT")),
         renewed(unchanged(FRESH, last_modified="Sun, 06 Nov 1994 08:49:37 GMT"), after=11,
                 sent={"If-None-Match": None,
                       "If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"})),
    Case("9111-4.3.1-weak-etag", miss(says(SHORT, etag='W/"a"')),
         renewed(unchanged(FRESH, etag='W/"a"'), after=11, sent=inm('W/"a"'), made=1)),
    Case("9111-4.3.1-no-validator", miss(says(SHORT)),
         miss(after=11, made=2, sent={"If-None-Match": None, "If-Modified-Since": None})),
    Case("9111-4.3.1-unasked-when-nothing-kept",
         miss(says(FRESH, etag='"a"'), fields=inm('"a"'), status=304, body=b"",
              sent={"If-None-Match": None}),
         hit(made=1)),
    Case("9111-4.3.1-other-client-condition", miss(says(SHORT, etag='"a"')),
         renewed(unchanged(FRESH, etag='"a"'), after=11, fields=inm('"b"'), made=1)),
]  # fmt: skip

ANSWERED = [
    Case("9111-4.3.3-unchanged", miss(says(SHORT, etag='"a"')),
         renewed(unchanged(SHORT, etag='"a"'), after=11, made=1), hit(after=9, age=9, made=1)),
    Case("9111-4.3.3-replaced", miss(says(SHORT, etag='"a"')),
         miss(says(FRESH, etag='"b"'), after=11, made=2, sent=inm('"a"')),
         hit(made=2, has={"ETag": '"b"'})),
    Case("9111-4.3.3-gone", miss(says(SHORT, etag='"a"')),
         miss(says(FRESH, 404), after=11, status=404), hit(status=404)),
    Case("9111-4.3.3-server-error", miss(says(SHORT, etag='"a"')),
         asked(says(None, 500), after=11, status=500, made=2),
         renewed(unchanged(FRESH, etag='"a"'), made=1)),
    Case("9111-4.3.3-no-answer", miss(says(SHORT, etag='"a"')),
         refused(502, fails(), after=11), refused(504, fails(late=True)),
         renewed(unchanged(FRESH, etag='"a"'), made=1)),
    Case("9111-4.3.3-client-has-it", miss(says(SHORT, etag='"a"')),
         renewed(unchanged(FRESH, etag='"a"'), after=11, fields=inm('"a"'), status=304, body=b""),
         hit(made=1)),
    Case("9111-4.3.2-client-has-another", miss(says(SHORT, etag='"a"')),
         renewed(unchanged(FRESH, etag='"a"'), after=11, fields=inm('"b"'), made=1)),
    Case("9111-4.3.3-client-has-the-new", miss(says(SHORT, etag='"a"')),
         asked(says(FRESH, etag='"b"'), after=11, fields=inm('"b"'), status=304, body=b""),
         hit(made=2)),
    Case("9111-4.3.4-fields-updated", miss(says(SHORT, etag='"a"', x_a="1", x_b="1")),
         renewed(unchanged(FRESH, etag='"a"', x_a="2", x_c="3"), after=11,
                 has={"X-A": "2", "X-B": "1", "X-C": "3", "Cache-Control": FRESH}),
         hit(after=50, made=1, has={"X-A": "2", "X-B": "1", "X-C": "3", "Cache-Control": FRESH})),
    Case("9111-4.3.4-repeated-field", miss(says(SHORT, etag='"a"', x_a=("1", "2"))),
         renewed(unchanged(FRESH, etag='"a"', x_a="3"), after=11, has={"X-A": "3"})),
    Case("9111-3.2-lifetime-kept", miss(says(SHORT, etag='"a"')),
         renewed(unchanged(None, etag='"a"'), after=11), hit(after=9, made=1),
         renewed(after=2)),
    Case("9111-3.2-expires", miss(says(None, etag='"a"', expires=At(10), date=At(0))),
         renewed(unchanged(None, etag='"a"', expires=At(60), date=At(0)), after=11),
         hit(after=50, made=1)),
    Case("9111-4.3.4-becomes-private", miss(says(SHORT, etag='"a"')),
         renewed(unchanged("private", etag='"a"'), after=11, made=1), asked(says(FRESH), made=3)),
    Case("9111-4.3.4-becomes-no-store", miss(says(SHORT, etag='"a"')),
         renewed(unchanged("no-store", etag='"a"'), after=11, made=1), asked(says(FRESH), made=3)),
    Case("9111-4.3.4-set-cookie", miss(says(SHORT, etag='"a"')),
         Step(expect=ANY, origin=unchanged(FRESH, etag='"a"', set_cookie="a=1"), after=11, made=1),
         Step(expect=ANY, origin=says(FRESH), has={"Set-Cookie": None})),
    Case("9111-4.3.4-hop-by-hop", miss(says(SHORT, etag='"a"')),
         renewed(unchanged(FRESH, etag='"a"', connection="x-hop", x_hop="1"), after=11,
                 has={"X-Hop": None}), hit(has={"X-Hop": None, "Connection": None})),
    Case("9111-4.3.4-weak-of-304", miss(says(SHORT, etag='W/"a"')),
         renewed(unchanged(FRESH, etag='W/"a"'), after=11, made=1), hit(made=1)),
    Case("9111-4.3.4-no-validator-in-304", miss(says(SHORT, etag='"a"')),
         renewed(unchanged(FRESH), after=11, made=1), hit(made=1, has={"ETag": '"a"'})),
    *(
        Case(f"9111-3.2-{name.lower()}", miss(says(SHORT, etag='"a"', **named(name, "old"))),
             renewed(unchanged(FRESH, etag='"a"', **named(name, "new")), after=11,
                     has={name.replace("_", "-"): "old"}))
        for name in ("Content_Md5", "Content_Digest", "Repr_Digest", "Digest")
    ),
    Case("9111-4.2.3-age-of-304", miss(says(SHORT, etag='"a"')),
         renewed(unchanged(FRESH, etag='"a"', age="50"), after=11), hit(after=9, age=59)),
    Case("9111-4.2.3-date-of-304", miss(says(SHORT, etag='"a"', date=At(0))),
         renewed(unchanged(FRESH, etag='"a"', date=At(0)), after=11, has={"Date": At(0)}),
         hit(after=9, age=9)),
]  # fmt: skip

SIE = "max-age=10, stale-if-error=600"


def head(origin: Origin, **rest: Any) -> Step:
    """A HEAD of something that is not fresh any more, and what the backend says to it."""
    return asked(origin, method="HEAD", after=11, body=b"", **rest)


HEADED = [
    Case("9111-4.3.5-same", miss(says(SHORT, etag='"a"', last_modified=OLD, x_a="1", x_b="1")),
         head(says(FRESH, etag='"a"', last_modified=At(-1011), x_a="2"),
              has={"X-A": "2"}, tells={"detail": None}),
         hit(after=50, made=1, age=50, has={"X-A": "2", "X-B": "1", "Cache-Control": FRESH})),
    Case("9111-4.3.5-without-validators", miss(says(SHORT)), head(says(FRESH)),
         hit(made=1)),
    Case("9111-4.3.5-digest", miss(says(SHORT, etag='"a"', content_md5="old")),
         head(says(FRESH, etag='"a"', content_md5="new")),
         hit(has={"Content-Md5": "old"})),
    *(
        # It is out of date: not even an error makes it any better.
        Case(f"9111-4.3.5-other-{name}", miss(says(SIE, etag='"a"', last_modified=OLD)),
             head(other), refused(502, fails()))
        for name, other in {
            "etag": says(SIE, etag='"b"'), "weak": says(SIE, etag='W/"a"'),
            "length": says(SIE, body=b"12"), "date": says(SIE, last_modified=At(-500)),
        }.items()
    ),
    Case("9111-4.3.5-becomes-private", miss(says(SIE, etag='"a"')),
         head(says("private", etag='"a"')), refused(502, fails())),
    Case("9111-4.3.5-304", miss(says(SHORT, etag='"a"')),
         renewed(unchanged(FRESH, etag='"a"'), after=11, method="HEAD", body=b""), hit(made=1)),
    Case("5861-4-head", miss(says(SIE, etag='"a"')),
         stale(says(None, 500), after=11, method="HEAD", body=b""), stale(fails(), made=1)),
]  # fmt: skip

RECEIVED = [
    *(
        Case(f"9110-13.1.2-{name}", kept(etag=tag), same(inm(value), has={"ETag": tag}))
        for name, tag, value in (
            ("strong", '"a"', '"a"'), ("weak-of-client", '"a"', 'W/"a"'),
            ("weak-of-backend", 'W/"a"', '"a"'), ("weak-both", 'W/"a"', 'W/"a"'),
            ("list", '"a"', '"x", "a"'), ("list-weak", '"a"', 'W/"x",W/"a"'), ("star", '"a"', "*"),
            ("comma-inside", '"a,b"', '"x","a,b"'), ("empty-tag", '""', '""'),
        )
    ),
    *(
        Case(f"9110-13.1.2-{name}", kept(etag=tag), whole(inm(value)))
        for name, tag, value in (
            ("other", '"a"', '"b"'), ("case-counts", '"a"', '"A"'), ("part", '"ab"', '"a"'),
            ("comma-is-part", '"a"', '"a,b"'), ("star-quoted", '"a"', '"*"'),
        )
    ),
    Case("9110-13.1.2-star-without-etag", kept(), same(inm("*"))),
    Case("9110-13.1.2-without-etag", kept(), whole(inm('"a"'))),
    Case("9110-13.1.2-head", kept(etag='"a"'), same(inm('"a"'), method="HEAD")),
    Case("9110-13.1.3-equal", kept(last_modified=OLD), same(ims(OLD))),
    Case("9110-13.1.3-later", kept(last_modified=OLD), same(ims(At(-500)))),
    Case("9110-13.1.3-earlier", kept(last_modified=OLD), whole(ims(At(-1001)))),
    Case("9110-13.1.3-invalid", kept(last_modified=OLD), whole(ims("long ago"))),
    Case("9110-13.1.3-rfc850", kept(last_modified=OLD), same(ims(At(-1000, form="rfc850")))),
    Case("9110-13.1.3-asctime", kept(last_modified=OLD), same(ims(At(-1000, form="asctime")))),
    Case("9110-13.1.3-etag-first-other", kept(etag='"a"', last_modified=OLD),
         whole(inm('"b"') | ims(OLD))),
    Case("9110-13.1.3-etag-first-same", kept(etag='"a"', last_modified=OLD),
         same(inm('"a"') | ims(At(-2000)))),
    Case("9111-4.3.2-date-for-last-modified", kept(date=At(0)), same(ims(At(0)), after=5),
         whole(ims(At(-60)))),
    Case("9111-4.3.2-received-for-date", kept(), same(ims(At(0)), after=5), whole(ims(At(-60)))),
    Case("9110-13.2.1-not-ok", miss(says(FRESH, 404, etag='"a"'), status=404),
         hit(fields=inm('"a"'), status=404, made=1)),
    Case("9110-13.1.1-if-match", kept(etag='"a"'),
         forwarded({"If-Match": '"b"'}, says(None, 412), 412), hit(body=b"hello")),
    Case("9110-13.1.4-if-unmodified-since", kept(last_modified=OLD),
         forwarded({"If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, says(None, 412), 412),
         hit(body=b"hello")),
    Case(
        "9110-15.4.5-fields",
        kept(etag='"a"', date=At(0), vary="Accept", expires=At(60), content_location="/things/z",
             content_type="text/plain"),
        same(inm('"a"'), after=5, age=5, has={
            "ETag": '"a"', "Date": At(-5), "Vary": "Accept", "Expires": At(55),
            "Cache-Control": FRESH, "Content-Location": "/things/z"}),
    ),
    Case("9111-4.3.1-passed-on-where-not-kept",
         miss(says("no-store", etag='"a"')), asked(unchanged("no-store", etag='"a"'),
         fields=inm('"a"'), status=304, body=b"", sent=inm('"a"'))),
]  # fmt: skip

CASES = SENT + ANSWERED + HEADED + RECEIVED
