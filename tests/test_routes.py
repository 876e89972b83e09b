"""What applies to every rule: services of one prefix, methods, and denial by default."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, request
from werkzeug.routing import BaseConverter

from gateway import READ, ConfigurationError, Service, public, require
from tests.support.wsgi import Answer, bearer, call, make_app, open_service, stubbed

V2 = [("X-Version", "2")]


def _faults(*services: Service) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as failed:
        make_app(*services)
    return failed.value.faults


def _line_after(frame: Any) -> int:
    return int(frame.f_lineno) + 1


def test_unguarded_service_is_a_fault_with_its_place() -> None:
    line = _line_after(inspect.currentframe())
    service = Service("a", __name__, url_prefix="/a", upstream="")
    (fault,) = _faults(service)
    assert fault.startswith("service 'a' neither requires anything nor is public for DELETE, GET,")
    assert fault.endswith(f"({__file__}:{line})")


def test_unguarded_view_is_a_fault_with_its_place() -> None:
    service, _ = stubbed()
    public(service, methods=["PUT"])
    line = _line_after(inspect.currentframe())

    @service.get("/view")
    def view() -> str:
        return "never"

    faults = _faults(service)
    assert len(faults) == 2
    (fault,) = (fault for fault in faults if "view" in fault)
    assert "view 'things.view'" in fault
    assert "for GET, HEAD (" in fault
    assert f"({__file__}:{line + 1})" in fault


def test_uncovered_methods_are_listed() -> None:
    service, _ = stubbed()
    require("a:b", methods=READ)(service)
    require("a:c", methods=["POST", "DELETE"])(service)
    (fault,) = _faults(service)
    assert "for PATCH, PUT (" in fault


def test_only_forwarded_methods_need_to_be_covered() -> None:
    service, stub = stubbed(methods=["GET"])
    public(service, methods=["GET"])
    app = make_app(service)
    assert call(app, "/things/x").status == call(app, "/things/x", "HEAD").status == 200
    answer = call(app, "/things/x", "POST")
    assert answer.status == 405
    assert set(answer.header("Allow")[0].split(", ")) == {"GET", "HEAD"}
    assert len(stub.requests) == 2


def test_view_of_a_nested_blueprint_is_denied_too() -> None:
    service, _ = stubbed()
    inner = Blueprint("inner", __name__)
    inner.add_url_rule("/x", "x", lambda: "never")
    service.register_blueprint(inner)
    public(service, methods=["POST"])
    assert any("view 'things.inner.x'" in fault for fault in _faults(service))


def test_route_added_after_the_start_is_not_served() -> None:
    app = make_app(open_service()[0])
    app.add_url_rule("/late", "late", lambda: "never")
    assert call(app, "/late").status == 500


def test_requirement_of_each_method() -> None:
    service, _ = stubbed()
    public(service, methods=READ)
    require("a:write", methods=["POST", "PUT", "PATCH"])(service)
    require("a:delete", methods=["DELETE"])(service)
    app = make_app(service)

    def status(method: str, *permissions: str) -> int:
        return call(app, "/things/x", method, [bearer(*permissions)]).status

    assert [call(app, "/things/x", method).status for method in READ] == [200, 200, 200]
    assert call(app, "/things/x", "POST").status == 401
    assert (status("PUT", "a:write"), status("PUT", "a:delete")) == (200, 403)
    assert (status("DELETE", "a:delete"), status("DELETE", "a:write")) == (200, 403)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "BREW"])
def test_unknown_methods_answer_405_with_allow(method: str) -> None:
    service, stub = open_service()
    answer = call(make_app(service), "/things/x", method)
    assert answer.status == 405
    allowed = set(answer.header("Allow")[0].split(", "))
    assert allowed == {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}
    assert not stub.requests


Asked = Callable[..., Answer]


def _versions() -> tuple[Asked, list[str]]:
    """Two services on a prefix: version 2 by a header, and everything else."""
    hooks: list[str] = []
    second, _ = stubbed("second", "/s", _named("second"), headers={"X-Version": "2"})
    first, _ = stubbed("first", "/s", _named("first"))
    for service in (second, first):
        service.add_url_rule("/both", "both", public(lambda: str(request.endpoint)))
        service.before_request(_noting(hooks, service.name))
        service.after_request(_noting_after(hooks, service.name))
    public(first)
    require("a:b")(second)
    second.add_url_rule("/view", "view", public(lambda: f"view {request.endpoint}"))
    app = make_app(second, first)
    return lambda *args: call(app, *args), hooks


def _named(name: str) -> Any:
    return lambda *_asked: (200, {}, name.encode())


def _noting(hooks: list[str], name: str) -> Callable[[], None]:
    return lambda: hooks.append(name)


def _noting_after(hooks: list[str], name: str) -> Callable[[Any], Any]:
    def after(response: Any) -> Any:
        hooks.append(f"after {name}")
        return response

    return after


def test_header_value_chooses_between_services() -> None:
    ask, _ = _versions()
    assert ask("/s/x").body == b"first"
    assert ask("/s/x", "GET", [("X-Version", "3")]).body == b"first"
    assert ask("/s/x", "GET", [*V2, bearer("a:b")]).body == b"second"


def test_each_service_of_a_prefix_keeps_its_requirement() -> None:
    ask, _ = _versions()
    assert ask("/s/x", "GET", V2).status == 401
    assert ask("/s/x", "GET", [*V2, bearer("a:c")]).status == 403


def test_hooks_of_the_chosen_service_run_and_no_others() -> None:
    ask, hooks = _versions()
    ask("/s/x")
    assert hooks == ["first", "after first"]
    hooks.clear()
    ask("/s/x", "GET", [*V2, bearer("a:b")])
    assert hooks == ["second", "after second"]


def test_view_belongs_to_its_service_only() -> None:
    ask, _ = _versions()
    assert ask("/s/view", "GET", V2).body == b"view second.view"
    assert ask("/s/view").body == b"first"
    assert ask("/s/view", "POST").body == b"first"
    assert ask("/s/view", "POST", V2).status == 405
    assert ask("/s/view", "OPTIONS", V2).body == b""


def test_views_on_the_same_path_are_told_apart() -> None:
    ask, _ = _versions()
    assert ask("/s/both", "GET", V2).body == b"second.both"
    assert ask("/s/both").body == b"first.both"
    assert ask("/s/both", "OPTIONS").body == b""
    assert ask("/s/both", "PUT").status == ask("/s/both", "PUT", V2).status == 405


def test_required_header_without_another_service_is_404() -> None:
    service, stub = open_service(headers={"X-Version": "2", "X-Beta": "yes"})
    app = make_app(service)
    assert call(app, "/things/x").status == 404
    assert call(app, "/things/x", headers=V2).status == 404
    assert call(app, "/things/x", headers=[*V2, ("X-Beta", "yes")]).status == 200
    assert len(stub.requests) == 1


def test_methods_of_the_chosen_service_count() -> None:
    reads, _ = open_service(name="reads", prefix="/s", methods=["GET"], headers={"X-Version": "2"})
    writes, _ = open_service(name="writes", prefix="/s")
    app = make_app(reads, writes)
    assert call(app, "/s/x", "POST").status == 200
    assert call(app, "/s/x", "POST", V2).status == 405


class Month(BaseConverter):
    """A fork's own converter."""

    regex = "[0-9]{4}-[0-9]{2}"


def test_own_converters_work_between_services_of_a_prefix() -> None:
    service, _ = open_service(headers={"X-Version": "2"})
    service.record_once(lambda state: state.app.url_map.converters.update(month=Month))
    service.add_url_rule("/<month:when>", "month", lambda when: f"in {when}")
    app = make_app(service)
    assert call(app, "/things/2024-05", headers=V2).body == b"in 2024-05"


def test_template_of_the_route_is_recorded() -> None:
    service, _ = open_service()
    routes: list[str] = []
    service.before_request(lambda: routes.append(request.environ["gateway.exchange"].route))
    service.add_url_rule("/<int:number>", "view", lambda number: "x")
    app = make_app(service)
    call(app, "/things/7")
    call(app, "/things/7/8")
    assert routes == ["/things/<int:number>", "/things/<path:_rest>"]
