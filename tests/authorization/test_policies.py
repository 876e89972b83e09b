"""Functions in `require`: when they are asked, and what becomes of what they say."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import pytest
from flask import Flask, Request, Response, abort

from gateway import (
    Identity,
    NotSent,
    Refusal,
    all_of,
    any_of,
    limiter,
    public,
    require,
    role,
)
from gateway.authorization import MARK, AccessPolicy
from gateway.errors import AuthorityUnavailable
from tests.support.wsgi import Answer, bearer, call, make_app, stubbed

Says = Callable[[Identity, Request], Any]


def app_of(*parts: Any, **options: Any) -> Flask:
    """A gateway whose service requires these parts."""
    service, _ = stubbed()
    return make_app(require(*parts, **options)(service))


def ask(*parts: Any, token: tuple[str, str] | None = None) -> Answer:
    """What a caller with the permission a:b gets where these parts are required."""
    return call(app_of(*parts), "/things/7", headers=[token or bearer("a:b")])


def saying(what: object, asked: list[str] | None = None, name: str = "secret_rule") -> AccessPolicy:
    """A function that answers, or raises, this."""

    def says(identity: Identity, request: Request) -> Any:
        if asked is not None:
            asked.append(name)
        if isinstance(what, Exception):
            raise what
        return what

    says.__name__ = name
    return says


def test_it_is_given_the_identity_and_the_request() -> None:
    service, stub = stubbed()

    def owns(identity: Identity, request: Request) -> bool:
        assert isinstance(request, Request)
        return request.view_args == {"owner": identity.subject}

    @service.get("/of/<owner>")
    @require("a:b", owns)
    def view(owner: str) -> Response:
        return service.forward()

    app = make_app(require()(service))
    assert call(app, "/things/of/ada", headers=[bearer("a:b")]).status == 200
    assert call(app, "/things/of/bob", headers=[bearer("a:b")]).status == 403
    assert len(stub.requests) == 1


def test_the_request_outlives_its_context() -> None:
    kept: list[Request] = []

    def keeps(identity: Identity, request: Request) -> bool:
        kept.append(request)
        return True

    assert ask(keeps).status == 200
    assert kept[0].path == "/things/7"  # a proxy would fail by now


def events(app: Flask) -> list[dict[str, Any]]:
    """What its security log will tell."""
    told: list[dict[str, Any]] = []
    app.extensions["gateway"].security._write = lambda line: told.append(orjson.loads(line))
    return told


def watched(*parts: Any) -> tuple[Answer, list[dict[str, Any]]]:
    """What ada gets where these parts are required, and what the security log says of it."""
    service, _ = stubbed()
    app = make_app(require(*parts)(service), SECURITY_LOG=True)
    told = events(app)
    return call(app, "/things/7", headers=[bearer("a:b")]), told


def test_false_is_403_and_its_name_is_for_the_log_alone() -> None:
    answer, (line,) = watched("a:b", any_of(role("admin"), saying(False)), saying(True))
    assert (answer.status, answer.code) == (403, "forbidden")
    assert answer.header("WWW-Authenticate") == []
    assert b"secret_rule" not in answer.body
    assert (line["event"], line["missing"]) == ("forbidden", "role:admin or secret_rule")


def test_the_log_names_everything_that_is_missing() -> None:
    _, (line,) = watched("a:b", role("admin"), "c:d", saying(True))
    assert line["missing"] == "role:admin and c:d"


@pytest.mark.parametrize(
    ("refusal", "event"),
    [
        (Refusal("No.", status=403, slug="not_yours"), {"event": "forbidden", "missing": ""}),
        (AuthorityUnavailable(), {"event": "authority_unavailable"}),
        (Refusal("No.", status=404, slug="no_order"), None),
    ],
)
def test_what_a_function_refuses_with_is_no_failed_login(
    refusal: Refusal, event: dict[str, str] | None
) -> None:
    _, told = watched(saying(refusal))
    assert [line.items() >= (event or {}).items() for line in told] == [True] * (event is not None)


def test_a_permission_that_would_do_instead_is_named() -> None:
    answer = ask(any_of("c:d", saying(False)))
    assert (answer.status, answer.code) == (403, "insufficient_scope")
    assert answer.header("WWW-Authenticate")[0].endswith('scope="c:d"')


@pytest.mark.parametrize("parts", [("c:d",), (role("x"),), (any_of("c", "d"),)])
def test_it_is_not_asked_of_who_lacks_something_else(parts: tuple[Any, ...]) -> None:
    asked: list[str] = []
    assert ask(saying(True, asked), *parts).status == 403
    assert ask(all_of(saying(True, asked), *parts)).status == 403
    assert asked == []


def test_it_is_not_asked_where_something_else_will_do() -> None:
    asked: list[str] = []
    assert ask(any_of(saying(False, asked), all_of(saying(False, asked)), "a:b")).status == 200
    assert asked == []


def test_several_are_asked_in_turn_until_it_is_clear() -> None:
    asked: list[str] = []
    no, yes = saying(False, asked, "no"), saying(True, asked, "yes")
    assert ask(any_of(no, yes, no), yes, no, yes).status == 403
    assert asked == ["no", "yes", "yes", "no"]


def test_a_service_and_its_view_add_up_and_what_is_cheap_comes_first() -> None:
    service, _ = stubbed()
    asked: list[str] = []
    require(saying(True, asked))(service)

    @service.get("/view")
    @require(saying(True, asked, "inner"), "view:read")
    def view() -> Response:
        return service.forward()

    app = make_app(service)
    assert call(app, "/things/view", headers=[bearer("a:b")]).code == "insufficient_scope"
    assert asked == []
    assert call(app, "/things/view", headers=[bearer("view:read")]).status == 200
    assert asked == ["inner", "secret_rule"]


def test_nobody_is_asked_of_an_anonymous_request() -> None:
    asked: list[str] = []
    answer = call(app_of(saying(True, asked)), "/things/7")
    assert (answer.status, answer.code, asked) == (401, "missing_token", [])


def test_it_is_asked_after_the_limits() -> None:
    service, _ = stubbed()
    asked: list[str] = []
    app = make_app(limiter.limit("1/minute")(require(saying(False, asked))(service)))
    statuses = [call(app, "/things/7", headers=[bearer()]).status for _ in range(3)]
    assert statuses == [403, 429, 429]
    assert len(asked) == 1


def test_for_some_methods_only() -> None:
    service, _ = stubbed()
    require("a:b")(service)
    require(saying(False), methods=["DELETE"])(service)
    app = make_app(service)
    statuses = [call(app, "/things/7", m, [bearer("a:b")]).status for m in ("GET", "DELETE")]
    assert statuses == [200, 403]


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (Refusal("No such order.", status=404, slug="no_order"), 404, "no_order"),
        (AuthorityUnavailable(), 503, "authority_unavailable"),
        (NotSent("too_late", "Too late."), 503, "too_late"),
    ],
)
def test_what_it_refuses_with_is_the_answer(raised: Exception, status: int, code: str) -> None:
    answer = ask(saying(raised))
    assert (answer.status, answer.code) == (status, code)


def test_so_is_what_it_aborts_with() -> None:
    def aborts(identity: Identity, request: Request) -> bool:
        abort(404)

    answer = ask(aborts)
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("what", [ValueError("secret"), None, 1, 0, "", "yes", object()])
def test_anything_else_is_500_and_closed(what: object, caplog: pytest.LogCaptureFixture) -> None:
    service, stub = stubbed()
    app = make_app(require(any_of(saying(what), saying(True)))(service))
    answer = call(app, "/things/7", headers=[bearer("a:b")])
    assert (answer.status, answer.code) == (500, "internal_error")
    assert b"secret" not in answer.body
    assert stub.requests == []
    assert "secret" in caplog.text


async def _later(identity: Identity, request: Request) -> bool:
    raise AssertionError


@pytest.mark.parametrize(
    "wrong", [lambda identity: True, lambda: True, lambda a, b, c: True, _later, dict, Identity]
)
def test_what_cannot_be_asked_is_refused_when_it_is_declared(wrong: Any) -> None:
    for declare in (require, any_of, all_of):
        with pytest.raises(TypeError):
            declare(wrong)


def test_a_decorator_without_its_parentheses_is_told() -> None:
    with pytest.raises(TypeError, match="view must take two arguments"):

        @require  # type: ignore[arg-type]
        def view() -> str:
            return ""


class _Quiet:
    """A rule with a secret."""

    def __repr__(self) -> str:
        return "secret"

    def __call__(self, identity: Identity, request: Request) -> bool:
        return True


class _Told(_Quiet):
    """A rule that says what it is."""

    def __str__(self) -> str:
        return "the rule of the house"


def _of(kind: str, identity: Identity, request: Request) -> bool:
    return identity.kind == kind


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        (_Quiet(), "_Quiet"),
        (_Told(), "the rule of the house"),
        (partial(_of, "key"), "_of"),
        (_Quiet().__call__, "__call__"),
    ],
)
def test_what_it_is_called(policy: AccessPolicy, name: str) -> None:
    service, _ = stubbed()
    require("a", policy)(service)
    (access,) = getattr(service, MARK)
    assert str(access) == f"a and {name}"


def test_a_partial_and_an_object_decide_too() -> None:
    assert ask(partial(_of, "user"), _Quiet()).status == 200
    assert ask(partial(_of, "key")).status == 403


def test_a_public_service_asks_nobody() -> None:
    service, _ = stubbed()
    public(service, methods=["GET", "HEAD"])
    require(saying(False), methods=["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])(service)
    app = make_app(service)
    assert call(app, "/things/7").status == 200
    assert call(app, "/things/7", "POST", [bearer()]).status == 403
