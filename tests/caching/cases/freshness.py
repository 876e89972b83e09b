"""RFC 9111 section 4.2, 5.1 and 5.3: how old, and for how long fresh."""

from tests.caching.script import At, Case, asked, hit, miss, says

DAY = 86400


def lasts(name: str, seconds: int, control: str | None = None, **fields: object) -> Case:
    """It is fresh for that long and no longer; 0: not at all."""
    first = miss(says(control, **fields))  # type: ignore[arg-type]
    if seconds == 0:
        return Case(name, first, asked(made=2))
    then = hit(after=seconds - 1, made=1, age=seconds - 1)
    return Case(name, first, then, asked(after=1, made=2))


CASES = [
    # -- 4.2.1 ----------------------------------------------------------------------------------
    lasts("9111-4.2.1-max-age", 60, "max-age=60"),
    lasts("9111-4.2.1-max-age-zero", 0, "max-age=0"),
    lasts("9111-4.2.1-s-maxage-wins", 30, "max-age=60, s-maxage=30"),
    lasts("9111-4.2.1-s-maxage-longer", 90, "s-maxage=90, max-age=60"),
    lasts("9111-4.2.1-s-maxage-zero", 0, "max-age=60, s-maxage=0"),
    lasts("9111-4.2.1-max-age-over-expires", 60, "max-age=60", expires=At(600)),
    lasts("9111-4.2.1-max-age-over-old-expires", 60, "max-age=60", expires=At(-600)),
    lasts("9111-4.2.1-max-age-over-bad-expires", 60, "max-age=60", expires="0"),
    lasts("9111-4.2.1-max-age-zero-over-expires", 0, "max-age=0", expires=At(600)),
    lasts("9111-4.2.1-expires", 60, expires=At(60)),
    lasts("9111-4.2.1-expires-less-date", 60, expires=At(3660), date=At(3600)),
    lasts("9111-4.2.1-unknown-beside-expires", 60, "foo", expires=At(60), date=At(0)),
    lasts("9111-4.2.1-twice-alike", 60, "max-age=60, max-age=60"),
    lasts("9111-4.2.1-twice-shorter-first", 30, "max-age=30, max-age=60"),
    Case("9111-4.2.1-conflict", miss(says("max-age=60, no-store")), asked(made=2)),
    *(
        lasts(f"9111-4.2.1-invalid-{name}", 0, f"max-age={value}")
        for name, value in {
            "letters": "abc", "letter-last": "60a", "negative": "-60", "empty": "",
            "decimal": "60.5", "single-quotes": "'60'",
        }.items()
    ),
    lasts("9111-4.2.1-invalid-beside-expires", 0, "max-age=x", expires=At(60)),
    lasts("9111-5.2-quoted", 60, 'max-age="60"'),
    lasts("9111-5.2-capitals", 60, "MAX-AGE=60"),
    lasts("9111-5.2-leading-zeros", 60, "max-age=0060"),
    lasts("9111-5.2-empty-members", 60, ", ,max-age=60,,"),
    lasts("9111-5.2-in-quotes-before", 60, 'foo="max-age=600", max-age=60'),
    lasts("9111-5.2-in-quotes-after", 60, 'max-age=60, foo="max-age=600"'),
    lasts("9111-5.2-quotes-escaped", 60, r'foo="\", max-age=600", max-age=60'),
    Case("9111-1.2.2-huge", miss(says("max-age=99999999999999999999")),
         hit(after=365 * DAY, age=365 * DAY)),
    # -- 5.3 ------------------------------------------------------------------------------------
    lasts("9111-5.3-past", 0, expires=At(-1)),
    lasts("9111-5.3-zero", 0, expires="0"),
    lasts("9111-5.3-minus-one", 0, expires="-1"),
    lasts("9111-5.3-words", 0, expires="tomorrow"),
    lasts("9111-5.3-invalid-beside-heuristic", 0, expires="0", last_modified=At(-DAY)),
    lasts("9111-4.2-other-zone", 0, expires=At(60, form="CET")),
    lasts("9110-5.6.7-rfc850", 60, expires=At(60, form="rfc850")),
    lasts("9110-5.6.7-asctime", 60, expires=At(60, form="asctime")),
    # -- 4.2.2 ----------------------------------------------------------------------------------
    lasts("9111-4.2.2-tenth", 100, last_modified=At(-1000)),
    lasts("9111-4.2.2-tenth-of-date", 100, last_modified=At(-1000), date=At(0)),
    lasts("9111-4.2.2-a-day-at-most", DAY, last_modified=At(-365 * DAY)),
    lasts("9111-4.2.2-explicit-wins", 10, "max-age=10", last_modified=At(-1000)),
    lasts("9111-4.2.2-nothing-to-go-by", 0, etag='"a"'),
    lasts("9111-4.2.2-modified-later", 0, last_modified=At(1000)),
    lasts("9111-4.2.2-bad-date", 0, last_modified="yesterday"),
    *(
        Case(f"9111-4.2.2-status-{status}",
             miss(says(None, status, last_modified=At(-1000)), status=status),
             (hit if heuristic else asked)(status=status, after=50))
        for status, heuristic in {
            203: True, 300: True, 301: True, 308: True, 404: True, 410: True,
            201: False, 302: False, 307: False, 403: False, 500: False, 503: False,
        }.items()
    ),
    Case("9111-4.2.2-query", miss(says(None, last_modified=At(-1000)), path="?a"),
         hit(path="?a", after=50)),
    # -- 4.2.3 and 5.1 --------------------------------------------------------------------------
    Case("9111-4.2.3-age", miss(says("max-age=60", age="50"), has={"Age": "50"}),
         hit(after=9, age=59), asked(after=1, made=2)),
    Case("9111-4.2.3-age-beyond", miss(says("max-age=60", age="60")), asked(made=2)),
    Case("9111-4.2.3-apparent-age", miss(says("max-age=60", date=At(-30))),
         hit(after=29, age=59), asked(after=1, made=2)),
    Case("9111-4.2.3-apparent-age-less", miss(says("max-age=60", date=At(-30), age="40")),
         hit(after=19, age=59), asked(after=1, made=2)),
    Case("9111-4.2.3-date-ahead", miss(says("max-age=60", date=At(3600))),
         hit(after=59, age=59), asked(after=1, made=2)),
    Case("9111-4.2.3-bad-date", miss(says("max-age=60", date="now")), hit(after=59, age=59)),
    Case("9111-4.2.3-delay", miss(says("max-age=60", age="10", took=5)),
         hit(after=44, age=59), asked(after=1, made=2)),
    Case("9111-5.1-generated", miss(says("max-age=60"), has={"Age": None}), hit(age=0),
         hit(after=7, age=7)),
    Case("9111-5.1-list", miss(says("max-age=60", age="10, 50")), hit(after=49, age=59)),
    Case("9111-5.1-lines", miss(says("max-age=60", age=("10", "50"))), hit(after=49, age=59)),
    Case("9111-5.1-invalid", miss(says("max-age=60", age="old")), hit(after=59, age=59)),
    Case("9111-5.1-negative", miss(says("max-age=60", age="-10")), hit(after=59, age=59)),
    Case("9111-4.2.4-not-stale", miss(says("max-age=60")), asked(after=61, made=2)),
]  # fmt: skip
