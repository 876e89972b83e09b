"""What requests want of kept answers, and how those may then be used."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.caching.entry import Entry
from gateway.caching.freshness import FAILED, NOTHING, Standing, Wants, standing, wants
from gateway.exchange import Exchange, Headers
from gateway.requester import Requester
from tests.caching.told import NOW
from tests.support.outline import outline

WANTED: dict[str, tuple[Headers, Wants]] = {
    "9111-5.2.1-nothing": ([("Accept", "*/*")], NOTHING),
    "9111-5.2.1-unknown": ([("Cache-Control", "foo")], NOTHING),
    "9111-5.2.1.1-max-age": ([("Cache-Control", "max-age=60")], Wants(max_age=60)),
    "9111-5.2.1.1-unreadable": ([("Cache-Control", "max-age=x")], NOTHING),
    "9111-5.2.1.2-max-stale": ([("Cache-Control", "max-stale=60")], Wants(max_stale=60)),
    "9111-5.2.1.2-any-age": ([("Cache-Control", "max-stale")], Wants(max_stale=math.inf)),
    "9111-5.2.1.2-unreadable": ([("Cache-Control", "max-stale=x")], NOTHING),
    "9111-5.2.1.3-min-fresh": ([("Cache-Control", "min-fresh=60")], Wants(min_fresh=60)),
    "9111-5.2.1.4-no-cache": ([("Cache-Control", "no-cache")], Wants(no_cache=True)),
    "9111-5.2.1.5-no-store": ([("Cache-Control", "No-Store")], Wants(no_store=True)),
    "9111-5.2.1.7-only-if-cached": (
        [("Cache-Control", "only-if-cached, max-stale=5")],
        Wants(only_if_cached=True, max_stale=5),
    ),
    "9111-5.2-several-lines": (
        [("Cache-Control", "no-store"), ("cache-control", "max-age=0")],
        Wants(no_store=True, max_age=0),
    ),
    "9111-5.4-pragma": ([("Pragma", "No-Cache")], Wants(no_cache=True)),
    "9111-5.4-another-pragma": ([("Pragma", "foo")], NOTHING),
    "9111-5.4-pragma-beside-cache-control": (
        [("Pragma", "no-cache"), ("Cache-Control", "max-age=5")],
        Wants(max_age=5),
    ),
}


@pytest.mark.parametrize(("headers", "wanted"), WANTED.values(), ids=list(WANTED))
def test_wants(headers: Headers, wanted: Wants) -> None:
    assert wants(outline(headers=headers)) == wanted


def test_a_request_that_wants_nothing_costs_nothing() -> None:
    assert wants(outline()) is NOTHING


@dataclass(frozen=True, slots=True)
class Unsure:
    """A request of which the fields named are not known yet."""

    unknown: frozenset[str]
    exchange: Exchange
    method: str = "GET"
    target: str = "/"
    requester: Requester | None = None
    differs: tuple[str, ...] = ()

    def field(self, name: str) -> str | None:
        """As exchange.Asked."""
        return None if name in self.unknown else ""


@pytest.mark.parametrize("name", ["cache-control", "pragma"])
def test_where_nothing_is_known_nothing_will_do(name: str) -> None:
    asked = Unsure(frozenset({name}), Exchange("a", 0.0))
    assert standing(entry(), NOW, wants(asked)) == "stale"


# -- may it be used -------------------------------------------------------------------------------


def entry(**options: Any) -> Entry:
    """An answer that came now, fresh for a minute."""
    headers = [("Cache-Control", options.pop("said", "max-age=60"))]
    return Entry(200, "OK", headers, b"", **{"at": NOW, "age": 0.0, "lifetime": 60.0, **options})


AFTER = {"while_revalidating": 10.0, "if_error": 30.0}
STANDING: dict[str, tuple[Entry, float, Wants, Standing]] = {
    "9111-4.2-fresh": (entry(), 59.9, NOTHING, "fresh"),
    "9111-4.2-no-more": (entry(), 60, NOTHING, "stale"),
    "9111-4.2.3-old-when-it-came": (entry(age=50.0), 10, NOTHING, "stale"),
    "9111-4.2.3-clock-set-back": (entry(age=50.0), -1000, NOTHING, "stale"),
    "9111-4.2.3-another-clock": (entry(age=50.0), -1, NOTHING, "fresh"),
    "9111-5.2.2.4-no-cache": (entry(always_ask=True, **AFTER), 0, NOTHING, "stale"),
    "9111-5.2.2.4-no-cache-later": (entry(always_ask=True, **AFTER), 65, NOTHING, "stale"),
    "5861-3-begins": (entry(**AFTER), 60, NOTHING, "while_revalidating"),
    "5861-3-ends": (entry(**AFTER), 70, NOTHING, "if_error"),
    "5861-4-ends": (entry(**AFTER), 90, NOTHING, "stale"),
    "9111-5.2.1.1-young-enough": (entry(), 5, Wants(max_age=5), "fresh"),
    "9111-5.2.1.1-too-old": (entry(), 6, Wants(max_age=5), "if_error"),
    "9111-5.2.1.1-zero": (entry(), 0.5, Wants(max_age=0), "if_error"),
    "9111-5.2.1.1-no-stale-one": (entry(**AFTER), 65, Wants(max_age=100), "if_error"),
    "9111-5.2.1.1-no-stale-one-at-all": (entry(), 65, Wants(max_age=100), "stale"),
    "9111-5.2.1.1-and-max-stale": (
        entry(),
        65,
        Wants(max_age=100, max_stale=5),
        "while_revalidating",
    ),
    "9111-5.2.1.1-before-max-stale": (entry(), 65, Wants(max_age=64, max_stale=5), "stale"),
    "9111-5.2.1.2-stale-enough": (entry(), 65, Wants(max_stale=5), "while_revalidating"),
    "9111-5.2.1.2-too-stale": (entry(), 66, Wants(max_stale=5), "stale"),
    "9111-5.2.1.2-too-stale-for-it-alone": (
        entry(**AFTER),
        66,
        Wants(max_stale=5),
        "while_revalidating",
    ),
    "9111-5.2.1.2-any": (entry(), 1e9, Wants(max_stale=math.inf), "while_revalidating"),
    "9111-5.2.1.2-fresh": (entry(), 5, Wants(max_stale=5), "fresh"),
    "9111-5.2.2.2-not-max-stale": (
        entry(said="max-age=60, must-revalidate"),
        65,
        Wants(max_stale=9),
        "stale",
    ),
    "9111-5.2.2.8-not-max-stale": (entry(said="proxy-revalidate"), 65, Wants(max_stale=9), "stale"),
    "9111-5.2.2.10-not-max-stale": (entry(said="s-maxage=60"), 65, Wants(max_stale=9), "stale"),
    "9111-5.2.2.4-not-max-stale": (entry(always_ask=True), 65, Wants(max_stale=9), "stale"),
    "9111-5.2.1.3-fresh-for-long-enough": (entry(), 30, Wants(min_fresh=30), "fresh"),
    "9111-5.2.1.3-not-for-long-enough": (entry(), 30.5, Wants(min_fresh=30), "if_error"),
    "9111-5.2.1.3-stale": (entry(**AFTER), 65, Wants(min_fresh=30), "if_error"),
    "9111-5.2.1.4-no-cache": (entry(**AFTER), 5, Wants(no_cache=True), "stale"),
    "9111-5.2.1.5-no-store-is-no-wish": (entry(), 5, Wants(no_store=True), "fresh"),
    "9111-5.2.1.7-only-if-cached": (entry(), 5, Wants(only_if_cached=True), "fresh"),
    "9111-5.2.1.7-after-its-time": (
        entry(**AFTER),
        65,
        Wants(only_if_cached=True),
        "while_revalidating",
    ),
}


@pytest.mark.parametrize(
    ("kept", "later", "asked", "stands"), STANDING.values(), ids=list(STANDING)
)
def test_standing(kept: Entry, later: float, asked: Wants, stands: Standing) -> None:
    assert standing(kept, NOW + later, asked) == stands


def test_targeted_directives_count_for_max_stale_too() -> None:
    """RFC 9213 section 2.1."""
    headers = [("Cache-Control", "max-age=5"), ("CDN-Cache-Control", "s-maxage=60")]
    kept = Entry(200, "", headers, b"", at=NOW, age=0.0, lifetime=60.0)
    assert standing(kept, NOW + 61, Wants(max_stale=9)) == "stale"


def test_errors_by_which_older_answers_may_be_used() -> None:
    """RFC 5861 section 4."""
    assert sorted(FAILED) == [500, 502, 503, 504]


def test_a_clock_that_is_set_back_keeps_nothing_fresh_for_longer() -> None:
    """Not until it shows that time again."""
    kept = Entry(200, "", [], b"", at=NOW, age=5.0, lifetime=60.0)
    assert standing(kept, NOW - 3600) == standing(kept, NOW - 3600, Wants(max_age=60)) == "stale"
    assert (kept.age_at(NOW - 3600), kept.age_at(NOW - 1)) == (3605.0, 6.0)
