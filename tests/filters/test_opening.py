"""Lists of filters that make no sense are faults at start; a gateway without any pays nothing."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from flask import Flask, Request

from gateway import Cache, ConfigurationError, Frontend, Service, create_app
from gateway.application import Gateway
from gateway.filters import error, post, pre, route
from tests.support.wsgi import call, make_settings, open_service


def made(
    *filters: Any, services: Sequence[Service] | None = None, given: Any = None, **settings: Any
) -> Flask:
    """A gateway with these filters."""
    listed = list(filters) if given is None else given
    own = [open_service()[0]] if services is None else services
    return create_app(make_settings(**settings), services=own, filters=listed)


def faults_of(*filters: Any, **options: Any) -> list[str]:
    """What is wrong, without the places."""
    with pytest.raises(ConfigurationError) as caught:
        made(*filters, **options)
    return list(caught.value.faults)


@pre()
def fine(_request: Request) -> None:
    """A filter that is in order."""


def plain(_request: Request) -> None:
    """No filter."""


async def awaiting(_request: Any) -> None:
    """Nobody would await it."""


class Awaiting:
    """Nor this."""

    async def __call__(self, _request: Any) -> None: ...


def two(_one: object, _other: object) -> None:
    """Takes two."""


def test_what_is_no_filter() -> None:
    (fault,) = faults_of(fine, plain)
    assert fault.startswith(f"FILTERS: plain ({__file__}:")
    assert "is no filter: pre, route, post or error of gateway.filters makes it one" in fault
    assert faults_of(given=fine) == ["FILTERS: filters must be a list"]
    service, _ = open_service(filters=[plain, 7])
    first, second = faults_of(services=[service])
    assert first.startswith(f"service 'things' ({service.declared_at}): plain (")
    assert ": 7 is no filter" in second


def test_functions_that_cannot_be_called_so() -> None:
    def wrong(decorate: Callable[..., Any], function: Any, **options: Any) -> list[str]:
        noted = decorate(name="x", **options)(function)
        try:
            return faults_of(noted)
        finally:
            del noted.__gateway_filter__

    place = f"({__file__}:{awaiting.__code__.co_firstlineno})"
    assert wrong(pre, awaiting) == [f"filter 'x': it is async: the gateway awaits nothing {place}"]
    assert wrong(post, Awaiting()) == ["filter 'x': it is async: the gateway awaits nothing"]
    for decorate, function, count in (
        (pre, two, "1 argument"),
        (error, two, "1 argument"),
        (route, plain, "2 arguments"),
    ):
        (fault,) = wrong(decorate, function)
        assert f"it must take {count}: " in fault
    (fault,) = wrong(pre, plain, only=two)
    assert "only must take 1 argument: " in fault
    (fault,) = wrong(pre, plain, only=7)
    assert "only is no function" in fault


def test_options_that_make_no_sense() -> None:
    @pre(order=True, name="a b")
    def one(_request: Request) -> None: ...

    @error(of=())
    def none(_failure: Exception) -> None: ...

    @error(of="UpstreamError")  # type: ignore[arg-type]
    def word(_failure: Exception) -> None: ...

    @pre(order="first")  # type: ignore[arg-type]
    def first(_request: Request) -> None: ...

    faults = [fault.rpartition(" (")[0] for fault in faults_of(one, none, word, first)]
    assert faults == [
        "filter 'a b': its name must be letters, digits, `_`, `-` and `.`, 64 at most",
        "filter 'a b': order=True must be a whole number",
        "filter 'none': of=() must be a class of exceptions, or several",
        "filter 'word': of='UpstreamError' must be a class of exceptions, or several",
        "filter 'first': order='first' must be a whole number",
    ]


def test_a_function_is_one_filter() -> None:
    with pytest.raises(TypeError, match="'fine' is a filter already, of phase pre"):
        post()(fine)  # type: ignore[type-var]

    @post()
    @functools.wraps(fine)
    def wrapper(_response: Any) -> None:
        """What is noted on the wrapped one is not its own."""

    assert call(made(fine, wrapper_named(wrapper)), "/things/7").status == 200
    with pytest.raises(TypeError, match="cannot be made a filter"):
        pre()([].append)  # type: ignore[type-var]


def wrapper_named(function: Any) -> Any:
    """The same function with a name of its own: functools.wraps gave it the other's."""
    del function.__gateway_filter__
    return post(name="wrapper")(function)


