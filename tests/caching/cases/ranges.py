"""RFC 9110 section 14 and 13.1.5: parts of a kept answer."""

from typing import Any

from tests.caching.script import At, Case, Step, asked, bypass, hit, miss, says

FRESH = "max-age=60"
BODY = b"0123456789"
OLD = At(-1000)


def kept(body: bytes = BODY, **fields: Any) -> Step:
    """A complete answer is kept."""
    return miss(says(FRESH, body=body, **fields))


def asks(value: str, if_range: str | At | None = None) -> dict[str, str | At]:
    """The fields of a request for a part."""
    return {"Range": value} | ({} if if_range is None else {"If-Range": if_range})


def part(fields: dict[str, str | At], begin: int, end: int, **rest: object) -> Step:
    """206 with the bytes from `begin` to `end`, inclusive."""
    told = {"Content-Range": f"bytes {begin}-{end}/10", "Content-Length": str(end - begin + 1)}
    return hit(fields=fields, status=206, body=BODY[begin : end + 1], has=told, **rest)


def whole(fields: dict[str, str | At], **rest: object) -> Step:
    """All of it."""
    return hit(fields=fields, body=BODY, has={"Content-Range": None}, **rest)


CASES = [
    Case("9110-14.1.2-first-last", kept(), part(asks("bytes=2-4"), 2, 4, age=3, after=3)),
    Case("9110-14.1.2-one-byte", kept(), part(asks("bytes=0-0"), 0, 0)),
    Case("9110-14.1.2-open", kept(), part(asks("bytes=7-"), 7, 9)),
    Case("9110-14.1.2-suffix", kept(), part(asks("bytes=-3"), 7, 9)),
    Case("9110-14.1.2-suffix-too-long", kept(), part(asks("bytes=-99"), 0, 9)),
    Case("9110-14.1.2-last-beyond", kept(), part(asks("bytes=5-99"), 5, 9)),
    Case("9110-14.1.2-huge", kept(), part(asks(f"bytes=5-{'9' * 40}"), 5, 9)),
    Case("9110-14.1-unit-case", kept(), part(asks("BYTES=2-4"), 2, 4)),
    *(
        Case(f"9110-15.5.17-{name}", kept(),
             hit(fields=asks(value), status=416, has={"Content-Range": "bytes */10"}))
        for name, value in {"beyond": "bytes=10-", "both-beyond": "bytes=10-20",
                            "empty-suffix": "bytes=-0"}.items()
    ),
    Case("9110-15.5.17-empty-body", kept(b""),
         hit(fields=asks("bytes=0-"), status=416, has={"Content-Range": "bytes */0"})),
    *(
        Case(f"9110-14.2-ignored-{name}", kept(), whole(asks(value)))
        for name, value in {
            "several": "bytes=0-1,4-5", "unit": "lines=0-1", "backwards": "bytes=4-2",
            "letters": "bytes=a-b", "nothing": "bytes=", "dash": "bytes=-", "no-unit": "2-4",
            "signs": "bytes=+2-4",
        }.items()
    ),
    Case("9110-14.2-head", kept(), hit(method="HEAD", fields=asks("bytes=2-4"), body=b"",
         has={"Content-Length": "10", "Content-Range": None})),
    Case("9110-14.2-not-ok", miss(says(FRESH, 404, body=BODY), status=404),
         hit(fields=asks("bytes=2-4"), status=404, body=BODY)),
    Case("9110-15.3.7-fields", kept(etag='"a"', date=At(0), content_type="text/plain"),
         hit(fields=asks("bytes=2-4"), after=5, status=206, age=5, has={
             "ETag": '"a"', "Date": At(-5), "Cache-Control": FRESH, "Content-Type": "text/plain"})),
    Case("9110-14.2-nothing-kept",
         bypass(says(FRESH, body=BODY, exact=True), fields=asks("bytes=2-4"), status=206,
                body=b"234", sent=asks("bytes=2-4")),
         miss(body=BODY), part(asks("bytes=2-4"), 2, 4)),
    Case("9110-14.2-nothing-kept-whole-came", asked(says(FRESH, body=BODY),
         fields=asks("bytes=2-4"), body=BODY), miss(body=BODY)),
    Case("9111-3.3-partial-not-whole", asked(says(FRESH, body=BODY, exact=True),
         fields=asks("bytes=0-9"), status=206), miss(body=BODY)),
    Case("9110-14.2-stale", miss(says(FRESH, body=BODY, etag='"a"', exact=True)),
         Step(expect=frozenset({"REVALIDATED", "BYPASS", "MISS"}), after=61, status=206,
              fields=asks("bytes=2-4"), body=b"234", has={"Content-Range": "bytes 2-4/10"})),
    # -- If-Range -------------------------------------------------------------------------------
    Case("9110-13.1.5-same", kept(etag='"a"'), part(asks("bytes=2-4", '"a"'), 2, 4)),
    Case("9110-13.1.5-other", kept(etag='"a"'), whole(asks("bytes=2-4", '"b"'))),
    Case("9110-13.1.5-weak", kept(etag='W/"a"'), whole(asks("bytes=2-4", 'W/"a"'))),
    Case("9110-13.1.5-weak-of-client", kept(etag='"a"'), whole(asks("bytes=2-4", 'W/"a"'))),
    Case("9110-13.1.5-no-etag", kept(), whole(asks("bytes=2-4", '"a"'))),
    Case("9110-13.1.5-date", kept(last_modified=OLD, date=At(0)),
         part(asks("bytes=2-4", OLD), 2, 4)),
    Case("9110-13.1.5-other-date", kept(last_modified=OLD, date=At(0)),
         whole(asks("bytes=2-4", At(-999)))),
    Case("9110-8.8.2.2-date-too-near", kept(last_modified=At(0), date=At(0)),
         whole(asks("bytes=2-4", At(0)))),
    Case("9110-13.1.5-no-date", kept(), whole(asks("bytes=2-4", OLD))),
    Case("9110-13.2.2-not-modified-first", kept(etag='"a"'),
         hit(fields=asks("bytes=2-4") | {"If-None-Match": '"a"'}, status=304, body=b"")),
    Case("9110-13.2.2-range-afterwards", kept(etag='"a"'),
         part(asks("bytes=2-4", '"a"') | {"If-None-Match": '"b"'}, 2, 4)),
]  # fmt: skip
