"""Decisions that are kept: for whom, for what, and for how long."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gateway import Cache, ForwardAuth, require
from gateway.authentication.authorization_service import Denial
from gateway.authentication.decisions import Decisions, NoDecision
from gateway.testing import ScriptedUpstream, Send, Until
from tests.authentication.forward_auth.support import ALLOWED, DENIED, House, build
from tests.support.messages import response
from tests.support.wsgi import call, make_app, stubbed

ME = ("Authorization", "Bearer me")


def asked_after(house: House, raw: str, method: str, *fields: tuple[str, str], **more: Any) -> int:
    """How many questions it takes to answer this after `GET /users/7?a=1` with ME and a header."""
    first = [ME, ("Cookie", "s=1"), ("X-Tenant", "t"), ("User-Agent", "a")]
    assert call(house.app, "/users/7?a=1", "GET", first).status == 200
    assert call(house.app, raw, method, fields or first, **more).status == 200
    return len(house.service.requests)


def test_off_unless_asked_for(upstream: ScriptedUpstream) -> None:
    upstream.respond(ALLOWED)
    assert asked_after(build(upstream), "/users/7?a=1", "GET") == 2


USUAL = (ME, ("Cookie", "s=1"), ("X-Tenant", "t"), ("User-Agent", "a"))
CHANGES: list[tuple[str, str, tuple[tuple[str, str], ...], dict[str, str]]] = [
    ("/users/8?a=1", "GET", USUAL, {}),
    ("/users/7?a=2", "GET", USUAL, {}),
    ("/users/7", "GET", USUAL, {}),
    ("/users/7?a=1", "DELETE", USUAL, {}),
    ("/users/%37?a=1", "GET", USUAL, {}),
    ("/users/7?a=1", "GET", (("Authorization", "Bearer you"), *USUAL[1:]), {}),
    ("/users/7?a=1", "GET", USUAL[1:], {}),
    ("/users/7?a=1", "GET", (ME, ("Cookie", "s=2"), *USUAL[2:]), {}),
    ("/users/7?a=1", "GET", USUAL, {"HTTP_HOST": "other.example"}),
    ("/users/7?a=1", "GET", USUAL, {"wsgi.url_scheme": "https"}),
    ("/users/7?a=1", "GET", (*USUAL[:2], ("X-Tenant", "u"), USUAL[3]), {}),
]
LOOSE = [
    ("/users/7?a=1", "GET", USUAL[:3], {}),
    ("/users/7?a=1", "GET", USUAL, {"REMOTE_ADDR": "192.0.2.9"}),
]


@pytest.mark.parametrize(("raw", "method", "fields", "more"), CHANGES + LOOSE)
def test_everything_that_is_sent_counts(
    upstream: ScriptedUpstream, raw: str, method: str, fields: Any, more: dict[str, str]
) -> None:
    upstream.respond(ALLOWED)
    assert asked_after(build(upstream, cache=60), raw, method, *fields, **more) == 2


@pytest.mark.parametrize(("raw", "method", "fields", "more"), CHANGES)
def test_declared_fields_count_beside_what_always_does(
    upstream: ScriptedUpstream, raw: str, method: str, fields: Any, more: dict[str, str]
) -> None:
    upstream.respond(ALLOWED)
    house = build(upstream, cache=60, cache_key=["X-Tenant"])
    assert asked_after(house, raw, method, *fields, **more) == 2


@pytest.mark.parametrize(("raw", "method", "fields", "more"), LOOSE)
def test_and_nothing_else_then(
    upstream: ScriptedUpstream, raw: str, method: str, fields: Any, more: dict[str, str]
) -> None:
    upstream.respond(ALLOWED)
    house = build(upstream, cache=60, cache_key=["X-Tenant"])
    assert asked_after(house, raw, method, *fields, **more) == 1


def test_the_request_id_and_a_body_do_not_count(upstream: ScriptedUpstream) -> None:
    upstream.respond(ALLOWED)
    house = build(upstream, cache=60)
    for number in range(3):
        fields = [ME, ("X-Request-ID", f"request-{number}"), ("Content-Type", f"a/{number}")]
        assert call(house.app, "/users/7", "POST", fields, b"x" * number).status == 200
        assert house.told.headers["X-User-ID"] == "u7"
    assert len(upstream.requests) == 1


def test_a_field_cannot_pass_for_another(upstream: ScriptedUpstream) -> None:
    upstream.respond(ALLOWED)
    house = build(upstream, cache=60)
    pairs = [(("A", "b"),), (("A", "b, c:d"),), (("A", "b"), ("C", "d")), (("A", "b, c"),)]
    for fields in pairs:
        house.ask("/users/7", "GET", *fields)
    assert len(upstream.requests) == len(pairs)


def test_refusals_are_kept_and_raised_anew(upstream: ScriptedUpstream) -> None:
    upstream.respond(DENIED, ALLOWED)
    house = build(upstream, cache=60)
    for _ in range(3):
        answer = house.ask()
        assert answer.status == 401
        assert answer.header("WWW-Authenticate") == ['Basic realm="users"']
    assert len(upstream.requests) == 1


def test_what_is_no_decision_is_not_kept(upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"500 Oops"), ALLOWED)
    house = build(upstream, cache=60)
    assert [house.ask().status for _ in range(3)] == [503, 200, 200]


class Clock:
    """Time that passes when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def never() -> str:
    """Something that must not be asked."""
    raise AssertionError


