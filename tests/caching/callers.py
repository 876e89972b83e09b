"""Callers of a service, a backend that writes down whom each answer was made for, and between them
a cache of which every answer is looked up there.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gateway import Cache
from gateway.caching.directives import cache_control, targeted
from gateway.caching.opening import open_responses
from gateway.caching.store import Purge
from gateway.errors import ConnectFailed
from gateway.testing_stub import Answer as Answered
from tests.caching.running import Clock
from tests.support.wsgi import Answer, call, make_app, open_service, token

PREFIX = "/things"
HOSTS = ("gateway.example", "other.example")
SAFE = ("GET", "HEAD", "OPTIONS")


# -- who asks -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Who:
    """A caller. fields: what it sends. user: whom the gateway then tells the backend."""

    name: str
    fields: tuple[tuple[str, str], ...] = ()
    user: str = ""

    def __repr__(self) -> str:
        return self.name


def _bearer(subject: str, **claims: Any) -> tuple[str, str]:
    return "Authorization", f"Bearer {token(subject, **claims)}"


ADA, BOB = _bearer("ada"), _bearer("bob")
SID_1, SID_2 = ("Cookie", "sid=1"), ("Cookie", "sid=2")
CALLERS = (
    Who("nobody"),
    Who("ada", (ADA,), "ada"),
    Who("ada with a new token", (_bearer("ada", jti="2"),), "ada"),
    Who("ada with more rights", (_bearer("ada", permissions=["admin"]),), "ada"),
    Who("ada with a cookie", (ADA, SID_1), "ada"),
    Who("ada with a key", (ADA, ("X-API-Key", "1")), "ada"),
    Who("bob", (BOB,), "bob"),
    Who("bob with a cookie", (BOB, SID_1), "bob"),
    Who("session 1", (SID_1,)),
    Who("session 2", (SID_2,)),
    Who("session 1 in the dark", (("Cookie", "theme=dark; sid=1"),)),
    Who("only dark", (("Cookie", "theme=dark"),)),
    Who("key 1", (("X-API-Key", "1"),)),
    Who("key 2", (("X-API-Key", "2"),)),
    Who("digest 1", (("Authorization", "Digest 1"),)),
    Who("digest 2", (("Authorization", "Digest 2"),)),
    Who("forged", (("Authorization", "Bearer ada"), ("X-User-ID", "ada"))),
    Who("forged otherwise", (("Authorization", "Bearer bob"), ("X-User-ID", "ada"))),
)

Seen = tuple[str, ...]


def seen(fields: Mapping[str, str], cookies: Collection[str] | None) -> Seen:
    """Whom a backend sees in a request; of tokens that were checked what the gateway tells."""
    user = fields.get("x-user-id", "")
    authorization = fields.get("authorization", "")
    if user and authorization.startswith("Bearer "):
        authorization = "Bearer"
    cookie = fields.get("cookie", "")
    if cookies is not None:
        cookie = ";".join(one for one in cookie.split("; ") if one.split("=")[0] in cookies)
    rights = fields.get("x-user-permissions", "")
    return user, rights, authorization, cookie, fields.get("x-api-key", "")


# -- what is answered ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Manner:
    """How the backend answers once. validates: 304 where the request is conditional."""

    status: int
    control: str | None
    vary: str | None
    etag: str | None
    cookie: bool
    targeted: str | None
    validates: bool
    location: str | None


@dataclass(frozen=True, slots=True)
class Made:
    """An answer, and the request it was made for: `caller` as the client showed it, `fields` as the
    backend got them."""

    manner: Manner
    method: str
    caller: Seen
    place: tuple[str, str, str]
    fields: Mapping[str, str]
    moment: int
    validated: bool = False

    @property
    def vary(self) -> set[str]:
        """The fields it depends on."""
        return {name.strip().lower() for name in (self.manner.vary or "").split(",")} - {""}

    def is_for_one(self, overridden: frozenset[str], told: Sequence[str]) -> bool:
        """Whether nobody else may have it, ever. told: CDN-Cache-Control of what is kept; a 304
        that has none leaves it as it was (RFC 9111 section 3.2)."""
        control = targeted([("CDN-Cache-Control", value) for value in told])
        if control is None:
            control = cache_control([self.manner.control or ""])
        forbidden = {"no-store", "private"} & control.keys()
        if self.manner.cookie:
            forbidden.add("set-cookie")
        return bool(forbidden - overridden) or "*" in self.vary


@dataclass(slots=True)
class Registry:
    """The backend. moment: the number of the step that is under way. caller: who asks in it. odd:
    whom it saw where somebody else asked."""

    cookies: Collection[str] | None
    manners: Iterator[Manner]
    made: list[Made] = field(default_factory=list)
    odd: list[Seen] = field(default_factory=list)
    moment: int = 0
    caller: Seen = ()

    def __call__(self, method: str, url: str, headers: Mapping[str, str], _body: bytes) -> Answered:
        manner = next(self.manners)
        if manner.status == 599:
            raise ConnectFailed
        fields = {name.lower(): value for name, value in headers.items()}
        told = (fields["x-forwarded-proto"], fields["x-forwarded-host"], plain(url))
        number = len(self.made)
        shown = seen(fields, self.cookies)  # or less, where the client had a field dropped
        if any(one not in ("", own) for one, own in zip(shown, self.caller, strict=True)):
            self.odd.append(shown)
        self.made.append(Made(manner, method, self.caller, told, fields, self.moment))
        given = [("X-Made", str(number))]
        for name, value in (
            ("Cache-Control", manner.control),
            ("Vary", manner.vary),
            ("ETag", manner.etag),
            ("CDN-Cache-Control", manner.targeted),
            ("Location", manner.location),
            ("Set-Cookie", f"for={number}" if manner.cookie else None),
            ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ):
            if value is not None:
                given.append((name, value))
        conditional = "if-none-match" in fields or "if-modified-since" in fields
        if manner.validates and conditional and method in SAFE:
            self.made[number] = replace(self.made[number], validated=True)
            return 304, given, b""
        body = b"%04d" % number * 8
        given.append(("Content-Length", str(len(body))))
        return manner.status, given, b"" if method == "HEAD" else body


def plain(url: str) -> str:
    """A target in one spelling, for comparing."""
    path = url.removeprefix("http://things.internal")
    return path.replace("%7E", "~").replace("%7e", "~").replace("%c3", "%C3")


# -- what is asked ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ask:
    """A request."""

    who: Who
    method: str = "GET"
    path: str = "/~a"
    host: str = HOSTS[0]
    scheme: str = "http"
    fields: tuple[tuple[str, str], ...] = ()
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Drop:
    """An operator's purge of all that is kept of the example."""

    kind: str


