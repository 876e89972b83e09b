"""Filters taken into an application: judged, sorted, and put into their places."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import Flask

from gateway.error_responses import FAILURES
from gateway.filters import phases
from gateway.filters.declaring import PHASES, Filter, Phase, filter_of, place_of
from gateway.filters.steps import Step
from gateway.filters.switches import Switches
from gateway.pulse import Pulse
from gateway.service import Runtime, Service
from gateway.state import SharedState

Function = Callable[..., Any]
#: Where a filter of the whole gateway is; no service has this name.
EVERYWHERE = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """A filter in a list. where: the service's name, or EVERYWHERE."""

    noted: Filter
    function: Function
    where: str


def _place(one: Listed) -> tuple[int, bool, int]:
    """Where it is among all: a gateway's come first on the way in, and last on the way out."""
    phase = one.noted.phase
    ours, way_in = one.where == EVERYWHERE, phase in ("pre", "route")
    return PHASES.index(phase), ours is not way_in, one.noted.order


class Filters:
    """The filters of one application. listed: all of them, as they are called."""

    def __init__(self, listed: Sequence[Listed], switches: Switches) -> None:
        self.listed = sorted(listed, key=_place)
        self.switches = switches
        steps: dict[int, Step] = {}  # a filter of several services is one
        self._steps: dict[tuple[str, Phase], list[Step]] = {}
        for one in self.listed:
            step = steps.setdefault(id(one.function), Step(one.noted, one.function))
            self._steps.setdefault((one.where, one.noted.phase), []).append(step)

    def add(self, app: Flask, pulse: Pulse) -> None:
        """Put hooks and error handlers into an application whose own admission is there already,
        and whose services are still to come."""
        if self.listed:
            pulse.at_beat(self.switches.refresh)
        for (where, phase), steps in self._steps.items():
            name = None if where == EVERYWHERE else where
            # Not through the blueprint: it may be part of other applications, too.
            if phase == "pre":
                hook = phases.before(steps, self.switches)
                app.before_request_funcs.setdefault(name, []).append(hook)
            elif phase == "post":
                last = phases.after(steps, self.switches)
                app.after_request_funcs.setdefault(name, []).append(last)
        self._add_handlers(app)

    def _add_handlers(self, app: Flask) -> None:
        found = {where: steps for (where, phase), steps in self._steps.items() if phase == "error"}
        if found:
            ours = found.pop(EVERYWHERE, [])
            for kind, usual in FAILURES:
                app.register_error_handler(kind, phases.failing(usual, ours, found, self.switches))

    def around(self, runtime: Runtime) -> Runtime:
        """What a service has at run time, with the route filters around its chains."""
        steps = [
            *self._steps.get((EVERYWHERE, "route"), ()),
            *self._steps.get((runtime.service.known_as, "route"), ()),
        ]
        if not steps:
            return runtime
        return replace(
            runtime,
            inside=runtime,
            handler=phases.around(steps, self.switches, runtime.handler),
            views={
                view: phases.around(steps, self.switches, handler)
                for view, handler in runtime.views.items()
            },
        )


def open_filters(
    declared: Sequence[Function],
    services: Sequence[Service],
    off: Sequence[str],
    state: SharedState,
    others: Sequence[Service] = (),
) -> tuple[Filters, list[str]]:
    """The filters of an application, and all that is wrong with them.

    declared: those of the whole gateway. off: names of those that the settings have off; others:
    services of other gateways of the same code, whose filters may be named there, too.
    """
    found, faults = _listed(EVERYWHERE, declared, "FILTERS")
    for service in services:
        more, wrong = _listed(service.name, service.filters, _owner(service))
        found += more
        faults += wrong + _unused(service, more)
    faults += _clashes(found)
    names = {one.noted.name for one in found}
    elsewhere = {
        noted.name
        for service in others
        for function in _functions(service.filters)
        if (noted := filter_of(function)) is not None
    }
    for name in off:
        if name not in names | elsewhere:
            faults.append(f"FILTERS_OFF: there is no filter {name!r}")
    # What is wrong cannot be sorted, and nothing starts with it.
    return Filters(() if faults else found, Switches(names, off, state)), faults


def _owner(service: Service) -> str:
    return f"service {service.name!r} ({service.declared_at})"


def _functions(given: object) -> Sequence[Any]:
    return given if isinstance(given, list | tuple) else ()


def _listed(where: str, given: object, owner: str) -> tuple[list[Listed], list[str]]:
    """The filters of one list, and what is wrong with it."""
    found: list[Listed] = []
    faults: list[str] = []
    if not isinstance(given, list | tuple):
        return [], [f"{owner}: filters must be a list"]
    for function in given:
        noted = filter_of(function)
        if noted is None:
            faults.append(
                f"{owner}: {_name_of(function)} is no filter: pre, route, post or error of"
                " gateway.filters makes it one"
            )
            continue
        at = place_of(function)
        faults += [
            f"filter {noted.name!r}: {fault}{at and f' ({at})'}" for fault in noted.faults(function)
        ]
        found.append(Listed(noted, function, where))
    return found, faults


def _name_of(function: object) -> str:
    at = place_of(function)
    name = getattr(function, "__name__", None) or repr(function)
    return f"{name} ({at})" if at else name


def _unused(service: Service, found: Sequence[Listed]) -> list[str]:
    if service.forwards:
        return []
    return [
        f"{_owner(service)}: route filter {one.noted.name!r} would do nothing: it has no backend"
        for one in found
        if one.noted.phase == "route"
    ]


def _clashes(found: Sequence[Listed]) -> list[str]:
    """Filters that share a name, and such as would be called twice for one request."""
    faults = []
    known: dict[str, Listed] = {}
    places: Mapping[str, set[str]] = {one.noted.name: set() for one in found}
    for one in found:
        name = one.noted.name
        first = known.setdefault(name, one)
        if first.function is not one.function:
            where = f"{place_of(first.function)} and {place_of(one.function)}"
            faults.append(f"two filters are named {name!r} ({where})")
        elif one.where in places[name] or EVERYWHERE in places[name]:
            faults.append(f"filter {name!r} is there twice: it would be called twice")
        places[name].add(one.where)
    return faults
