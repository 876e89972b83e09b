"""May you: permissions, roles, and the difference between 401 and 403."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, Response

from gateway import Identity, Service, any_of, current_identity, public, require, role
from gateway.authorization import MARK, Access, Scope, authorize
from gateway.errors import Forbidden
from tests.support.wsgi import Answer, bearer, call, make_app, stubbed


def _holding(*permissions: str, roles: tuple[str, ...] = ()) -> Identity:
    return Identity("ada", permissions=permissions, roles=roles)


def _app(declare: Callable[[Service], object]) -> Flask:
    service, _ = stubbed()
    declare(service)

    @service.get("/view")
    @require("view:read", role("viewer"))
    def view() -> Response:
        return service.forward()

    @service.get("/open")
    @public
    def open_view() -> str:
        identity = current_identity()
        return identity.subject if identity else "nobody"

    return make_app(service)


def _ask(declare: Callable[[Service], object], *fields: tuple[str, str], path: str = "x") -> Answer:
    return call(_app(declare), f"/things/{path}", headers=fields)


@pytest.mark.parametrize(
    ("held", "needed", "has"),
    [
        ("order:read", "order:read", True),
        ("order:*", "order:read", True),
        ("order:*", "order:read:all", True),
        ("order:read:*", "order:read", False),
        ("order:*", "orders:read", False),
        ("order:*", "order", False),
        ("order:", "order:read", False),
        ("order*", "order:read", False),
        ("*", "order:read", False),
        (":*", "order:read", False),
        ("ORDER:read", "order:read", False),
        ("order:read", "order:*", False),
        ("", "order:read", False),
    ],
)
def test_permission_and_wildcard(held: str, needed: str, has: bool) -> None:
    assert Scope(needed).held_by(_holding(held)) is has


def test_role_is_matched_exactly() -> None:
    assert role("admin").held_by(_holding(roles=("admin",)))
    assert not role("admin").held_by(_holding("admin", roles=("Admin", "admin:*")))


def test_any_of_needs_one() -> None:
    either = any_of("a:b", role("admin"))
    assert either.held_by(_holding("a:*"))
    assert either.held_by(_holding(roles=("admin",)))
    assert not either.held_by(_holding("a:c", roles=("user",)))
    with pytest.raises(ValueError, match="at least one"):
        any_of()


def test_authorize_names_all_that_is_missing() -> None:
    parts = (Scope("a:b"), role("admin"), any_of("c", "d"), Scope("held"))
    with pytest.raises(Forbidden) as refused:
        authorize(parts, _holding("held"))
    assert 'scope="a:b role:admin c d"' in dict(refused.value.extra_headers)["WWW-Authenticate"]


def test_all_parts_are_needed() -> None:
    both = require("a:b", role("admin"))
    assert _ask(both, bearer("a:b", roles=["admin"])).status == 200
    assert _ask(both, bearer("a:b")).status == 403
    assert _ask(both, bearer(roles=["admin"])).status == 403


def test_declarations_add_up() -> None:
    def twice(service: Service) -> None:
        require("a:b")(service)
        require("c:d")(service)

    assert _ask(twice, bearer("a:b", "c:d")).status == 200
    assert _ask(twice, bearer("c:d")).status == 403


def test_requirement_and_public_together_require() -> None:
    def both(service: Service) -> None:
        public(service)
        require("a:b")(service)

    assert _ask(both).status == 401


def test_no_token_is_401_with_a_challenge() -> None:
    answer = _ask(require("a:b"))
    assert (answer.status, answer.code) == (401, "missing_token")
    assert answer.header("WWW-Authenticate") == ['Bearer realm="gateway"']


def test_bad_token_is_401_and_says_so() -> None:
    answer = _ask(require("a:b"), ("Authorization", "Bearer x.y.z"))
    assert (answer.status, answer.code) == (401, "token_invalid")
    assert 'error="invalid_token"' in answer.header("WWW-Authenticate")[0]


def test_expired_token_is_401_and_says_so() -> None:
    answer = _ask(require("a:b"), bearer("a:b", exp=1))
    assert (answer.status, answer.code) == (401, "token_expired")


def test_lacking_token_is_403_and_names_the_scope() -> None:
    answer = _ask(require("a:b"), bearer("a:c"))
    assert (answer.status, answer.code) == (403, "insufficient_scope")
    (challenge,) = answer.header("WWW-Authenticate")
    assert 'error="insufficient_scope", scope="a:b"' in challenge


def test_any_identity_is_enough_for_an_empty_requirement() -> None:
    assert _ask(require(), bearer()).status == 200
    assert _ask(require()).status == 401


def test_view_adds_to_its_service() -> None:
    needed = require("a:b")
    assert _ask(needed, bearer("a:b"), path="view").status == 403
    assert _ask(needed, bearer("view:read", roles=["viewer"]), path="view").status == 403
    full = bearer("a:b", "view:read", roles=["viewer"])
    assert _ask(needed, full, path="view").status == 200


def test_view_of_a_public_service_can_require() -> None:
    assert _ask(public, path="view").status == 401
    assert _ask(public, bearer("view:read", roles=["viewer"]), path="view").status == 200


def test_public_on_a_view_lifts_what_the_service_requires() -> None:
    assert _ask(require("a:b"), path="open").body == b"nobody"
    assert _ask(require("a:b"), bearer(), path="open").body == b"ada"
    assert _ask(require("a:b"), ("Authorization", "Bearer junk"), path="open").body == b"nobody"


def test_methods_are_any_case_and_get_covers_head() -> None:
    def reading(service: Service) -> None:
        require("a:b", methods=["get"])(service)
        public(service, methods=["post", "PUT", "patch", "DELETE", "OPTIONS"])

    app = _app(reading)
    for method, status in (("GET", 401), ("HEAD", 401), ("POST", 200), ("OPTIONS", 200)):
        assert call(app, "/things/x", method).status == status


def test_methods_are_a_list() -> None:
    with pytest.raises(TypeError):
        require("a:b", methods="DELETE")


@pytest.mark.parametrize("declare", [require("a"), public, public(methods=["GET"])])
def test_declaring_returns_what_was_declared(declare: Callable[[Any], Any]) -> None:
    def view() -> None: ...

    assert declare(view) is view


@pytest.mark.parametrize(
    ("access", "text"),
    [
        (Access(None, ()), "public"),
        (Access((), ()), "any identity"),
        (Access((Scope("a:b"), role("x"), any_of("c", "d")), ()), "a:b and role:x and c d"),
    ],
)
def test_access_reads_well(access: Access, text: str) -> None:
    assert str(access) == text


def test_a_nested_blueprint_requires_on_top_of_its_service() -> None:
    service, stub = stubbed()
    require("outer")(service)
    inner, unlocked = Blueprint("inner", __name__), Blueprint("unlocked", __name__)
    require("inner")(inner)
    public(unlocked)

    @inner.get("/inner")
    @unlocked.get("/unlocked")
    def view() -> Response:
        return service.forward()

    service.register_blueprint(inner)
    service.register_blueprint(unlocked)
    app = make_app(service)
    assert call(app, "/things/inner", headers=[bearer("outer")]).status == 403
    assert call(app, "/things/inner", headers=[bearer("inner")]).status == 403
    assert call(app, "/things/inner", headers=[bearer("inner", "outer")]).status == 200
    assert call(app, "/things/unlocked").status == 200
    assert len(stub.requests) == 2


def test_a_copy_of_a_view_shares_no_declarations() -> None:
    def view() -> str:
        return ""

    require("a")(view)
    copy = public(functools.wraps(view)(lambda: view()))
    assert len(getattr(view, MARK)) == 1
    assert len(getattr(copy, MARK)) == 2
