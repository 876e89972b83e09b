"""May you: permissions, roles, and the difference between 401 and 403."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, Request, Response

from gateway import (
    Identity,
    Service,
    all_of,
    any_of,
    current_identity,
    public,
    require,
    role,
    scope,
)
from gateway.authorization import MARK, Access, authorize
from gateway.authorization.parts import Permission, cheap_first
from gateway.errors import Forbidden
from tests.support.wsgi import Answer, bearer, call, make_app, stubbed


def _holding(*permissions: str, **more: tuple[str, ...]) -> Identity:
    return Identity("ada", permissions=permissions, **more)  # type: ignore[arg-type]


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
    assert Permission(needed).held_by(_holding(held)) is has


def test_role_is_matched_exactly() -> None:
    assert role("admin").held_by(_holding(roles=("admin",)))
    assert not role("admin").held_by(_holding("admin", roles=("Admin", "admin:*")))


def test_scope_is_one_that_was_given_and_matched_exactly() -> None:
    assert scope("orders.read").held_by(_holding(scopes=("orders.read",)))
    assert not scope("orders:read").held_by(
        _holding("orders:read", "orders:*", scopes=("orders:*",))
    )


def test_any_of_needs_one() -> None:
    either = any_of("a:b", role("admin"))
    assert either.held_by(_holding("a:*"))
    assert either.held_by(_holding(roles=("admin",)))
    assert not either.held_by(_holding("a:c", roles=("user",)))
    with pytest.raises(ValueError, match="at least one"):
        any_of()


def test_all_of_needs_all_at_any_depth() -> None:
    part = any_of(all_of("a", any_of("b", all_of(scope("c"), role("d")))), "e")
    assert part.held_by(_holding("a", "b"))
    assert part.held_by(_holding("a", roles=("d",), scopes=("c",)))
    assert part.held_by(_holding("e"))
    assert not part.held_by(_holding("a", roles=("d",)))
    assert not part.held_by(_holding("b", roles=("d",), scopes=("c",)))
    with pytest.raises(ValueError, match="at least one"):
        all_of()


@pytest.mark.parametrize(
    ("part", "lacking"),
    [
        (all_of("held", "b"), "b"),
        (all_of(any_of("held", "b"), "c"), "c"),
        (any_of(all_of("held", "b"), all_of(scope("c"), role("d"))), "b c"),
        (any_of("b", any_of("b", "c")), "b c"),
        (all_of(role("d"), scope("held")), "held"),
    ],
)
def test_lacking_is_what_a_client_could_ask_for(part: Any, lacking: str) -> None:
    with pytest.raises(Forbidden) as refused:
        authorize((part,), _holding("held"))
    assert refused.value.slug == "insufficient_scope"
    (value,) = dict(refused.value.extra_headers).values()
    assert value.endswith(f'scope="{lacking}"')


def test_parts_come_in_order_of_what_they_cost() -> None:
    def asked(identity: Identity, request: Request) -> bool:
        raise AssertionError

    either = any_of(asked, "b")
    parts = cheap_first((either, Permission("a"), all_of(either), role("c")))
    assert list(map(str, parts)) == ["a", "role:c", "b or asked", "b or asked"]


def test_authorize_names_all_that_is_missing() -> None:
    parts = (Permission("a:b"), role("admin"), any_of("c", "d"), Permission("held"))
    with pytest.raises(Forbidden) as refused:
        authorize(parts, _holding("held"))
    assert 'scope="a:b c d"' in dict(refused.value.extra_headers)["WWW-Authenticate"]


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


def test_a_missing_role_is_403_without_a_challenge() -> None:
    answer = _ask(require(role("admin")), bearer("a:b"))
    assert (answer.status, answer.code) == (403, "forbidden")
    assert answer.header("WWW-Authenticate") == []
    assert answer.json["detail"] == "This is not permitted."


def test_a_scope_of_a_token_is_a_permission_and_a_permission_is_no_scope() -> None:
    given = bearer(scope="orders.read other")
    assert _ask(require(scope("orders.read")), given).status == 200
    assert _ask(require("orders.read"), given).status == 200
    answer = _ask(require(scope("orders.read")), bearer("orders.read"))
    assert (answer.status, answer.code) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    "nonsense",
    [
        lambda: require(7),  # type: ignore[arg-type]
        lambda: require(None),  # type: ignore[arg-type]
        lambda: require(["a:b"]),  # type: ignore[arg-type]
        lambda: require(""),
        lambda: require("a b"),
        lambda: require('a"b'),
        lambda: require("größe"),
        lambda: any_of("a", all_of("b", 7)),  # type: ignore[arg-type]
        lambda: role(""),
        lambda: role(7),  # type: ignore[arg-type]
        lambda: scope(role("a")),  # type: ignore[arg-type]
        lambda: scope(""),
        lambda: require(Service),  # type: ignore[arg-type]
    ],
)
def test_nonsense_is_refused_when_it_is_declared(nonsense: Callable[[], object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        nonsense()


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
        (Access((any_of("c", "d"),), ()), "c or d"),
        (
            Access((Permission("a:b"), role("x"), any_of("c", all_of("d", scope("e")))), ()),
            "a:b and role:x and (c or (d and scope:e))",
        ),
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
