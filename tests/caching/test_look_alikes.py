"""Requests that look alike are apart: nothing that is crafted reaches what is kept of another."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway import Cache
from tests.support.wsgi import call, make_app, open_service


@dataclass(frozen=True, slots=True)
class Pair:
    """Two requests that a careless key would take for one, after the first one's answer is kept."""

    name: str
    first: tuple[str, tuple[tuple[str, str], ...]]
    second: tuple[str, tuple[tuple[str, str], ...]]
    vary: str | None = None
    options: tuple[tuple[str, Any], ...] = ()

    def __repr__(self) -> str:
        return self.name


def lang(value: str, other: str = "") -> tuple[tuple[str, str], ...]:
    """Fields that answers differ by."""
    return (("X-One", value), ("X-Two", other)) if other else (("X-One", value),)


PAIRS = [
    Pair("question-mark", ("/a%3Fb=1", ()), ("/a?b=1", ())),
    Pair("fragment", ("/a%23b", ()), ("/a", ())),
    Pair("percent-twice", ("/a%2541", ()), ("/aA", ())),
    Pair("percent-thrice", ("/a%252541", ()), ("/a%2541", ())),
    Pair("semicolon", ("/a;x=1", ()), ("/a", ())),
    Pair("encoded-semicolon", ("/a%3Bx", ()), ("/a;x", ())),
    Pair("plus", ("/a?b=%2B", ()), ("/a?b=+", ())),
    Pair("plus-is-space", ("/a?b=+", ()), ("/a?b=%20", ())),
    Pair("ampersand", ("/a?b=1%26c=2", ()), ("/a?b=1&c=2", ())),
    Pair("equals", ("/a?b%3D1", ()), ("/a?b=1", ())),
    Pair("no-value", ("/a?b", ()), ("/a?b=", ())),
    Pair("no-query", ("/a?", ()), ("/a?x", ())),
    Pair("second-question-mark", ("/a?b?c", ()), ("/a?b", ())),
    Pair("latin-1", ("/%E4", ()), ("/%C3%A4", ())),
    Pair("overlong", ("/%C1%81", ()), ("/A", ())),
    Pair("case", ("/a?B=1", ()), ("/a?b=1", ())),
    Pair("query-in-path", ("/a/?b", ()), ("/a?/b", ())),
    Pair("values-joined", ("/a", lang("1", "23")), ("/a", lang("12", "3")), "X-One, X-Two"),
    Pair("values-moved", ("/a", lang("1")), ("/a", (("X-Two", "1"),)), "X-One, X-Two"),
    Pair("values-with-lengths", ("/a", lang("1:x", "y")), ("/a", lang("1", "x1:y")),
         "X-One, X-Two"),
    Pair("values-with-name", ("/a", lang("5:x-two1:y")), ("/a", lang("", "y")), "X-One, X-Two"),
    Pair("value-quoted-comma", ("/a", lang('"a,b"')), ("/a", lang('"a, b"')), "X-One"),
    Pair("value-case", ("/a", lang("A")), ("/a", lang("a")), "X-One"),
    Pair("value-spaces", ("/a", lang("a b")), ("/a", lang("a  b")), "X-One"),
    Pair("option-values", ("/a", lang("1", "23")), ("/a", lang("12", "3")), None,
         (("vary", ("X-One", "X-Two")),)),
    Pair("host-in-path", ("/a", (("Host", "x.example"),)), ("/a", (("Host", "x.exampl"),))),
    Pair("cookie-of-name", ("/a", (("Cookie", "sid=1; x=2"),)), ("/a", (("Cookie", "sid=1"),))),
    Pair("cookie-chosen-twice", ("/a", (("Cookie", "sid=1; sid=2"),)),
         ("/a", (("Cookie", "sid=2; sid=1"),)), None, (("cookies", ("sid",)),)),
    Pair("cookie-value-with-name", ("/a", (("Cookie", "x=sid=1"),)),
         ("/a", (("Cookie", "sid=1"),)), None, (("cookies", ("sid",)),)),
    Pair("cookie-value-with-comma", ("/a", (("Cookie", "sid=1,a"),)),
         ("/a", (("Cookie", "sid=1,b"),)), None, (("cookies", ("sid",)),)),
    Pair("cookie-value-quoted", ("/a", (("Cookie", 'sid="1;a"'),)),
         ("/a", (("Cookie", 'sid="1;b"'),)), None, (("cookies", ("sid",)),)),
    Pair("cookie-behind-a-comma", ("/a", (("Cookie", "x=1,sid=1"),)),
         ("/a", (("Cookie", "x=1,sid=2"),)), None, (("cookies", ("sid",)),)),
    Pair("cookies-on-two-lines", ("/a", (("Cookie", "x=1,sid=1"),)),
         ("/a", (("Cookie", "x=1;sid=2"),)), None, (("cookies", ("sid",)),)),
    Pair("credential-in-another-field", ("/a", (("Authorization", "k"),)),
         ("/a", (("X-API-Key", "k"),))),
    Pair("credential-and-cookie", ("/a", (("Authorization", "HTTP_COOKIE=a"),)),
         ("/a", (("Cookie", "a"),))),
    Pair("parameter-cloaked", ("/a?b=1", ()), ("/a?%62=2", ()), None, (("query", ("b",)),)),
    Pair("parameter-behind-semicolon", ("/a?x=1;b=1", ()), ("/a?x=1;b=2", ()), None,
         (("query", ("b",)),)),
    Pair("parameter-in-brackets", ("/a?b[]=1", ()), ("/a?b%5B%5D=2", ()), None,
         (("query", ("b",)),)),
    Pair("parameter-repeated", ("/a?b=1", ()), ("/a?b=1&b=2", ()), None, (("query", ("b",)),)),
    Pair("parameter-as-value", ("/a?b=1", ()), ("/a?c=1", ()), None, (("query", ("b",)),)),
    Pair("parameters-sorted", ("/a?b=1&c=2", ()), ("/a?b=2&c=1", ()), None,
         (("sort_query", True),)),
    Pair("parameter-plus-name", ("/a?b+c=1", ()), ("/a?b+c=2", ()), None, (("query", ("b c",)),)),
]  # fmt: skip


