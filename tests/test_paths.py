"""Paths of a service: its prefix, and the paths its own views claim."""

from __future__ import annotations

import pytest
from flask import Blueprint, Flask, Response

from gateway import require
from gateway.testing_stub import StubTransport
from tests.support.wsgi import bearer, call, make_app, open_service, stubbed

WRITER = [bearer("order:write")]
REFUNDER = [bearer("order:write", "order:refund")]


def _orders() -> tuple[Flask, StubTransport]:
    """Orders, where only refunds need a permission of their own."""
    service, stub = stubbed("orders", "/orders", allow_encoded_slashes=True)
    require("order:write")(service)

    @service.post("/<int:order_id>/refunds")
    @require("order:refund")
    def refund(order_id: int) -> Response:
        return service.forward()

    @service.get("/report")
    def report() -> Response:
        return service.forward()

    @service.get("/files/<path:name>")
    @require("order:files")
    def files(name: str) -> Response:
        return service.forward()

    return make_app(service), stub


ORDERS, SENT = _orders()


@pytest.fixture(autouse=True)
def forget() -> None:
    """Nothing was sent yet."""
    SENT.requests.clear()


@pytest.mark.parametrize("raw", ["/users", "/users/", "/users?x", "/users/7", "/u%73ers/7"])
def test_prefix_matches_its_paths(raw: str) -> None:
    service, stub = open_service(name="users", prefix="/users")
    assert call(make_app(service), raw).status == 200
    assert stub.requests[0].url == f"http://users.internal{raw}"


@pytest.mark.parametrize("raw", ["/usersX", "/users-x", "/user", "/", "/Users", "/users%20", "/x"])
def test_prefix_ends_at_a_segment(raw: str) -> None:
    service, stub = open_service(name="users", prefix="/users")
    assert call(make_app(service), raw).status == 404
    assert not stub.requests


def test_longer_prefix_wins_whatever_the_order() -> None:
    outer, outer_stub = open_service(name="outer", prefix="/a")
    inner, inner_stub = open_service(name="inner", prefix="/a/b")
    for services in ([outer, inner], [inner, outer]):
        app = make_app(*services)
        assert call(app, "/a/b/c").status == call(app, "/a/bc").status == 200
    assert [r.url for r in inner_stub.requests] == ["http://inner.internal/a/b/c"] * 2
    assert [r.url for r in outer_stub.requests] == ["http://outer.internal/a/bc"] * 2


@pytest.mark.parametrize(
    "raw",
    [
        "/orders/7/refunds",
        "/orders/7/refunds/",
        "/orders/7/refunds?x=1",
        "/orders/%37/refunds",
        "/orders/7/refund%73",
        "/orders/7%2Frefunds",
        "/orders/7%2frefunds",
        "/orders/007/refunds",
    ],
)
def test_every_spelling_of_a_claimed_path_reaches_its_view(raw: str) -> None:
    assert call(ORDERS, raw, "POST", WRITER).status == 403
    assert not SENT.requests
    assert call(ORDERS, raw, "POST", REFUNDER).status == 200
    assert SENT.requests[0].url.endswith(raw)


@pytest.mark.parametrize(
    "raw",
    [
        "/orders/+7/refunds",
        "/orders/%2B7/refunds",
        "/orders/-7/refunds",
        "/orders/7.0/refunds",
        "/orders/0x7/refunds",
        "/orders/7%20/refunds",
        "/orders/7;v=1/refunds",
        "/orders/x/refunds",
        "/orders/x/refunds/",
        "/orders/1e1%2Frefunds",
        "/orders/" + "9" * 5000 + "/refunds",
    ],
)
def test_other_values_never_slip_into_the_catch_all(raw: str) -> None:
    assert call(ORDERS, raw, "POST", WRITER).status == 404
    assert not SENT.requests