@dataclass(slots=True)
class World:
    """One cache between a registry and its clients; it checks what passes."""

    base: str
    app: Any
    registry: Registry
    clock: Clock
    options: Cache
    changed: dict[str, int] = field(default_factory=dict)

    def do(self, moment: int, one: Ask | Drop) -> None:
        """A step, and what must be true of it."""
        self.registry.moment = moment
        if isinstance(one, Drop):
            gateway = self.app.extensions["gateway"]
            stored = open_responses(gateway.settings, gateway.commons)
            stored.purge(Purge("all") if one.kind == "all" else Purge("prefix", self.base))
            self.changed.clear()
            self.changed[""] = moment
            return
        self.clock.now += one.after
        before = len(self.registry.made)
        target = self.base + one.path
        fields = [("Host", one.host), *one.who.fields, *one.fields]
        self.registry.caller = self._caller(one)
        scheme: dict[str, Any] = {"wsgi.url_scheme": one.scheme}
        answer = call(self.app, target, one.method, fields, **scheme)
        self.clock.catch_up()
        assert self.registry.odd == [], one
        self.check(one, answer, before)
        if one.method not in SAFE and answer.status < 400:
            self.changed[plain(target).partition("?")[0]] = moment

    def check(self, one: Ask, answer: Answer, before: int) -> None:
        """Whatever came was made for who asked."""
        numbers = [int(value) for value in answer.header("X-Made")]
        assert len(numbers) <= 1, answer
        if answer.status in (200, 206) and answer.body:
            assert numbers, answer
            parts = {answer.body[at : at + 4] for at in range(0, len(answer.body), 4)}
            assert len(parts) == 1, answer
            numbers.append(int(parts.pop()))
        if one.method == "HEAD" or answer.status in (304, 204):
            assert answer.body == b"", answer
        for number in numbers:
            made = self.registry.made[number]
            self._check_same(one, made, answer)
            if number < before:
                self._check_used_again(one, made, answer)
        for value in answer.header("Set-Cookie"):
            assert int(value.removeprefix("for=")) >= before, answer

    def _caller(self, one: Ask) -> Seen:
        """Who asks, whatever of it the backend gets to see."""
        return seen(self._sent(one), self.options.cookies)

    def _sent(self, one: Ask) -> dict[str, str]:
        """What the backend sees, or would, but for what the client wants to be dropped."""
        fields = {name.lower(): value for name, value in (*one.who.fields, *one.fields)}
        fields.pop("x-user-id", None)
        if one.who.user:
            fields["x-user-id"] = one.who.user
            fields["x-user-permissions"] = "admin" if "rights" in one.who.name else ""
        return fields

    def _check_same(self, one: Ask, made: Made, answer: Answer) -> None:
        assert made.caller == self._caller(one), (one, made, answer)
        place = (one.scheme, one.host, plain(self.base + one.path))
        assert made.place == place, (one, made, answer)

    def _check_used_again(self, one: Ask, made: Made, answer: Answer) -> None:
        cache = answer.header("X-Cache")
        assert cache in (["HIT"], ["STALE"], ["REVALIDATED"]), (cache, one, made)
        # Of a HEAD, the fields may be used for what GET brought (RFC 9111 section 4.3.5).
        assert made.method in ("GET", "HEAD") or made.validated, (one, made)
        if made.manner.status >= 500 and not made.validated:  # the backend must have wanted it
            wanted = f"{made.manner.control} {made.manner.targeted}"
            assert "age" in wanted or "public" in wanted, (one, made)
        path = plain(self.base + one.path).partition("?")[0]
        last = max(self.changed.get(path, -1), self.changed.get("", -1))
        assert made.moment > last, (one, made, answer)
        if cache == ["REVALIDATED"]:
            return
        told = answer.header("CDN-Cache-Control")
        assert not made.is_for_one(frozenset(self.options.override), told), (one, made, answer)
        sent = self._sent(one)
        for name in sent.pop("connection", "").replace(" ", "").lower().split(","):
            sent.pop(name, None)
        for name in {*made.vary, *(name.lower() for name in self.options.vary)}:
            assert sent.get(name, "") == made.fields.get(name, ""), (name, one, made)


class Worlds:
    """Applications by store and options, each made once; every example has paths of its own."""

    def __init__(self, clock: Clock, folder: Path) -> None:
        self._clock = clock
        self._stores = {
            "memory": {"STATE_URL": "memory://"},
            "lmdb": {"STATE_URL": f"lmdb://{folder}"},
        }
        self._made: dict[str, tuple[Any, list[Registry]]] = {}
        self._numbers = itertools.count()

    def new(self, store: str, manners: Iterator[Manner], **options: Any) -> World:
        """A world nobody has asked anything in."""
        key = f"{store} {options}"
        policy = Cache(**options)
        if key not in self._made:
            running: list[Registry] = []
            service, _ = open_service(
                prefix=PREFIX, backend=lambda *asked: running[0](*asked), policies=[policy]
            )
            self._made[key] = make_app(service, **self._stores[store]), running
        app, running = self._made[key]
        registry = Registry(policy.cookies, manners)
        running[:] = [registry]
        return World(f"{PREFIX}/{next(self._numbers)}", app, registry, self._clock, policy)
