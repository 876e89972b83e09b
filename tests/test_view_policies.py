"""Policies of single views: where they stand, what they share with the service, what is wrong."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from flask import Blueprint, Response

from gateway import (
    Bulkhead,
    Cache,
    CircuitBreaker,
    ConfigurationError,
    Fallback,
    Handler,
    Mirror,
    Policy,
    Retry,
    Service,
    UpstreamRequest,
    UpstreamResponse,
    with_policies,
)
from gateway.errors import ConnectFailed
from gateway.view_policies import MARK, Layers, chains, policies_of
from tests.support.outline import answer, make_context, outline
from tests.support.wsgi import call, make_app, open_service

Path = list[str]


@dataclass(frozen=True)
class Step:
    """Writes its name into the request as it passes; how often it was made is counted."""

    name: str
    made: ClassVar[list[str]] = []

    def __call__(self, following: Handler) -> Handler:
        self.made.append(self.name)

        def handle(request: UpstreamRequest) -> UpstreamResponse:
            request.headers.append(("X-Step", self.name))
            return following(request)

        return handle


class A(Step):
    """A class of policies."""

    per: ClassVar[str] = "request"


class B(Step):
    """Another one."""


class C(Step):
    """A third."""


class Again(Step):
    """One that repeats, so that A must come before it."""

    repeats: ClassVar[bool] = True


@pytest.fixture(autouse=True)
def _nothing_made() -> None:
    Step.made.clear()


def paths(service: list[Policy], **views: list[Policy]) -> dict[str, Path]:
    """What requests of each view, and of none (""), go through."""

    def transport(request: UpstreamRequest) -> UpstreamResponse:
        return answer(headers=request.headers)

    usual, own = chains(service, views, transport, make_context())
    return {
        view: [name for _, name in handler(replace(outline(), view=view)).headers]
        for view, handler in {"": usual, **own}.items()
    }


@pytest.mark.parametrize(
    ("own", "path"),
    [
        ([C("c2")], ["c2", "a", "b"]),  # around the service's
        ([A("a2")], ["a2", "b"]),  # in its place
        ([B("b2")], ["a", "b2"]),
        ([B("b2"), A("a2")], ["a2", "b2"]),  # each in the service's, whatever the order
        ([A("a2"), C("c2")], ["a2", "c2", "b"]),  # right inside the one before it
        ([C("c2"), A("a2"), C("c3"), C("c4")], ["c2", "a2", "c3", "c4", "b"]),
        ([B("b2"), C("c2")], ["a", "b2", "c2"]),
        ([Again("d")], ["a", "d", "b"]),  # no further in than the order asks for
        ([C("c2"), Again("d"), C("c3")], ["c2", "a", "d", "c3", "b"]),
    ],
)
def test_where_the_policies_of_a_view_stand(own: list[Policy], path: Path) -> None:
    service: list[Policy] = [A("a"), B("b")]
    assert paths(service, view=own) == {"": ["a", "b"], "view": path}
    names = [one.name for one in Layers.of(own, service).among(service) if isinstance(one, Step)]
    assert names == path  # what is judged is what is built


def test_one_stands_in_the_place_of_all_of_its_class() -> None:
    service: list[Policy] = [A("a"), B("b"), A("c")]
    assert paths(service, view=[A("new")])["view"] == ["new", "b"]


def test_functions_stand_in_nobodys_place() -> None:
    def named(name: str) -> Policy:
        return lambda following: Step(name)(following)

    assert paths([named("a")], view=[named("b")])["view"] == ["b", "a"]


def test_what_a_view_leaves_is_made_once() -> None:
    service: list[Policy] = [A("a"), B("b"), C("c")]
    found = paths(service, one=[B("b1")], two=[B("b2")], three=[C("c3"), Step("d3")])
    assert found == {
        "": ["a", "b", "c"],
        "one": ["a", "b1", "c"],
        "two": ["a", "b2", "c"],
        "three": ["a", "b", "c3", "d3"],
    }
    assert sorted(Step.made) == ["a", "b", "b1", "b2", "c", "c3", "d3"]


def test_without_views_there_is_nothing_between() -> None:
    def transport(_request: UpstreamRequest) -> UpstreamResponse:
        return answer()

    assert chains([], {}, transport, make_context()) == (transport, {})


def test_a_layer_that_parts_does_not_hide_what_comes_early() -> None:
    class Early(A):
        def __call__(self, following: Handler) -> Handler:
            handle: Any = super().__call__(following)
            handle.early = self.name
            return handle  # type: ignore[no-any-return]

    usual, _ = chains([Early("a")], {"view": [Early("b")]}, _never, make_context())
    assert getattr(usual, "early", None) == "a"
    usual, _ = chains([A("a")], {"view": [Early("b")]}, _never, make_context())
    assert getattr(usual, "early", None) is None


def _never(_request: UpstreamRequest) -> UpstreamResponse:
    raise AssertionError


def test_views_are_told_apart_by_their_endpoint() -> None:
    things, stub = open_service(policies=[A("a"), B("b")])

    @things.get("/plain")
    def plain() -> Response:
        return things.forward()

    @things.get("/own")
    @with_policies(B("outer"))
    @with_policies(C("inner"), A("a2"))
    def own() -> Response:
        return things.forward()

    app = make_app(things)
    for path in ("plain", "own", "other"):
        assert call(app, f"/things/{path}").status == 200
    steps = [asked.headers["X-Step"] for asked in stub.requests]
    assert steps == ["a, b", "a2, outer, inner", "a, b"]


def test_another_service_has_its_own_policies_also_from_such_a_view() -> None:
    things, _ = open_service(policies=[A("a")])
    others, stub = open_service(name="others", prefix="/others", policies=[A("b")])

    @things.get("/own")
    @with_policies(A("a2"))
    def own() -> Response:
        return others.forward()

    assert call(make_app(things, others), "/things/own").status == 200
    assert stub.requests[0].headers["X-Step"] == "b"


def test_the_bulkhead_stays_one_and_the_circuit_of_a_view_is_its_own() -> None:
    down: list[str] = []

    def backend(_method: str, url: str, *_rest: object) -> Any:
        if url.rpartition("/")[2] in down:
            raise ConnectFailed
        return 200, {}, b"ok"

    things, stub = open_service(
        backend=backend, policies=[Bulkhead(limit=1), CircuitBreaker(failures=3)]
    )

    def view(name: str, *own: Policy) -> None:
        view_of = with_policies(*own)(functools.partial(things.forward))
        things.add_url_rule(f"/{name}", name, view_of)

    view("frail", CircuitBreaker(failures=1))
    view("twice", Retry(attempts=2))
    app = make_app(things)
    gateway = app.extensions["gateway"]

    down[:] = ["frail"]
    assert [call(app, "/things/frail").code for _ in range(2)] == [
        "connection_refused",
        "circuit_open",
    ]
    assert gateway.state.get("circuit/things") is None
    assert gateway.state.get("circuit/things/things.frail")["open"]
    assert call(app, "/things/other").status == 200

    down[:] = ["other"]
    for _ in range(3):
        call(app, "/things/other")
    assert call(app, "/things/other").code == "circuit_open"
    sent = len(stub.requests)
    assert call(app, "/things/twice").code == "circuit_open"  # the service's, inside its Retry
    assert len(stub.requests) == sent
    things_chain = gateway.runtimes["things"]
    (compartment,) = _cells(things_chain.handler, "Compartment")
    assert _cells(things_chain.views["things.frail"], "Compartment") == [compartment]
    assert _cells(things_chain.views["things.twice"], "Compartment") == [compartment]


def _cells(handler: Any, name: str) -> list[Any]:
    """The handlers of this class around and inside a handler, as far as closures show them."""
    found = [handler] if type(handler).__name__ == name else []
    for cell in getattr(handler, "__closure__", None) or ():
        if callable(cell.cell_contents):
            found += _cells(cell.cell_contents, name)
    return found


def test_a_view_keeps_its_answers_as_it_says() -> None:
    def backend(*_asked: object) -> tuple[int, dict[str, str], bytes]:
        return 200, {"Content-Length": "2"}, b"ok"

    things, _ = open_service(backend=backend, policies=[Cache(), CircuitBreaker()])
    plain, _ = open_service(name="plain", prefix="/plain", backend=backend)
    for service in (things, plain):
        view = with_policies(Cache(ttl=60))(functools.partial(service.forward))
        service.add_url_rule("/kept", "kept", view)
    app = make_app(things, plain)
    for path, told in {
        "/things/kept": [["MISS"], ["HIT"]],
        "/things/other": [["MISS"], ["BYPASS"]],  # the service's own has nothing to go by
        "/plain/kept": [["MISS"], ["HIT"]],
        "/plain/other": [[], []],
    }.items():
        assert [call(app, path).header("X-Cache") for _ in range(2)] == told


def test_a_fallback_of_a_view_sends_through_the_other_services_chain() -> None:
    things, _ = open_service(policies=[A("a")])
    shadow, stub = open_service(name="shadow", prefix="/shadow", policies=[A("b")])

    @things.get("/own")
    @with_policies(Fallback(service="shadow", statuses={500}), A("a2"))
    def own() -> Response:
        return things.forward()

    things.session = open_service(backend=lambda *_: (500, {}, b""))[1].session()
    assert call(make_app(things, shadow), "/things/own").header("X-Fallback") == ["service"]
    assert stub.requests[0].headers["X-Step"].endswith("b")


def noted(*policies: Policy) -> Callable[[], str]:
    """A function with these policies."""

    @with_policies(*policies)
    def view() -> str:
        return ""

    return view


def test_wraps_hands_policies_on_and_not_back() -> None:
    first = noted(A("a"))

    @with_policies(B("b"))
    @functools.wraps(first)
    def second() -> str:
        return first()

    assert policies_of(first) == (A("a"),)
    assert policies_of(second) == (B("b"), A("a"))


def test_uses_that_make_no_sense() -> None:
    things, _ = open_service()
    with pytest.raises(TypeError, match="has policies="):
        with_policies(A("a"))(things)  # type: ignore[type-var]
    with pytest.raises(ValueError, match="needs a policy"):
        with_policies()


def faults(*services: Service) -> list[str]:
    """What is wrong with a gateway of these services."""
    with pytest.raises(ConfigurationError) as raised:
        make_app(*services)
    return list(raised.value.faults)


def test_faults_name_the_view_and_the_line() -> None:
    things, _ = open_service(policies=[Fallback(), Mirror(to="nowhere"), Retry()])
    things.add_url_rule("/a", "a", noted(Retry(attempts=0)))
    things.add_url_rule("/b", "b", noted(Retry))  # type: ignore[arg-type]
    things.add_url_rule("/c", "c", noted(Retry(), Bulkhead(limit=0), Fallback(status=20)))
    service, *found = faults(things)
    assert service.startswith("service 'things': Mirror: there is no service 'nowhere'")
    place = f"({__file__}:{noted.__code__.co_firstlineno + 3})"
    assert all(one.endswith(place) for one in found)
    a, b, *c = found
    assert a.startswith("view 'things.a': Retry: ")
    assert b.startswith("view 'things.b': <class 'gateway.policies.retry.Retry'> is no policy")
    assert [one.partition(" (")[0] for one in c] == [
        "view 'things.c': Bulkhead works per request and must come before Retry",
        "view 'things.c': Fallback: status=20 must be from 200 to 599",
        "view 'things.c': Bulkhead: limit=0 must be 1 or more, or None",
    ]


def test_a_view_of_no_service_is_a_fault() -> None:
    app_wide = Blueprint("pages", __name__)
    app_wide.add_url_rule("/x", "x", noted(A("a")))
    things, _ = open_service()
    things.record(lambda state: state.app.register_blueprint(app_wide))
    found = faults(things)
    assert any(
        one.startswith("view 'pages.x': with_policies is for views of a service (") for one in found
    )


SOURCE = """
from gateway import Service, public, with_policies
from tests.test_view_policies import A

things = public(Service("things", __name__, url_prefix="/things", upstream="http://t.test"))

@with_policies(A("a"))
def helper():
    return things.forward()

@with_policies(A("b"))
@things.get("/x")
def view():
    return helper()
"""


def test_a_function_that_is_no_view_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("things_of_a_test")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(SOURCE, "/team/things.py", "exec"), vars(module))
    assert getattr(module.view, MARK)
    assert faults(module.things) == ["helper has policies and is no view (/team/things.py:7)"]
    other, _ = open_service()
    other.import_name = module.__name__
    app = make_app(other)  # what is in the module may belong to another gateway's service
    assert call(app, "/things/x").status == 200
