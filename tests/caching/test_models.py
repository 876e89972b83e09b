"""A cache against two models of it: ten lines of RFC 9111, and itself without short cuts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import Cache
from gateway.testing_stub import Answer as Answered
from tests.caching.callers import CALLERS, Who
from tests.caching.running import Clock, stopped_clock
from tests.support.wsgi import Answer, call, make_app, open_service

PREFIX = "/things"


@pytest.fixture(scope="module")
def clock() -> Iterator[Clock]:
    """The time of all caches here."""
    with stopped_clock() as stopped:
        yield stopped


# -- freshness: answers for everybody that differ by nothing ------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """What a backend says of an answer's time. Seconds; None: nothing. expires, date: from now."""

    max_age: int | None
    s_maxage: int | None
    expires: int | None
    date: int | None
    age: int | None
    delay: int

    def fields(self, now: float) -> dict[str, str]:
        """As fields of an answer that is made now."""
        lengths = {"max-age": self.max_age, "s-maxage": self.s_maxage}
        control = [f"{name}={value}" for name, value in lengths.items() if value is not None]
        found = {"Cache-Control": ", ".join(control)} if control else {}
        for name, value in (("Expires", self.expires), ("Date", self.date)):
            if value is not None:
                found[name] = formatdate(now + value, usegmt=True)
        return found | ({} if self.age is None else {"Age": str(self.age)})

    def is_fresh(self, since: int) -> bool:
        """RFC 9111 sections 4.2, 4.2.1 and 4.2.3, so long after it came."""
        made = 0 if self.date is None else self.date
        if self.s_maxage is not None:
            lifetime = self.s_maxage
        elif self.max_age is not None:
            lifetime = self.max_age
        else:
            lifetime = 0 if self.expires is None else self.expires - made
        apparent_age = max(0, -made)
        corrected_age_value = (self.age or 0) + self.delay
        return lifetime > max(apparent_age, corrected_age_value) + since


SECONDS = st.none() | st.integers(0, 90)
TOLD = st.builds(
    Told,
    SECONDS,
    st.none() | SECONDS,
    st.none() | st.integers(-90, 90),
    st.none() | st.integers(-60, 60),
    st.none() | st.integers(0, 60),
    st.sampled_from([0, 0, 0, 5]),
)


@dataclass(slots=True)
class Timed:
    """A backend that takes its time and says what it is told to say."""

    clock: Clock
    told: Told
    asked: int = 0

    def __call__(self, *_asked: object) -> Answered:
        self.asked += 1
        self.clock.now += self.told.delay
        return 200, self.told.fields(self.clock.now) | {"Content-Length": "2"}, b"ok"


@pytest.fixture(scope="module")
def timed(clock: Clock) -> tuple[Flask, Timed]:
    """A cache in front of such a backend."""
    backend = Timed(clock, Told(None, None, None, None, None, 0))
    service, _ = open_service(prefix=PREFIX, backend=backend, policies=[Cache()])
    return make_app(service), backend


PATHS = itertools.count()


@settings(max_examples=150, deadline=None)
@given(told=TOLD, waits=st.lists(st.integers(0, 40), min_size=1, max_size=8))
def test_what_is_fresh_is_used_and_what_is_not_is_asked_for(
    timed: tuple[Flask, Timed], told: Told, waits: list[int]
) -> None:
    app, backend = timed
    path, backend.told = f"{PREFIX}/{next(PATHS)}", told
    call(app, path)
    came = backend.clock.now
    for wait in waits:
        backend.clock.now += wait
        fresh, before = told.is_fresh(int(backend.clock.now - came)), backend.asked
        answer = call(app, path)
        assert (answer.header("X-Cache") == ["HIT"]) == fresh, (told, answer)
        assert backend.asked == before + (not fresh)
        if not fresh:
            came = backend.clock.now


# -- the short way ------------------------------------------------------------------------------


@dataclass(slots=True)
class Twins:
    """Two applications alike, of which one never answers early: it has a hook of its own."""

    clock: Clock
    apps: tuple[Flask, Flask]
    fields: dict[str, str]

    def ask(self, path: str, method: str, fields: tuple[tuple[str, str], ...]) -> None:
        """Ask both for the same; they must answer alike."""
        early, late = (_told(call(app, path, method, fields)) for app in self.apps)
        assert early == late
        self.clock.catch_up()


