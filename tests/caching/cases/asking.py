"""RFC 9111 section 5.2.1 and 5.4: what a client may ask of the cache."""

from tests.caching.script import (
    At,
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


def cc(value: str) -> dict[str, str | At]:
    """Cache-Control of a request."""
    return {"Cache-Control": value}


# Without client_no_cache, only these two count: any client could have the backend asked otherwise.
ALWAYS = [
    Case("9111-5.2.1.5-no-store", miss(says(FRESH), fields=cc("no-store"), made=1), miss(made=2),
         hit(made=2)),
    Case("9111-5.2.1.5-already-stored", miss(says(FRESH)), hit(fields=cc("no-store"), made=1),
         hit(made=1)),
    Case("9111-5.2.1.7-nothing-kept", refused(504, says(FRESH), asked=0,
         fields=cc("only-if-cached")), miss(made=1)),
    Case("9111-5.2.1.7-kept", miss(says(FRESH)), hit(fields=cc("only-if-cached"), made=1)),
    Case("9111-5.2.1.7-stale", miss(says(FRESH, etag='"a"')),
         refused(504, fields=cc("only-if-cached"), after=61, asked=0)),
    Case("9111-5.2.1.7-head", refused(504, says(FRESH), fields=cc("only-if-cached"), method="HEAD",
         asked=0)),
    *(
        Case(f"9111-5.2.1-ignored-{name}", miss(says(FRESH)),
             hit(fields=fields, after=10, made=1, age=10))
        for name, fields in {
            "no-cache": cc("no-cache"), "max-age-0": cc("max-age=0"), "max-age": cc("max-age=5"),
            "min-fresh": cc("min-fresh=55"), "pragma": {"Pragma": "no-cache"},
        }.items()
    ),
    Case("9111-5.2.1.2-ignored-max-stale", miss(says(FRESH)),
         miss(fields=cc("max-stale"), after=61, made=2)),
]  # fmt: skip

ALLOWED = [
    Case("9111-5.2.1.1-max-age", miss(says(FRESH)), hit(after=5, fields=cc("max-age=5"), made=1),
         asked(after=1, fields=cc("max-age=5"), made=2), hit(made=2), client_no_cache=True),
    Case("9111-5.2.1.1-max-age-0", miss(says(FRESH, etag='"a"')),
         renewed(unchanged(FRESH, etag='"a"'), after=1, fields=cc("max-age=0"), made=1),
         client_no_cache=True),
    Case("9111-5.2.1.2-max-stale", miss(says(FRESH)),
         stale(after=70, fields=cc("max-stale=10"), made=1, age=70, asked=0, beside=1,
               origin=fails()),
         asked(says(FRESH), after=1, fields=cc("max-stale=10"), made=3), client_no_cache=True),
    Case("9111-5.2.1.2-max-stale-any", miss(says(FRESH)),
         stale(after=7000, fields=cc("max-stale"), made=1, asked=0, beside=1),
         client_no_cache=True),
    *(
        Case(f"9111-5.2.1.2-not-over-{word.partition('=')[0]}", miss(says(f"{FRESH}, {word}")),
             asked(after=70, fields=cc("max-stale=100"), made=2), client_no_cache=True)
        for word in ("must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache")
    ),
    Case("9111-5.2.1.3-min-fresh", miss(says(FRESH)),
         hit(after=30, fields=cc("min-fresh=30"), made=1),
         asked(after=1, fields=cc("min-fresh=30"), made=2), client_no_cache=True),
    Case("9111-5.2.1.4-no-cache", miss(says(FRESH, etag='"a"')),
         renewed(unchanged(FRESH, etag='"a"'), fields=cc("no-cache"), made=1,
                 sent={"If-None-Match": '"a"'}), client_no_cache=True),
    Case("9111-5.2.1.4-no-cache-new", miss(says(FRESH)), asked(fields=cc("no-cache"), made=2),
         hit(made=2), client_no_cache=True),
    Case("9111-5.4-pragma", miss(says(FRESH)), asked(fields={"Pragma": "no-cache"}, made=2),
         client_no_cache=True),
    Case("9111-5.4-pragma-beside", miss(says(FRESH)),
         hit(fields={"Pragma": "no-cache"} | cc("max-age=30"), made=1), client_no_cache=True),
    Case("9111-5.2.1-unknown", miss(says(FRESH)), hit(fields=cc("foo, bar=1"), made=1),
         client_no_cache=True),
    Case("9111-5.2.1-passed-on", bypass(says(FRESH), method="POST", fields=cc("no-transform"),
         sent=cc("no-transform"))),
]  # fmt: skip

CASES = ALWAYS + ALLOWED