def test_names_are_unique_and_nothing_is_there_twice() -> None:
    @post(name="fine")
    def other(_response: Any) -> None: ...

    (fault,) = faults_of(fine, other)
    assert fault.startswith("two filters are named 'fine' (")
    assert f"{__file__}:{other.__code__.co_firstlineno}" in fault
    twice = "filter 'fine' is there twice: it would be called twice"
    assert faults_of(fine, fine) == [twice]
    assert faults_of(fine, services=[open_service(filters=[fine])[0]]) == [twice]


def test_off_names_what_there_is() -> None:
    assert faults_of(fine, FILTERS_OFF=("fine", "find")) == [
        "FILTERS_OFF: there is no filter 'find'"
    ]
    assert faults_of(FILTERS_OFF=("fine",)) == ["FILTERS_OFF: there is no filter 'fine'"]


def test_what_never_forwards_has_no_route_filter() -> None:
    @route()
    def layer(request: Any, following: Any) -> Any:
        return following(request)

    service, _ = open_service()
    front = Frontend("front", __name__, url_prefix="/front", uses=[service], filters=[layer])
    (fault,) = faults_of(services=[service, front])
    assert fault == (
        f"service 'front' ({front.declared_at}): route filter 'layer' would do nothing:"
        " it has no backend"
    )


def test_all_faults_are_told_at_once() -> None:
    service, _ = open_service(filters=[7])
    assert len(faults_of(plain, services=[service], FILTERS_OFF=("x",), BIND="unix:/s")) == 4


def test_without_filters_nothing_of_them_is_loaded() -> None:
    script = """
import sys
from gateway import Service, create_app, public
service = Service("things", "things", url_prefix="/things", upstream="")
app = create_app(services=[public(service)])
gateway = app.extensions["gateway"]
assert gateway.filters is None and not gateway.pulse._actions
assert len(app.before_request_funcs[None]) == 1 and not app.after_request_funcs
print([name for name in sys.modules if name.startswith("gateway.filters")])
"""
    environ = {"JWT_SECRET": "x" * 32, "STATE_URL": "memory://", "WEB_CONCURRENCY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.parametrize("where", ["gateway", "service"])
@pytest.mark.parametrize("phase", ["pre", "route", "post", "error"])
def test_a_kept_answer_comes_early_only_past_filters_that_would_not_see_it(
    where: str, phase: str
) -> None:
    seen: list[str] = []
    phases: dict[str, Any] = {"pre": pre, "route": route, "post": post, "error": error}

    def noting(given: Any, following: Any = None) -> Any:
        seen.append(phase)
        return following(given) if following else None

    seeing = phases[phase](name="seeing")(noting)

    fields = {"Cache-Control": "max-age=60", "Content-Length": "4"}
    options: dict[str, Any] = {
        "policies": [Cache(shared=True)],
        "backend": lambda *_: (200, fields, b"kept"),
    }
    if where == "service":
        options["filters"] = [seeing]
    service, stub = open_service(**options)
    app = made(*([seeing] if where == "gateway" else []), services=[service])
    for _ in range(3):
        answer = call(app, "/things/7")
        assert answer.body == b"kept"
    assert len(stub.requests) == 1
    assert len(seen) == (0 if phase == "error" else 3)
    gateway: Gateway = app.extensions["gateway"]
    early = app.wsgi_app._early  # type: ignore[attr-defined]
    assert bool(early is not None and early._places) is (phase == "error")
    assert gateway.filters is not None
