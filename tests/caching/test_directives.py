"""Cache-Control and its kin, and dates: what is read from which text."""

from __future__ import annotations

import calendar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.caching.directives import MOST_SECONDS, cache_control, http_date, seconds, targeted

CONTROL = {
    "9111-5.2-names-in-any-case": (["Max-Age=60, PUBLIC"], {"max-age": "60", "public": ""}),
    "9111-5.2-several-lines": (["public", "max-age=60"], {"public": "", "max-age": "60"}),
    "9111-5.2-quoted-argument": (['max-age="60"'], {"max-age": "60"}),
    "9111-5.2-field-names": (['private="a, b", x'], {"private": "a, b", "x": ""}),
    "9111-5.2-escapes": ([r'a="b\"c\\, d", e'], {"a": r'b"c\, d', "e": ""}),
    "9111-5.2-open-quote-hides-nothing": (['a="b, no-store'], {"a": '"b', "no-store": ""}),
    "9111-5.2-open-quote-ends-with-its-line": (['a="b', "no-store"], {"a": '"b', "no-store": ""}),
    "9111-5.2-quote-inside": (['a=b"c, d"e, f'], {"a": 'b"c, d"e', "f": ""}),
    "9111-5.2-unknown-is-read": (["foo=bar"], {"foo": "bar"}),
    "9110-5.6.1-empty-members": ([",, ,public,", ""], {"public": ""}),
    "9110-5.6.1-spaces": ([" max-age = 60\t,\tpublic "], {"max-age": "60", "public": ""}),
    "no-name": (["=5, public"], {"public": ""}),
    "nothing": ([], {}),
    "9111-4.2.1-first-counts": (["no-cache=a, no-cache"], {"no-cache": "a"}),
    "9111-4.2.1-smaller-age": (["max-age=60", "max-age=9, max-age=70"], {"max-age": "9"}),
    "9111-4.2.1-unreadable-age-is-smallest": (["max-age=60, max-age=x"], {"max-age": "x"}),
    "9111-4.2.1-smaller-shared-age": (["s-maxage=60, s-maxage=9"], {"s-maxage": "9"}),
    "9111-5.2.1.3-first-min-fresh": (["min-fresh=60, min-fresh=9"], {"min-fresh": "60"}),
}


@pytest.mark.parametrize(("lines", "directives"), CONTROL.values(), ids=list(CONTROL))
def test_cache_control(lines: list[str], directives: dict[str, str]) -> None:
    assert cache_control(lines) == directives


def test_open_quotes_take_no_time() -> None:
    """Each of them might end as far away as the field does."""
    assert len(cache_control(['"' + '\\"' * 500_000])) == 1


SECONDS = {
    "zero": ("0", 0.0),
    "whole": ("60", 60.0),
    "leading-zeros": ("0060", 60.0),
    "spaces": (" 60 ", 60.0),
    "9111-1.2.2-overflow": ("2147483649", MOST_SECONDS),
    "9111-1.2.2-overflow-of-any-length": ("9" * 10_000, MOST_SECONDS),
    "negative": ("-1", None),
    "signed": ("+1", None),
    "fraction": ("1.5", None),
    "empty": ("", None),
    "word": ("soon", None),
    "other-digits": ("٣", None),
    "superscript": ("²", None),
}


@pytest.mark.parametrize(("text", "value"), SECONDS.values(), ids=list(SECONDS))
def test_seconds(text: str, value: float | None) -> None:
    assert seconds(text) == value


CDN, SURROGATE = "CDN-Cache-Control", "Surrogate-Control"
TARGETED: dict[str, tuple[list[tuple[str, str]], dict[str, str] | None]] = {
    "none": ([("Cache-Control", "max-age=1")], None),
    "9213-2.1-directives": ([(CDN, "max-age=60, no-cache")], {"max-age": "60", "no-cache": ""}),
    "9213-2.1-several-lines": ([(CDN, "a"), (CDN.lower(), "b=1")], {"a": "", "b": "1"}),
    "9213-2.1-last-counts": ([(CDN, "max-age=60, a, max-age=70")], {"a": "", "max-age": "70"}),
    "9213-2.1-string-is-no-number": ([(CDN, 'max-age="60"')], {"max-age": '"60"'}),
    "9213-2.1-decimal-is-no-number": ([(CDN, "max-age=60.5")], {"max-age": "60.5"}),
    "9213-2.1-field-names": ([(CDN, 'private="a, b", c')], {"private": '"a, b"', "c": ""}),
    "9213-2.1-said-not-to": ([(CDN, "no-store=?0")], {}),
    "9213-2.1-said-to": ([(CDN, "no-store=?1")], {"no-store": ""}),
    "9213-2.1-parameters": ([(CDN, "max-age=60;a;b=2, c")], {"max-age": "60", "c": ""}),
    "9213-3.1-any-directive-is-enough": ([(CDN, "none")], {"none": ""}),
    "9213-2.2-first-of-the-list": ([(SURROGATE, "a"), (CDN, "b")], {"b": ""}),
    "9213-2.2-empty": ([(CDN, "")], None),
    "9213-2.2-empty-takes-the-next": ([(SURROGATE, "a"), (CDN, " ")], {"a": ""}),
    "9213-2.2-unreadable-takes-the-next": ([(SURROGATE, "a"), (CDN, "&")], {"a": ""}),
    "9213-2.2-no-argument": ([(CDN, "max-age=")], None),
    "9213-2.2-capitals": ([(CDN, "Max-Age=60")], None),
    "9213-2.2-comma-at-the-end": ([(CDN, "max-age=60,")], None),
    "9213-2.2-two-commas": ([(CDN, "a,,b")], None),
    "9213-2.2-number-of-many-digits": ([(CDN, "max-age=1234567890123456")], None),
    "9213-2.2-open-quote": ([(CDN, 'a="b')], None),
    "9213-2.2-spaces-around-equals": ([(CDN, "max-age = 60")], None),
    "9651-3.3-items": (
        [(CDN, 'a=tok/en:1, b=:YQ==:, c=@-5, d=-7, e=%"f%c3%bc", f="\\"\\\\"')],
        {
            "a": "tok/en:1",
            "b": ":YQ==:",
            "c": "@-5",
            "d": "-7",
            "e": '%"f%c3%bc"',
            "f": '"\\"\\\\"',
        },
    ),
    "9651-3.1.1-inner-list": (
        [(CDN, 'a=("x";p=1  "y");q, b=(), c')],
        {"a": '("x";p=1  "y")', "b": "()", "c": ""},
    ),
    "surrogate": (
        [(SURROGATE, 'max-age=60, content="ESI/1.0"')],
        {"max-age": "60", "content": '"ESI/1.0"'},
    ),
    "surrogate-for-another": ([(SURROGATE, "max-age=60, max-age=9;far")], {"max-age": "60"}),
    "surrogate-for-others-alone": ([(SURROGATE, "max-age=9;far")], None),
}


