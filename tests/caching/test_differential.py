"""With caches and without them everybody is answered the same: among transforms, versions, views,
legs, and services that hand requests on to each other."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from flask import Flask, Response
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import (
    Cache,
    Fallback,
    Frontend,
    Policy,
    Service,
    Split,
    Version,
    Versions,
    gather,
    public,
    with_policies,
)
from gateway.testing_stub import Answer as Answered
from gateway.testing_stub import StubTransport
from gateway.transforms import Query, RequestHeaders, ResponseJSON, StandardHeaders
from tests.support.wsgi import Answer, Pairs, call, make_app, token

#: What the backends look at; they say so of what is the client's own.
LOOKED_AT = ("x-tenant", "x-user-id", "x-channel", "x-item", "x-leg", "x-kind", "accept-language")


@dataclass
class Backends:
    """They answer with what they were asked, and how often that was changed: a function of what
    they look at, so that whatever else comes was made of another request."""

    changed: Counter[str] = field(default_factory=Counter)

    def __call__(self, method: str, url: str, headers: Mapping[str, str], _body: bytes) -> Answered:
        place = url.partition("?")[0].replace("/two/", "/api/users/")  # v2 of the same
        if method == "POST":
            self.changed[place] += 1
        fields = {name.lower(): value for name, value in headers.items()}
        told: list[Any] = [url, self.changed[place], *(fields.get(name) for name in LOOKED_AT)]
        if not url.startswith("http://items"):  # which are the same for everybody
            cookies = fields.get("cookie", "").split("; ")
            told.append([one for one in cookies if one.startswith("sid=")])
        data = orjson.dumps({"told": told, "secret": 1})
        answered = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(data))),
            ("Cache-Control", "max-age=600"),
            ("Vary", "Accept-Language"),
            ("X-Request-ID", "the-backend's"),
        ]
        if origin := fields.get("origin"):
            answered.append(("Access-Control-Allow-Origin", origin))
        return 200, answered, data


def build(backends: Backends, *, caching: bool) -> Flask:
    """A gateway with all of them; without caching, the same less the caches."""
    stub = StubTransport(backends)

    def kept(**options: Any) -> list[Policy]:
        return [Cache(**options)] if caching else []

    def service(name: str, prefix: str | None, policies: Sequence[Policy], **more: Any) -> Service:
        more = {"upstream": f"http://{name}.internal", "session": stub.session(), **more}
        return public(Service(name, __name__, url_prefix=prefix, policies=policies, **more))

    tenant = RequestHeaders(
        set={"X-Tenant": "{identity.claims.tenant}"}, rename={"X-Sort": "X-Kind"}
    )
    users = service(
        "users",
        "/api/users",
        [StandardHeaders(), tenant, Query(remove=["utm"]), *kept(cookies=["sid"])],
        versions=Versions(
            Version("v1", policies=[ResponseJSON(deny=["secret"])]),
            Version("v2", policies=[Split("users-v1", 0, force_header="X-Old")], prefix="/two"),
            default="v1",
            path="/api/{version}/users",
        ),
    )
    items = service("items", "/items", kept(shared=True), identity="none")
    items.get("/of/<name>")(with_policies(RequestHeaders(set={"X-Item": "{route.name}"}))(
        lambda name: items.forward()
    ))  # fmt: skip
    split = Split("next", percent=0, force_header="X-Next")
    orders = [
        service(
            name,
            "/orders",
            [RequestHeaders(set={"X-Channel": name}), split, Fallback(stale=True), *kept()],
            headers=headers,
        )
        for name, headers in (("app", {"X-App": "1"}), ("web", None))
    ]
    following = service("next", None, kept())
    pages = Frontend("pages", __name__, url_prefix="/pages", uses=[users, items])

    @pages.get("/<name>/<path:number>")
    def page(name: str, number: str) -> Response:
        cache = kept(ttl=600)[0] if caching else None
        return gather(
            user=users.fetch(f"/{number}"),
            newest=users.fetch(f"/{number}", version="v2", cache=cache),
            item=items.fetch(f"/of/{number}", cache=cache),
            named=items.fetch(f"/{number}", headers={"X-Leg": name}),
        ).respond()

    @pages.post("/<name>/<path:number>")
    def change(name: str, number: str) -> Response:
        return gather(user=users.fetch(f"/{number}", method="POST")).respond()

    return make_app(users, items, *orders, following, public(pages))


@dataclass(repr=False)
class World:
    """Both gateways, each with backends of its own to which the same happens."""

    apps: tuple[Flask, Flask]
    numbers: Iterator[int] = field(default_factory=itertools.count)
    ids: set[str] = field(default_factory=set)

    def ask(self, path: str, method: str, fields: Pairs) -> list[str]:
        """Ask both; what they say is the same. What the cache did, as X-Cache says it."""
        kept, fresh = (call(app, path, method, fields) for app in self.apps)
        assert (kept.status, kept.body) == (fresh.status, fresh.body), (path, method, fields)
        for name in ("Vary", "API-Version", "X-Service", "Content-Type"):
            assert kept.header(name) == fresh.header(name), (name, path, fields)
        origin = [value for name, value in fields if name == "Origin"]
        assert kept.header("Access-Control-Allow-Origin") in ([], origin)
        self._check_own(kept, fresh)
        return kept.header("X-Cache")

    def _check_own(self, kept: Answer, fresh: Answer) -> None:
        """What is of this answer alone is no earlier one's."""
        (one,) = kept.header("X-Request-ID")
        assert one not in self.ids
        self.ids.add(one)
        assert len(kept.header("X-Response-Time")) == len(fresh.header("X-Response-Time"))


