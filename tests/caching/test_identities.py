"""No answer is ever given to somebody it was not made for, whatever backends and clients do."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.requester import Requester
from tests.caching.callers import CALLERS, HOSTS, PREFIX, Ask, Drop, Manner, Who, Worlds
from tests.caching.running import stopped_clock

PLAIN = Manner(200, "max-age=60", None, '"same"', False, None, False, None)
LANGUAGES = [(), (("Accept-Language", "en"),), (("Accept-Language", "de"),)]
FIELDS = st.sampled_from(
    [
        *[()] * 40,
        *LANGUAGES,
        (("Accept-Language", "en"), ("Connection", "accept-language")),
        (("Connection", "authorization, cookie, x-api-key"),),
        (("If-None-Match", '"same"'),),
        (("If-None-Match", "*"),),
        (("If-None-Match", '"other"'), ("Accept-Language", "en")),
        (("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),),
        (("Range", "bytes=4-11"),),
        (("Range", "bytes=-4"), ("If-Range", '"same"')),
        (("Range", "bytes=99-"),),
        (("Cache-Control", "no-cache"),),
        (("Cache-Control", "only-if-cached"),),
        (("Cache-Control", "no-store"),),
        (("Cache-Control", "max-stale"),),
        (("Pragma", "no-cache"),),
    ]
)
METHODS = st.sampled_from(["GET"] * 40 + ["HEAD", "HEAD", "POST", "DELETE", "OPTIONS"])
PATHS = st.sampled_from(["/~a"] * 20 + ["/%7Ea", "/%7ea", "/~a?x=1", "/b"])
DROPS: st.SearchStrategy[Ask | Drop] = st.builds(Drop, st.sampled_from(["all", "prefix"]))


def _steps(cast: list[Who]) -> st.SearchStrategy[list[Ask | Drop]]:
    """Requests of a few, so that the same is asked for more than once."""
    asks: st.SearchStrategy[Ask | Drop] = st.builds(
        Ask,
        st.sampled_from(cast),
        METHODS,
        PATHS,
        st.sampled_from([HOSTS[0]] * 19 + [HOSTS[1]]),
        st.sampled_from(["http"] * 19 + ["https"]),
        FIELDS,
        st.sampled_from([0.0] * 16 + [5.0, 15.0, 40.0]),
    )
    steps = st.sampled_from([asks] * 24 + [DROPS]).flatmap(lambda chosen: chosen)
    return st.lists(steps, min_size=10, max_size=30)


STEPS = st.lists(st.sampled_from(CALLERS), min_size=2, max_size=3, unique=True).flatmap(_steps)
CONTROLS = [
    *["max-age=10", "max-age=60", "public, max-age=60", "s-maxage=60"],
    *["max-age=10, stale-while-revalidate=60", "max-age=10, stale-if-error=60"] * 2,
    *["max-age=60", "max-age=10"] * 4,
    *["max-age=0", "no-cache, max-age=60", "no-cache"],
    *["private, max-age=60", "no-store", None],
    *["must-revalidate, max-age=10", 'private="x-made", max-age=60', "public"],
]
MANNERS = st.builds(
    Manner,
    st.sampled_from([200] * 40 + [404, 301, 500, 503, 599]),
    st.sampled_from(CONTROLS),
    st.sampled_from(
        [None] * 14
        + ["Cookie", "Authorization", "*", "Accept-Language", "X-User-ID, accept-language"]
    ),
    st.sampled_from(['"same"', '"same"', 'W/"same"', None]),
    st.sampled_from([False] * 6 + [True]),
    st.sampled_from([None] * 14 + ["max-age=60", "no-store", "&&&"]),
    st.booleans(),
    st.sampled_from([None] * 5 + [f"{PREFIX}/0/b", "http://other.example/"]),
)
OPTIONS: list[dict[str, Any]] = [
    {},
    {"ttl": 20},
    {"ttl": 20, "cookies": ()},
    {"cookies": ("sid",)},
    {"vary": ("Accept-Language",), "negative_ttl": 20, "client_no_cache": True},
    {"ttl": 10, "stale_while_revalidate": 60, "cookies": ("sid",), "client_no_cache": True},
    {"ttl": 10, "stale_if_error": 60, "collapse": 0},
    {"override": ("private", "no-store", "no-cache", "must-revalidate"), "ttl": 20},
    {"override": ("set-cookie",), "ttl": 20, "sort_query": True},
]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """Where the examples happen."""
    with stopped_clock() as clock:
        yield Worlds(clock, tmp_path_factory.mktemp("identities"))


@settings(max_examples=150, deadline=None)
@given(
    store=st.sampled_from(["memory", "memory", "lmdb"]),
    options=st.sampled_from(OPTIONS),
    manners=st.lists(MANNERS, min_size=1, max_size=4),
    steps=STEPS,
)
def test_every_answer_was_made_for_who_gets_it(
    worlds: Worlds,
    store: str,
    options: dict[str, Any],
    manners: list[Manner],
    steps: list[Ask | Drop],
) -> None:
    world = worlds.new(store, itertools.cycle(manners), **options)
    for moment, one in enumerate(steps):
        world.do(moment, one)


@pytest.mark.parametrize("who", ["bob", "session 1", "key 1", "digest 1", "nobody"])
def test_what_is_declared_shared_is_given_to_others(worlds: Worlds, who: str) -> None:
    other = next(one for one in CALLERS if one.name == who)
    world = worlds.new("memory", itertools.repeat(PLAIN), shared=True)
    world.do(0, Ask(CALLERS[1]))
    with pytest.raises(AssertionError):
        world.do(1, Ask(other))


@pytest.mark.parametrize("who", ["bob", "session 1", "key 1", "digest 1"])
def test_the_check_sees_it_where_callers_are_not_told_apart(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    monkeypatch.setattr(Requester, "caller", lambda *_: "")
    other = next(one for one in CALLERS if one.name == who)
    world = worlds.new("memory", itertools.repeat(PLAIN))
    world.do(0, Ask(CALLERS[1]))
    with pytest.raises(AssertionError):
        world.do(1, Ask(other))