def _told(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    number = answer.header("X-Request-ID")[0]
    own = [field for field in answer.headers if field[0] != "X-Request-ID"]
    return answer.status, own, answer.body.replace(number.encode(), b"")


def _twins(clock: Clock, **options: Any) -> Twins:
    said: dict[str, str] = {}

    def backend(method: str, *_asked: object) -> Answered:
        fields = said | {"Content-Length": "10"}
        return 200, fields, b"" if method == "HEAD" else b"0123456789"

    def app() -> Flask:
        service, _ = open_service(prefix=PREFIX, backend=backend, policies=[Cache(**options)])
        return make_app(service)

    apps = app(), app()
    apps[1].after_request(lambda response: response)
    return Twins(clock, apps, said)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"client_no_cache": True},
    {"cookies": ["sid"]},
    {"shared": True},
    {"ttl": 20, "vary": ["Accept-Language", "X-User-ID"]},
    {"query": ["a"], "sort_query": True},
]


@pytest.fixture(scope="module")
def pairs(clock: Clock) -> list[Twins]:
    """Twins for each of the options."""
    return [_twins(clock, **options) for options in OPTIONS]


FIELDS = st.sampled_from(
    [
        *[()] * 8,
        (("Accept-Language", "en"),),
        (("Accept-Language", "de"), ("Accept-Encoding", "br, gzip")),
        (("Accept-Encoding", "gzip"),),
        (("Connection", "accept-language"), ("Accept-Language", "en")),
        (("Connection", "keep-alive"),),
        (("If-None-Match", '"a"'),),
        (("If-None-Match", '"b"'), ("Range", "bytes=2-4")),
        (("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),),
        (("Range", "bytes=2-4"),),
        (("Range", "bytes=2-4"), ("If-Range", '"a"')),
        (("Range", "bytes=99-"),),
        (("If-Match", '"a"'),),
        (("Cache-Control", "no-cache"),),
        (("Cache-Control", "max-age=3, only-if-cached"),),
        (("Pragma", "no-cache"),),
        (("X-User-ID", "ada"),),
        (("Via", "1.1 other"),),
    ]
)
ASKS = st.tuples(
    st.sampled_from(["", "", "", "/x", "/%7Ex", "/~x", "?a=1&b=2", "?b=3&a=1", "/x/../x", "//x"]),
    st.sampled_from(["GET", "GET", "GET", "GET", "HEAD", "PUT"]),
    st.sampled_from(CALLERS[:3]),
    FIELDS,
    st.sampled_from([0, 0, 0, 4, 30]),
)


@settings(max_examples=80, deadline=None)
@given(
    place=st.integers(0, len(OPTIONS) - 1),
    vary=st.sampled_from(["", "", "Accept-Language", "X-User-ID", "Accept-Encoding, Cookie"]),
    control=st.sampled_from(["max-age=10", "max-age=60", "max-age=10, stale-while-revalidate=60"]),
    asks=st.lists(ASKS, min_size=5, max_size=20),
)
def test_the_short_way_answers_as_the_long_one(
    pairs: list[Twins],
    place: int,
    vary: str,
    control: str,
    asks: list[tuple[str, str, Who, tuple[tuple[str, str], ...], int]],
) -> None:
    twins, base = pairs[place], f"{PREFIX}/{next(PATHS)}"
    twins.fields.clear()
    twins.fields.update(
        {"Cache-Control": control, "ETag": '"a"'} | ({"Vary": vary} if vary else {})
    )
    for path, method, who, fields, wait in asks:
        twins.clock.now += wait
        twins.ask(base + path, method, (*who.fields, *fields))


def test_the_short_way_is_taken(pairs: list[Twins], monkeypatch: pytest.MonkeyPatch) -> None:
    early, late = pairs[0].apps
    pairs[0].fields.clear()
    pairs[0].fields.update({"Cache-Control": "max-age=60"})
    call(early, f"{PREFIX}/short")
    call(late, f"{PREFIX}/short")
    for app, status in ((early, 200), (late, 500)):
        monkeypatch.setattr(app, "full_dispatch_request", lambda: 1 / 0)
        assert call(app, f"{PREFIX}/short").status == status
