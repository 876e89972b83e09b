"""RFC 9211: what `Cache-Status` says of each request."""

from tests.caching.script import (
    Case,
    asked,
    bypass,
    fails,
    hit,
    miss,
    refused,
    renewed,
    says,
    stale,
    unchanged,
)

FRESH = "max-age=60"
CC = "Cache-Control"

CASES = [
    Case("9211-2.1-hit", miss(says(FRESH)),
         hit(after=10, tells={"hit": True, "ttl": 50, "fwd": None})),
    Case("9211-2.1-not-modified", miss(says(FRESH, etag='"a"')),
         hit(fields={"If-None-Match": '"a"'}, status=304, tells={"hit": True, "fwd": None})),
    Case("9211-2.1-part", miss(says(FRESH, body=b"0123456789")),
         hit(fields={"Range": "bytes=0-1"}, status=206, tells={"hit": True, "fwd": None})),
    Case("9211-2.4-ttl-with-age", miss(says(FRESH, age="20")), hit(after=10, tells={"ttl": 30})),
    Case("9211-2.4-ttl-stale", miss(says(f"{FRESH}, stale-while-revalidate=60")),
         stale(after=70, beside=1, tells={"hit": True, "ttl": -10, "fwd": None})),
    Case("9211-2.2-uri-miss",
         miss(says(FRESH), tells={"fwd": "uri-miss", "stored": True, "hit": None})),
    Case("9211-2.2-uri-miss-after-purge", miss(says(FRESH)), bypass(method="PUT"),
         miss(tells={"fwd": "uri-miss", "stored": True})),
    Case("9211-2.2-vary-miss", miss(says(FRESH, vary="Accept"), fields={"Accept": "a/a"}),
         miss(fields={"Accept": "b/b"}, tells={"fwd": "vary-miss", "stored": True})),
    Case("9211-2.2-stale", miss(says(FRESH)),
         miss(after=61, tells={"fwd": "stale", "stored": True})),
    Case("9211-2.3-fwd-status", miss(says(FRESH, etag='"a"')),
         renewed(unchanged(FRESH, etag='"a"'), after=61,
                 tells={"fwd": "stale", "fwd-status": 304, "hit": None})),
    Case("9211-2.2-method", bypass(says(FRESH), method="POST",
         tells={"fwd": "method", "stored": None, "hit": None})),
    Case("9211-2.2-request", miss(says(FRESH)),
         asked(fields={CC: "no-cache"}, tells={"fwd": "request"}), client_no_cache=True),
    Case("9211-2.5-not-stored", miss(says("no-store"), tells={"fwd": "uri-miss", "stored": None})),
    Case("9211-2-preserved", miss(says(FRESH, cache_status="origin; hit; ttl=9"),
         has={"Cache-Status": "origin; hit; ttl=9, edge; fwd=uri-miss; stored"})),
    Case("9211-2-preserved-on-hit", miss(says(FRESH, cache_status="origin; hit; ttl=9")),
         hit(has={"Cache-Status": "origin; hit; ttl=9, edge; hit; ttl=60"})),
    Case("9211-2-none-of-our-own", refused(504, fields={CC: "only-if-cached"},
         has={"Cache-Status": None}),
         refused(502, fails(), has={"Cache-Status": None})),
]  # fmt: skip
