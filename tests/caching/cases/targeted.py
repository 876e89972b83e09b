"""RFC 9213: fields meant for caches such as this one, and Surrogate-Control of old."""

from tests.caching.script import Case, asked, hit, miss, renewed, says, unchanged

CASES = [
    Case("9213-2.2-alone", miss(says(cdn_cache_control="max-age=60")), hit(after=59, made=1),
         asked(after=1, made=2)),
    Case("9213-2.2-longer", miss(says("max-age=1", cdn_cache_control="max-age=60")),
         hit(after=59, made=1)),
    Case("9213-2.2-shorter", miss(says("max-age=60", cdn_cache_control="max-age=1")),
         asked(after=2, made=2)),
    Case("9213-2.2-zero", miss(says("max-age=60", cdn_cache_control="max-age=0")), asked(made=2)),
    Case("9213-2.2-over-s-maxage", miss(says("s-maxage=1", cdn_cache_control="max-age=60")),
         hit(after=59, made=1)),
    Case("9213-2.2-over-expires", miss(says(expires="0", cdn_cache_control="max-age=60")),
         hit(after=59, made=1)),
    Case("9213-2.2-over-no-store", miss(says("no-store", cdn_cache_control="max-age=60")),
         hit(after=59, made=1)),
    Case("9213-2.2-over-private", miss(says("private", cdn_cache_control="max-age=60")),
         hit(after=59, made=1)),
    Case("9213-2.2-over-must-revalidate",
         miss(says("must-revalidate, no-cache", cdn_cache_control="max-age=60")), hit(made=1)),
    Case("9213-2.2-no-store", miss(says("max-age=60", cdn_cache_control="no-store")),
         asked(made=2)),
    Case("9213-2.2-private", miss(says("max-age=60", cdn_cache_control="private")),
         asked(made=2)),
    Case("9213-2.2-no-cache",
         miss(says("max-age=60", cdn_cache_control="max-age=60, no-cache", etag='"a"')),
         renewed(unchanged(cdn_cache_control="max-age=60, no-cache", etag='"a"'), made=1)),
    Case("9213-2.2-none", miss(says("max-age=60", cdn_cache_control="none")), asked(made=2)),
    Case("9213-2.2-age", miss(says(cdn_cache_control="max-age=60", age="61")), asked(made=2)),
    Case("9213-2.1-lines", miss(says(cdn_cache_control=("foo", "max-age=60"))), hit(made=1)),
    Case("9213-2.1-unknown", miss(says(cdn_cache_control="foo=1, max-age=60, bar")), hit(made=1)),
    Case("9213-2.1-parameters", miss(says(cdn_cache_control="max-age=60;foo=1;bar")), hit(made=1)),
    Case("9213-2.1-last-wins", miss(says(cdn_cache_control="max-age=1, max-age=60")),
         hit(after=59, made=1)),
    *(
        Case(f"9213-2.1-ignored-{name}", miss(says("max-age=60", cdn_cache_control=value)),
             hit(after=59, made=1))
        for name, value in {
            "empty": "", "blank": "  ", "unparsable": "no-store, &&&", "capitals": "No-Store",
            "space-before": "max-age =1", "space-after": "max-age= 1",
            "open-string": 'no-store, a="b',
            "comma-last": "no-store,", "comma-only": ",",
        }.items()
    ),
    Case("9213-2.1-ignored-no-store-counts",
         miss(says("no-store", cdn_cache_control="max-age=60, &&")), asked(made=2)),
    *(
        Case(f"9213-2.1-wrong-type-{name}",
             miss(says("no-store", cdn_cache_control=f"max-age={value}")), asked(made=2))
        for name, value in {"string": '"60"', "decimal": "60.5", "boolean": "?1", "token": "sixty",
                            "negative": "-60"}.items()
    ),
    Case("9213-3-passed-on", miss(says("max-age=1", cdn_cache_control="max-age=60"),
         has={"CDN-Cache-Control": "max-age=60"}), hit(has={"CDN-Cache-Control": "max-age=60"})),
    Case("9213-2.2-unknown-target", miss(says("max-age=60", x_cache_control="no-store")), hit()),
    # -- Surrogate-Control (Edge Architecture) --------------------------------------------------
    Case("surrogate-control", miss(says("no-store", surrogate_control="max-age=60"),
         has={"Surrogate-Control": None}), hit(after=59, has={"Surrogate-Control": None})),
    Case("surrogate-control-no-store", miss(says("max-age=60", surrogate_control="no-store")),
         asked(made=2)),
    Case("surrogate-control-after-cdn", miss(says(surrogate_control="max-age=60",
         cdn_cache_control="max-age=0")), asked(made=2)),
    Case("surrogate-key", miss(says("max-age=60", surrogate_key="a b"),
         has={"Surrogate-Key": None}),
         hit(has={"Surrogate-Key": None})),
    Case("surrogate-key-not-kept", miss(says("no-store", surrogate_key="a"),
         has={"Surrogate-Key": None})),
]  # fmt: skip