@pytest.mark.parametrize(("fields", "directives"), TARGETED.values(), ids=list(TARGETED))
def test_targeted(fields: list[tuple[str, str]], directives: dict[str, str] | None) -> None:
    assert targeted(fields) == directives


DAY = calendar.timegm((1994, 11, 6, 8, 49, 37))
DATES = {
    "9110-5.6.7-fixdate": ("Sun, 06 Nov 1994 08:49:37 GMT", DAY),
    "9110-5.6.7-rfc850": ("Sunday, 06-Nov-94 08:49:37 GMT", DAY),
    "9110-5.6.7-asctime": ("Sun Nov  6 08:49:37 1994", DAY),
    "9110-5.6.7-asctime-two-digits": ("Wed Nov 16 08:49:37 1994", DAY + 10 * 86400),
    "9111-4.2-any-case": ("sun, 06 NOV 1994 08:49:37 gmt", DAY),
    "spaces-around": (" Sun, 06 Nov 1994 08:49:37 GMT ", DAY),
    "leap-second": ("Sat, 31 Dec 2016 23:59:60 GMT", calendar.timegm((2016, 12, 31, 23, 59, 59))),
    "before-1970": ("Thu, 01 Jan 1959 00:00:00 GMT", calendar.timegm((1959, 1, 1, 0, 0, 0))),
    "9110-5.6.7-fifty-years-ahead": (
        "Friday, 01-Jan-76 00:00:00 GMT",
        calendar.timegm((2076, 1, 1, 0, 0, 0)),
    ),
    "9110-5.6.7-more-is-past": (
        "Saturday, 01-Jan-77 00:00:00 GMT",
        calendar.timegm((1977, 1, 1, 0, 0, 0)),
    ),
    "9111-4.2-other-zone": ("Sun, 06 Nov 1994 08:49:37 EST", None),
    "9111-4.2-utc": ("Sun, 06 Nov 1994 08:49:37 UTC", None),
    "numeric-zone": ("Sun, 06 Nov 1994 08:49:37 +0000", None),
    "no-zone": ("Sun, 06 Nov 1994 08:49:37", None),
    "9111-5.3-zero": ("0", None),
    "empty": ("", None),
    "no-such-day": ("Sun, 31 Feb 1994 08:49:37 GMT", None),
    "no-such-month": ("Sun, 06 Foo 1994 08:49:37 GMT", None),
    "no-such-hour": ("Sun, 06 Nov 1994 24:49:37 GMT", None),
    "no-such-second": ("Sun, 06 Nov 1994 08:49:61 GMT", None),
    "year-zero": ("Sun, 06 Nov 0000 08:49:37 GMT", None),
    "two": ("Sun, 06 Nov 1994 08:49:37 GMT,Sun, 06 Nov 1994 08:49:37 GMT", None),
    "other-digits": ("Sun, ٠٦ Nov 1994 08:49:37 GMT", None),
}


@pytest.mark.parametrize(("text", "at"), DATES.values(), ids=list(DATES))
def test_dates(text: str, at: float | None) -> None:
    assert http_date(text, now=calendar.timegm((2026, 6, 1, 0, 0, 0))) == at


def test_short_years_are_counted_from_the_clock() -> None:
    assert http_date("Sunday, 06-Nov-94 08:49:37 GMT") == DAY


#: Text that is nearly a list of directives.
LISTS = st.text("ab-=,\"\\ ;?(1:%@.'\t~é\x00")


@given(LISTS | st.text())
def test_nothing_is_too_bad_to_read(text: str) -> None:
    assert all(name == name.lower().strip() != "" for name in cache_control([text, text]))
    for name in (CDN, SURROGATE):
        found = targeted([(name, text)])
        assert found is None or all(member.isascii() for member in found)
    assert (seconds(text) or 0.0) >= 0
    assert http_date(text) is None or len(text) > 20


@given(st.dictionaries(st.from_regex(r"[a-z][a-z-]{0,5}", fullmatch=True), st.text("ab ,=;09")))
def test_what_is_written_as_it_should_be_is_read_as_it_was(said: dict[str, str]) -> None:
    line = ", ".join(f'{name}="{argument}"' for name, argument in said.items())
    assert cache_control([line]) == said
    quoted = {name: f'"{argument}"' for name, argument in said.items()}
    assert targeted([(CDN, line)]) == (quoted or None)