@pytest.fixture(scope="module")
def world() -> World:
    """Where the examples happen, each at paths of its own."""
    return World((build(Backends(), caching=True), build(Backends(), caching=False)))


def bearer(subject: str, tenant: str) -> tuple[str, str]:
    return "Authorization", f"Bearer {token(subject, tenant=tenant)}"


CALLERS: list[Pairs] = [
    *[()] * 3,
    [bearer("ada", "x")],
    [bearer("ada", "y")],
    [bearer("bob", "x")],
    *([("Cookie", value)] for value in ("sid=1; theme=a", "theme=b; sid=1", "sid=1,a", "sid=1,b")),
]
WAYS: list[tuple[str, Pairs]] = [
    *[("/api/users/{}", ())] * 3,
    ("/api/users/{}?utm=mail", ()),
    ("/api/users/{}?page=2", ()),
    ("/api/users/{}", [("API-Version", "2")]),
    ("/api/users/{}", [("API-Version", "2"), ("X-Old", "always")]),
    ("/api/v1/users/{}", ()),
    ("/api/v2/users/{}", ()),
    ("/items/{}", ()),
    ("/items/of/{}", ()),
    *(("/orders/{}", fields) for fields in ((), [("X-App", "1")])),
    *(("/orders/{}", [*more, ("X-Next", "always")]) for more in ((), [("X-App", "1")])),
    *[("/pages/a/{}", ()), ("/pages/b/{}", ()), ("/pages/b/{}", [("X-Old", "always")])] * 2,
]
FIELDS: list[Pairs] = [
    *[()] * 12,
    [("Accept-Language", "de")],
    [("Origin", "https://a.example")],
    [("Origin", "https://b.example")],
    *([("X-Sort", value)] for value in "12"),
]
STEPS = st.tuples(
    st.sampled_from(CALLERS),
    st.sampled_from(WAYS),
    st.sampled_from(FIELDS),
    st.sampled_from(["GET"] * 9 + ["POST"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=6, max_size=16))
def test_caches_change_nothing(
    world: World, steps: list[tuple[Pairs, tuple[str, Pairs], Pairs, str]]
) -> None:
    number = next(world.numbers)
    for who, (path, naming), more, method in steps:
        if method == "POST" and path.startswith("/items/of"):
            continue  # the view takes none
        world.ask(path.format(number), method, [*who, *naming, *more])


def test_caches_are_used(world: World) -> None:
    number = next(world.numbers)
    unused = {
        path
        for path, naming in WAYS
        if world.ask(path.format(number), "GET", naming) != ["HIT"]
        and world.ask(path.format(number), "GET", naming) != ["HIT"]
    }
    assert unused == {"/pages/a/{}", "/pages/b/{}"}  # their legs have them
