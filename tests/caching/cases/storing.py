"""RFC 9111 sections 2, 3 and 5.2.2: what may be kept."""

from tests.caching.script import At, Case, asked, bypass, hit, miss, renewed, says, unchanged

FRESH = "max-age=60"

CASES = [
    Case("9111-3-get", miss(says(FRESH), made=1), hit(made=1, age=0)),
    *(
        Case(f"9111-3-status-{status}", miss(says(FRESH, status), status=status),
             hit(status=status))
        for status in (203, 300, 301, 302, 307, 308, 404, 405, 410, 414, 501)
    ),
    Case(
        "9111-3-status-204",
        miss(says(FRESH, 204, body=b""), status=204),
        hit(status=204, body=b"", has={"Content-Length": None}),
    ),
    Case("9111-3-method-post", *[bypass(says(FRESH), method="POST", made=n) for n in (1, 2)]),
    Case("9111-3-method-put", bypass(says(FRESH), method="PUT", made=1), miss(made=2)),
    Case("9111-3-method-options", *[bypass(says(FRESH), method="OPTIONS") for _ in range(2)]),
    Case("9111-3-content-in-get", *[bypass(says(FRESH), content=b"x", made=n) for n in (1, 2)]),
    Case("9111-3-nothing-said", miss(says()), asked(made=2)),
    Case("9111-3-partial-unasked", asked(says(FRESH, 206), status=206), asked(status=206)),
    Case("9111-3-set-cookie", miss(says(FRESH, set_cookie="a=1"), has={"Set-Cookie": "a=1"}),
         asked(made=2)),
    Case("9111-3-stand-in", miss(says(FRESH, x_fallback="static")), asked(made=2)),
    Case(
        "9111-3.1-unknown-fields",
        miss(says(FRESH, x_new="a, b", link=("<a>", "<b>"))),
        hit(has={"X-New": "a, b", "Link": ("<a>", "<b>")}),
    ),
    Case(
        "9111-3.1-connection",
        miss(says(FRESH, connection="x-hop", x_hop="1", x_kept="1")),
        hit(has={"Connection": None, "X-Hop": None, "X-Kept": "1"}),
    ),
    Case(
        "9111-3.1-proxy",
        miss(says(FRESH, proxy_authenticate="Basic", proxy_authentication_info="a=b")),
        hit(has={"Proxy-Authenticate": None, "Proxy-Authentication-Info": None}),
    ),
    Case("9110-6.6.1-date-passed-on", miss(says(FRESH, date=At(-7))),
         hit(after=5, has={"Date": At(-12)})),
    Case("9110-6.6.1-date-recorded", miss(says(FRESH)), hit(after=5, has={"Date": At(-5)})),
    Case(
        "9111-3.2-content-length",
        miss(says("max-age=1", etag='"a"', body=b"four")),
        renewed(unchanged(FRESH, etag='"a"', content_length="0"), after=2, body=b"four"),
        hit(body=b"four", has={"Content-Length": "4"}),
    ),
    Case("9111-3.3-incomplete", miss(says(FRESH, body=b"short", announced=9), broken=True),
         miss(says(FRESH, body=b"the whole"), body=b"the whole"), hit(body=b"the whole")),
    # Authorization: 3.5 lets answers to it be shared now and then; here they never are, unless the
    # operator says so.
    Case(
        "9111-3.5-authorization",
        miss(says(FRESH), user="ada", made=1),
        miss(made=2),
        miss(user="bob", made=3),
        hit(user="ada", made=1),
        hit(made=2),
        hit(user="bob", made=3),
    ),
    *(
        Case(
            f"9111-3.5-{word.partition('=')[0]}",
            miss(says(f"{FRESH}, {word}"), user="ada", made=1),
            miss(user="bob", made=2),
            hit(user="ada", made=1),
        )
        for word in ("public", "must-revalidate", "s-maxage=60")
    ),
    Case(
        "9111-3.5-shared",
        miss(says(FRESH), user="ada", made=1),
        hit(user="bob", made=1),
        hit(made=1),
        shared=True,
    ),
    Case(
        "9111-3.5-unchecked-credential",
        miss(says(FRESH), fields={"Authorization": "Digest a"}, made=1),
        miss(fields={"Authorization": "Digest b"}, made=2),
        miss(made=3),
        hit(fields={"Authorization": "Digest a"}, made=1),
    ),
    Case(
        "9111-3.5-cookie",
        miss(says(FRESH), fields={"Cookie": "sid=1"}, made=1),
        miss(made=2),
        miss(fields={"Cookie": "sid=2"}, made=3),
        hit(fields={"Cookie": "sid=1"}, made=1),
    ),
    Case("9111-5.2.2.3-not-understood", asked(says(f"{FRESH}, must-understand", 299), status=299),
         asked(status=299)),
    Case("9111-5.2.2.4-no-cache", miss(says(f"{FRESH}, no-cache", etag='"a"'), made=1),
         renewed(unchanged(f"{FRESH}, no-cache", etag='"a"'), made=1,
                 sent={"If-None-Match": '"a"'})),
    Case("9111-5.2.2.4-qualified", miss(says(f'{FRESH}, no-cache="x-a"', x_a="1")),
         asked(says(FRESH), has={"X-A": None})),
    Case("9111-5.2.2.4-without-validator", miss(says(f"{FRESH}, no-cache")), asked(made=2)),
    Case("9111-5.2.2.5-no-store", miss(says(f"{FRESH}, no-store")), asked(made=2)),
    Case("9111-5.2.2.5-capitals", miss(says("Max-Age=60, NO-STORE")), asked(made=2)),
    Case("9111-5.2.2.5-another-line", miss(says(None, cache_control=(FRESH, "no-store"))),
         asked(made=2)),
    Case("9111-5.2.2.5-with-argument", miss(says(f"{FRESH}, no-store=1")), asked(made=2)),
    Case("9111-5.2.2.5-replaces", miss(says("max-age=1", etag='"a"')),
         miss(says("no-store", etag='"b"'), after=2), asked(made=3)),
    Case("9111-5.2.2.7-private", miss(says(f"{FRESH}, private")), asked(made=2)),
    Case("9111-5.2.2.7-own", miss(says(f"{FRESH}, private"), user="ada"),
         asked(user="ada", made=2)),
    Case("9111-5.2.2.7-qualified", miss(says(f'{FRESH}, private="x-a"', x_a="1")),
         asked(says(FRESH), has={"X-A": None})),
    Case("9111-5.2.2.9-public-alone", miss(says("public")), asked(made=2)),
    Case("9111-5.2.2.6-no-transform", miss(says(f"{FRESH}, no-transform")), hit(made=1)),
    Case("9111-5.2.3-unknown", miss(says(f'foo, bar="no-store, private", {FRESH}, baz=1')), hit()),
    Case("9111-5.5-warning", miss(says(FRESH, warning='110 - "stale"')), hit()),
]  # fmt: skip