def test_kept_for_so_long() -> None:
    clock = Clock()
    decisions: Decisions[str] = Decisions(lambda text: float(len(text)), 10, 1.0, clock)
    assert decisions.settle(b"k", lambda: "four") == "four"
    clock.now += 3.9
    assert decisions.settle(b"k", never) == decisions.known(b"k") == "four"
    clock.now += 0.2
    assert decisions.known(b"k") is None
    assert decisions.settle(b"k", lambda: "again") == "again"


def test_refusals_are_kept_for_ten_seconds_at_most(upstream: ScriptedUpstream) -> None:
    from gateway import ForwardAuth
    from gateway.authentication.authorization_service import NOBODY, AuthorizationService
    from gateway.transport.calls import Caller, Server

    for cache, refused in ((300.0, 10.0), (3.0, 3.0)):
        options = ForwardAuth(upstream.url, cache=cache)
        service = AuthorizationService(options, Caller(Server.parse(upstream.url)), 1)
        assert service._seconds(Denial(401, ())) == refused
        assert service._seconds(NOBODY) == cache


def test_so_many_and_no_more() -> None:
    decisions: Decisions[str] = Decisions(lambda _: 60.0, 3, 1.0)
    for number in range(5):
        decisions.settle(b"%d" % number, lambda: "yes")
    assert [decisions.known(b"%d" % n) for n in range(5)] == [None, None, "yes", "yes", "yes"]


def test_one_question_for_all_who_want_to_know(upstream: ScriptedUpstream) -> None:
    answer = threading.Event()
    upstream.script([Until(answer), Send(ALLOWED)])
    house = build(upstream, cache=60, timeout=10)
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(house.ask("/users/7", "GET", ME).status))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    assert upstream.wait_until(lambda: bool(upstream.requests))
    answer.set()
    for thread in threads:
        thread.join(20)
    assert statuses == [200] * 8
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("error", [NoDecision("away", down=True), RuntimeError("a bug")])
def test_who_waits_hears_of_the_failure_too(error: Exception) -> None:
    decisions: Decisions[str] = Decisions(lambda _: 60.0, 3, 20.0)
    asked, fail = threading.Event(), threading.Event()
    heard: list[Exception] = []

    def ask() -> str:
        asked.set()
        assert fail.wait(20)
        raise error

    def settle(question: Any) -> None:
        try:
            decisions.settle(b"k", question)
        except Exception as caught:
            heard.append(caught)

    first = threading.Thread(target=settle, args=(ask,))
    first.start()
    assert asked.wait(20)
    second = threading.Thread(target=settle, args=(never,))
    second.start()
    fail.set()
    first.join(20)
    second.join(20)
    assert error in heard
    others = [one for one in heard if one is not error]
    assert [isinstance(one, NoDecision | AssertionError) for one in others] == [True]
    assert decisions.settle(b"k", lambda: "now") == "now"


def test_so_many_wait_and_no_more() -> None:
    """Those who want to know the same as another count as well: each of them holds a thread."""
    decisions: Decisions[str] = Decisions(lambda _: 60.0, 3, 20.0, waiting=1)
    asked, answer = threading.Event(), threading.Event()

    def ask() -> str:
        asked.set()
        assert answer.wait(20)
        return "yes"

    first = threading.Thread(target=decisions.settle, args=(b"k", ask))
    first.start()
    assert asked.wait(20)
    for key in (b"k", b"other", None):
        with pytest.raises(NoDecision, match="too many") as caught:
            decisions.settle(key, never)
        assert caught.value.down
    answer.set()
    first.join(20)
    assert decisions.settle(b"k", never) == "yes"


def test_without_a_key_nothing_is_shared() -> None:
    decisions: Decisions[str] = Decisions(lambda _: 60.0, 3, 1.0)
    assert decisions.settle(None, lambda: "a") == "a"
    assert decisions.settle(None, lambda: "b") == "b"


@pytest.mark.parametrize("field", ["sends", "cache_key"])
def test_a_field_that_decides_parts_answers_that_are_kept(
    upstream: ScriptedUpstream, field: str
) -> None:
    upstream.respond(response(b"204 No Content"))  # it names nobody
    options: dict[str, Any] = {field: ["X-Session"]}
    forward = ForwardAuth(upstream.url, **options)
    service, backend = stubbed(
        backend=lambda *_asked: (200, {"Content-Length": "2"}, b"ok"),
        authentication=[forward],
        policies=[Cache(ttl=60)],
    )
    app = make_app(require()(service))
    for who, times in (("ada", 1), ("ada", 1), ("bob", 2)):
        assert call(app, "/things/7", headers=[("X-Session", who)]).status == 200
        assert len(backend.requests) == times
