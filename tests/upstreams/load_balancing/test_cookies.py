"""One cookie found, and taken out."""

from __future__ import annotations

import pytest

from gateway.exchange import Headers
from gateway.upstreams.load_balancing.cookies import cookie_value, without_cookie


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["gw=1"], "1"),
        (["a=1; gw=2; b=3"], "2"),
        (["a=1;gw=2"], "2"),
        (["a=1; gw = 2 "], "2"),
        (["a=1", "gw=2"], "2"),
        (["gw=1; gw=2", "gw=3"], "1"),
        (["gw=a=b"], "a=b"),
        (["xgw=1; gwx=2; a=gw"], ""),
        (["gw"], ""),
        (["GW=1"], ""),
        ([""], ""),
        ([], ""),
    ],
)
def test_the_first_value_is_found(values: list[str], found: str) -> None:
    assert cookie_value([("X", "gw=9"), *(("cOOKIE", value) for value in values)], "gw") == found


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ("gw=1", None),
        ("gw=1;", None),
        ("gw=1; gw=2", None),
        ("gw=1; a=2", "a=2"),
        ("gw=1;a=2;", "a=2;"),
        ("a=1; gw=2", "a=1"),
        ("a=1; gw=2; b=3", "a=1; b=3"),
        ('a=1;  b="x y";gw=2;c=é=; d', 'a=1;  b="x y";c=é=; d'),
        ("gw=1; a=1; gw=2;  b=3", "a=1;  b=3"),
        (" a=1; gw=2", " a=1"),
    ],
)
def test_only_that_pair_is_taken_out(value: str, left: str | None) -> None:
    before: Headers = [("Accept", "gw=1"), ("Cookie", value), ("X-Last", " y ")]
    kept = [] if left is None else [("Cookie", left)]
    after = [before[0], *kept, before[2]]
    assert without_cookie(before, "gw") == after
    assert before[1] == ("Cookie", value)


@pytest.mark.parametrize("value", ["a=1; xgw=2;; b", "gwx=1;", " ;", ""])
def test_other_cookies_are_left_as_they_are(value: str) -> None:
    headers: Headers = [("Cookie", value)]
    assert without_cookie(headers, "gw") is headers


def test_each_field_loses_its_own() -> None:
    headers: Headers = [("Cookie", "a=1"), ("cookie", "gw=2"), ("COOKIE", "gw=3; b=4")]
    assert without_cookie(headers, "gw") == [("Cookie", "a=1"), ("COOKIE", "b=4")]