class Counting:
    """A backend that numbers its answers."""

    def __init__(self, vary: str | None = None) -> None:
        self._fields = {"Cache-Control": "max-age=60", "Content-Length": "4"}
        if vary is not None:
            self._fields["Vary"] = vary
        self._numbers = itertools.count()

    def __call__(self, *_asked: object) -> tuple[int, Mapping[str, str], bytes]:
        return 200, self._fields, b"%04d" % next(self._numbers)


@pytest.mark.parametrize("pair", PAIRS, ids=repr)
@pytest.mark.parametrize("turned", [False, True], ids=["", "turned"])
def test_requests_that_look_alike_are_apart(pair: Pair, turned: bool) -> None:
    service, _ = open_service(
        prefix="/x", backend=Counting(pair.vary), policies=[Cache(**dict(pair.options))]
    )
    app = make_app(service)
    asked = (pair.second, pair.first) if turned else (pair.first, pair.second)
    answers = [call(app, "/x" + path, headers=fields) for path, fields in asked]
    assert [answer.status for answer in answers] == [200, 200]
    assert [answer.header("X-Cache") for answer in answers] == [["MISS"], ["MISS"]]
    again = call(app, "/x" + asked[0][0], headers=asked[0][1])
    assert again.header("X-Cache") == ["HIT"]
    assert again.body == answers[0].body == b"0000"


# -- services, versions and what they share -----------------------------------------------------


def test_services_and_versions_are_apart_and_applications_are_not(tmp_path: Path) -> None:
    """Over one store: the same service of another application finds what the first one kept."""
    backend = Counting()

    def app(name: str, **options: Any) -> Any:
        service, _ = open_service(
            name=name, prefix="/x", backend=backend, policies=[Cache(**options)]
        )
        return make_app(service, STATE_URL=f"lmdb://{tmp_path}")

    apps = [app("a"), app("a"), app("b"), app("a", version="2")]
    bodies = [call(one, "/x/a").body for one in apps]
    assert bodies == [b"0000", b"0000", b"0001", b"0002"]


def test_two_services_with_one_backend_path_are_apart() -> None:
    both = [
        open_service(
            name=name,
            prefix=f"/{name}",
            strip_prefix=True,
            backend=lambda _method, url, *_rest: (
                200,
                {"Cache-Control": "max-age=60", "Content-Length": str(len(url))},
                url.encode(),
            ),
            policies=[Cache()],
        )[0]
        for name in ("a", "b")
    ]
    app = make_app(*both)
    bodies = [call(app, f"/{name}/x").body for name in ("a", "b", "a", "b")]
    assert bodies == [b"http://a.internal/x", b"http://b.internal/x"] * 2