@pytest.mark.parametrize(
    "raw",
    [
        "/orders/7//refunds",
        "/orders//7/refunds",
        "/orders/7/x/../refunds",
        "/orders/7/./refunds",
        "/orders/x/..%2F7/refunds",
        "/orders/7/%2e/refunds",
        "/orders/7\\refunds",
        "/orders/7%5Crefunds",
        "/orders/7/..;/7/refunds",
        "//orders/7/refunds",
    ],
)
def test_paths_that_read_as_a_claimed_one_elsewhere_are_refused(raw: str) -> None:
    answer = call(ORDERS, raw, "POST", WRITER)
    assert (answer.status, answer.code) == (400, "ambiguous_path")
    assert not SENT.requests


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("raw", ["/orders/7/refunds", "/orders/7/refunds/", "/orders/x/refunds"])
def test_other_methods_on_a_claimed_path_answer_405(method: str, raw: str) -> None:
    answer = call(ORDERS, raw, method, WRITER)
    assert answer.status == 405
    assert answer.header("Allow") == ["OPTIONS, POST"]
    assert not SENT.requests


@pytest.mark.parametrize("method", ["post", "Post", "pOST"])
def test_method_in_another_case_is_refused(method: str) -> None:
    assert call(ORDERS, "/orders/7/refunds", method, WRITER).status == 400
    assert call(ORDERS, "/orders/7", method).status == 400
    assert not SENT.requests


def test_options_of_a_view_says_what_is_allowed() -> None:
    answer = call(ORDERS, "/orders/7/refunds", "OPTIONS", WRITER + REFUNDER)
    assert (answer.status, answer.header("Allow")) == (200, ["OPTIONS, POST"])
    answer = call(ORDERS, "/orders/report", "OPTIONS", WRITER)
    assert (answer.status, answer.header("Allow")) == (200, ["GET, HEAD, OPTIONS"])
    assert not SENT.requests


def test_path_view_claims_everything_below() -> None:
    assert call(ORDERS, "/orders/files/a/b", "GET", WRITER).status == 403
    assert call(ORDERS, "/orders/files/a/b", "DELETE", WRITER).status == 405
    assert not SENT.requests


@pytest.mark.parametrize("raw", ["/orders/7", "/orders/7/items", "/orders/7/refunds/1", "/orders"])
def test_unclaimed_paths_are_forwarded(raw: str) -> None:
    assert call(ORDERS, raw, "POST", WRITER).status == 200
    assert len(SENT.requests) == 1


def test_views_of_nested_blueprints_claim_their_paths_too() -> None:
    service, stub = open_service()
    inner = Blueprint("inner", __name__, url_prefix="/inner")
    inner.add_url_rule("/<int:number>", "view", lambda number: "own", methods=["GET"])
    service.register_blueprint(inner)
    app = make_app(service)
    assert call(app, "/things/inner/7").body == b"own"
    assert call(app, "/things/inner/x").status == 404
    assert call(app, "/things/inner/7", "PUT").status == 405
    assert not stub.requests


@pytest.mark.parametrize("raw", ["http:/things/x?://", "x:/things/x?u=http://h", "h:things/x://"])
def test_targets_in_neither_form_are_refused(raw: str) -> None:
    """gunicorn reads a scheme off these, and routes by what is left."""
    service, stub = open_service()
    answer = call(make_app(service), raw, PATH_INFO="/things/x")
    assert answer.status == 400
    assert not stub.requests


def test_absolute_form_keeps_its_path_only() -> None:
    service, stub = open_service()
    raw = "http://evil.example/things/%78?y"
    assert call(make_app(service), raw, PATH_INFO="/things/x").status == 200
    assert stub.requests[0].url == "http://things.internal/things/%78?y"


def test_application_below_a_script_name() -> None:
    service, stub = open_service()
    app = make_app(service)
    answer = call(app, "/mount/things/x", SCRIPT_NAME="/mount", PATH_INFO="/things/x")
    assert answer.status == 200
    assert len(stub.requests) == 1


@pytest.mark.parametrize("path", ["/", "/x", "/x/y"])
def test_a_service_may_own_the_root(path: str) -> None:
    service, stub = open_service(name="all", prefix="/")
    app = make_app(service)
    assert call(app, path).status == 200
    assert stub.requests[0].url == f"http://all.internal{path}"
    assert b"ready" in call(app, "/readyz").body


@pytest.mark.parametrize("path", ["/things", "/things/", "/things/x", "/things/x/"])
def test_another_method_is_405_wherever_the_prefix_ends(path: str) -> None:
    service, stub = open_service(methods=["GET"])
    app = make_app(service)
    for method in ("POST", "TRACE"):
        answer = call(app, path, method)
        assert (answer.status, answer.header("Allow")) == (405, ["GET, HEAD"])
    assert call(app, path).status == 200
    assert len(stub.requests) == 1
