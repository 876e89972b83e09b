"""What the operator says of answers, beside what the backend says."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from gateway.caching.freshness import Rules
from gateway.exchange import Headers
from tests.caching.told import OVERRIDES, control, judged

RULED: dict[str, tuple[Headers, int, Rules, dict[str, Any]]] = {
    "ttl-alone": ([], 200, Rules(ttl=300), {"keep": True, "lifetime": 300}),
    "ttl-is-a-floor": (control("max-age=60"), 200, Rules(ttl=300), {"lifetime": 300}),
    "ttl-is-no-ceiling": (control("max-age=600"), 200, Rules(ttl=300), {"lifetime": 600}),
    "ttl-over-invalid-expires": ([("Expires", "0")], 200, Rules(ttl=300), {"lifetime": 300}),
    "ttl-counts-from-here": ([("Age", "500")], 200, Rules(ttl=300), {"lifetime": 800, "age": 500}),
    "ttl-of-nothing": ([], 200, Rules(ttl=0), {"keep": False, "why": "stale"}),
    "ttl-does-not-beat-no-store": (
        control("no-store"),
        200,
        Rules(ttl=300),
        {"keep": False, "why": "no-store"},
    ),
    "ttl-does-not-beat-private": (
        control("private"),
        200,
        Rules(ttl=300),
        {"keep": False, "why": "private"},
    ),
    "ttl-does-not-beat-no-cache": (
        control("no-cache"),
        200,
        Rules(ttl=300),
        {"keep": True, "lifetime": 300, "always_ask": True},
    ),
    "ttl-for-other-statuses": ([], 302, Rules(ttl=300), {"keep": False, "why": "status"}),
    "ttl-for-named-statuses": (
        [],
        302,
        Rules(ttl=300, statuses=frozenset({302})),
        {"keep": True, "lifetime": 300},
    ),
    "negative-ttl": ([], 404, Rules(negative_ttl=10), {"keep": True, "lifetime": 10}),
    "negative-ttl-of-other-statuses": ([], 500, Rules(negative_ttl=10), {"keep": False}),
    "negative-ttl-is-not-for-200": ([], 200, Rules(negative_ttl=10), {"keep": False}),
    "ttl-is-not-for-404": ([], 404, Rules(ttl=300), {"keep": False}),
    "longer-of-both-ttls": (
        [],
        404,
        Rules(ttl=300, negative_ttl=10, statuses=frozenset({404})),
        {"lifetime": 300},
    ),
    "override-no-store": (
        control("no-store, max-age=60"),
        200,
        Rules(override=frozenset({"no-store"})),
        {"keep": True, "lifetime": 60},
    ),
    "override-private": (
        control("private, max-age=60"),
        200,
        Rules(override=frozenset({"private"})),
        {"keep": True},
    ),
    "override-one-of-two": (
        control("private, no-store"),
        200,
        Rules(override=frozenset({"private"})),
        {"keep": False, "why": "no-store"},
    ),
    "override-no-cache": (
        control("no-cache, max-age=60"),
        200,
        Rules(override=frozenset({"no-cache"}), if_error=60),
        {"keep": True, "always_ask": False, "if_error": 60},
    ),
    "override-set-cookie": (
        [*control("max-age=60"), ("Set-Cookie", "a=1")],
        200,
        Rules(override=frozenset({"set-cookie"})),
        {"keep": True},
    ),
    "override-is-no-permission": (
        [*control("no-store"), ("Vary", "*")],
        200,
        Rules(override=OVERRIDES),
        {"keep": False, "why": "vary"},
    ),
    "max-bytes": (
        [*control("max-age=60"), ("Content-Length", "2")],
        200,
        Rules(max_bytes=1),
        {"keep": False, "why": "length", "lasting": True},
    ),
}


@pytest.mark.parametrize(
    ("headers", "status", "rules", "expected"), RULED.values(), ids=list(RULED)
)
def test_rules(headers: Headers, status: int, rules: Rules, expected: dict[str, Any]) -> None:
    found = judged(headers, status, rules=rules)
    assert {name: getattr(found, name) for name in expected} == expected


STALE_USES: dict[str, tuple[str, Rules, tuple[float, float]]] = {
    "nothing-said": ("max-age=60", Rules(), (0, 0)),
    "5861-3-while-revalidating": ("max-age=60, stale-while-revalidate=30", Rules(), (30, 0)),
    "5861-4-if-error": ("max-age=60, stale-if-error=90", Rules(), (0, 90)),
    "5861-unreadable": ("stale-while-revalidate, stale-if-error=x", Rules(), (0, 0)),
    "operator": ("max-age=60", Rules(while_revalidating=5, if_error=7), (5, 7)),
    "operator-longer": ("stale-if-error=5", Rules(if_error=7), (0, 7)),
    "operator-shorter": ("stale-if-error=9", Rules(if_error=7), (0, 9)),
    "9111-5.2.2.2-must-revalidate": (
        "must-revalidate, stale-while-revalidate=30, stale-if-error=90",
        Rules(while_revalidating=5, if_error=7),
        (0, 0),
    ),
    "9111-5.2.2.8-proxy-revalidate": ("proxy-revalidate, stale-if-error=90", Rules(), (0, 0)),
    "9111-5.2.2.10-s-maxage-is-proxy-revalidate": (
        "s-maxage=60, stale-while-revalidate=30",
        Rules(if_error=7),
        (0, 0),
    ),
    "9111-5.2.2.4-no-cache": ("no-cache, stale-if-error=90", Rules(if_error=7), (0, 0)),
    "override-must-revalidate": (
        "must-revalidate, proxy-revalidate, s-maxage=60, stale-while-revalidate=30",
        Rules(if_error=7, override=frozenset({"must-revalidate"})),
        (30, 7),
    ),
}


@pytest.mark.parametrize(("said", "rules", "uses"), STALE_USES.values(), ids=list(STALE_USES))
def test_uses_after_its_time(said: str, rules: Rules, uses: tuple[float, float]) -> None:
    found = judged(control(said), rules=rules)
    assert (found.while_revalidating, found.if_error) == uses


def test_what_may_only_be_used_after_its_time_is_kept() -> None:
    assert judged([("Cache-Control", "max-age=0, stale-while-revalidate=9")]).keep
    assert judged([("Cache-Control", "max-age=0, stale-if-error=9")]).keep


def test_rules_say_nothing_by_themselves() -> None:
    said = {one.name: getattr(Rules(), one.name) for one in fields(Rules)}
    assert not any(said[name] for name in said if name not in ("statuses", "max_bytes"))
