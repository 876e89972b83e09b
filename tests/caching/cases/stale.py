"""RFC 5861, and RFC 9111 section 4.2.4: answers that are used though they are not fresh."""

from tests.caching.script import (
    Case,
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

SIE = "max-age=60, stale-if-error=100"
SWR = "max-age=60, stale-while-revalidate=100"

CASES = [
    # -- section 3 ------------------------------------------------------------------------------
    Case("5861-3-while-revalidate", miss(says(SWR)), stale(after=70, made=1, age=70, beside=1),
         hit(made=2)),
    Case("5861-3-last-moment", miss(says(SWR)), stale(after=159, made=1, beside=1), hit(made=2)),
    Case("5861-3-beyond", miss(says(SWR)), miss(after=160, made=2)),
    Case("5861-3-unchanged", miss(says(SWR, etag='"a"')),
         stale(unchanged(SWR, etag='"a"'), after=70, made=1, beside=1,
               sent={"If-None-Match": '"a"'}), hit(made=1)),
    Case("5861-3-backend-fails", miss(says(SWR)), stale(fails(), after=70, made=1, beside=1),
         stale(says(SWR), made=1, beside=1), hit(made=3)),
    Case("5861-3-head", miss(says(SWR)), stale(after=70, method="HEAD", body=b"", beside=1)),
    Case("5861-3-fresh", miss(says(SWR)), hit(after=59, made=1)),
    *(
        Case(f"9111-4.2.4-while-revalidate-{word.partition('=')[0]}", miss(says(f"{SWR}, {word}")),
             asked(after=70, made=2))
        for word in ("must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache")
    ),
    Case("5861-3-invalid", miss(says("max-age=60, stale-while-revalidate=soon")),
         miss(after=70, made=2)),
    Case("5861-3-option", miss(says("max-age=60")), stale(after=70, made=1, beside=1),
         stale_while_revalidate=100),
    Case("5861-3-option-forbidden", miss(says("max-age=60, must-revalidate")),
         asked(after=70, made=2), stale_while_revalidate=100),
    # -- section 4 ------------------------------------------------------------------------------
    *(
        Case(f"5861-4-status-{status}", miss(says(SIE)),
             stale(says(None, status), after=70, made=1, age=70, asked=1))
        for status in (500, 502, 503, 504)
    ),
    Case("5861-4-no-answer", miss(says(SIE)), stale(fails(), after=70, made=1, asked=1),
         stale(fails(late=True), made=1, asked=1), miss(says(SIE), made=4), hit(made=4)),
    Case("5861-4-validated-first", miss(says(SIE, etag='"a"')),
         renewed(unchanged(SIE, etag='"a"'), after=70, made=1)),
    Case("5861-4-client-error", miss(says(SIE)), miss(says(None, 404), after=70, status=404)),
    Case("5861-4-last-moment", miss(says(SIE)), stale(fails(), after=159, made=1)),
    Case("5861-4-beyond", miss(says(SIE)), refused(502, fails(), after=160)),
    Case("5861-4-beyond-status", miss(says(SIE)), asked(says(None, 503), after=160, status=503)),
    Case("5861-4-not-said", miss(says("max-age=60")), refused(502, fails(), after=61),
         asked(says(None, 503), status=503)),
    *(
        Case(f"9111-4.2.4-if-error-{word.partition('=')[0]}", miss(says(f"{SIE}, {word}")),
             refused(502, fails(), after=70))
        for word in ("must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache")
    ),
    Case("5861-4-option", miss(says("max-age=60")), stale(fails(), after=70, made=1),
         refused(502, after=100), stale_if_error=100),
    Case("5861-4-option-forbidden", miss(says("max-age=60, must-revalidate")),
         refused(502, fails(), after=70), stale_if_error=100),
    Case("5861-4-conditional", miss(says(SIE, etag='"a"')),
         stale(fails(), after=70, fields={"If-None-Match": '"a"'}, status=304, body=b"")),
    Case("5861-4-error-is-not-kept", miss(says("max-age=60")),
         asked(says(None, 500), after=61, status=500), asked(says("max-age=60"), made=3),
         hit(made=3)),
    Case("5861-4-open-circuit", miss(says(SIE)), stale(fails(), after=70, made=1, asked=1),
         stale(says(SIE), made=1, asked=0), breaker=True),
]  # fmt: skip
