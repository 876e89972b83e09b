"""Policies of single views: noted on the view, judged at start, and put into its service's chain.

    @orders.get("/report")
    @with_policies(Cache(ttl=60))
    def report():
        return orders.forward()

What a view leaves as it is stays the service's own, one object for all of its requests: there is
one bulkhead of the service and one circuit, however many views have policies of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import FunctionType, MethodType
from typing import Any, TypeVar

from flask import Flask

from gateway.exchange import (
    Early,
    Handler,
    Policy,
    UpstreamRequest,
    UpstreamResponse,
    early_of,
)
from gateway.policy import PolicyContext, chain, order_faults, policy_faults
from gateway.routes import Route
from gateway.service import Service

V = TypeVar("V", bound=Callable[..., Any])

MARK = "__gateway_policies__"

#: Policies without a class of their own: each is another one.
_BARE = (FunctionType, MethodType, partial)


@dataclass(frozen=True, slots=True)
class Declared:
    """The policies of one `with_policies`, and where it stands."""

    policies: tuple[Policy, ...]
    place: str


def with_policies(*policies: Policy) -> Callable[[V], V]:
    """Give a view of a service policies of its own, outermost first, for what it forwards to that
    service with `service.forward()`.

    One of a class that the service has, too, takes its place; a transform takes nobody's. A further
    one stands around the service's, inside of those listed before it, and no further in than the
    order of policies asks for. All others of the service are used by the view as they are: they are
    not made twice. What a view's policy counts is the view's alone: a CircuitBreaker of a view is a
    circuit of its own.

    Faults at start: a list that makes no sense for the service, and a function that is no view of
    one. Raises TypeError for a service, which has `policies=`, and ValueError without a policy.
    """
    if not policies:
        raise ValueError("with_policies needs a policy")
    frame = sys._getframe(1)
    declared = Declared(policies, f"{frame.f_code.co_filename}:{frame.f_lineno}")

    def note(view: V) -> V:
        if not callable(view):
            raise TypeError(f"with_policies is for views; {view!r} has policies=[...]")
        # A new list each time: functools.wraps hands the old one on to other functions.
        setattr(view, MARK, [declared, *getattr(view, MARK, ())])
        return view

    return note


@dataclass(frozen=True, slots=True)
class Layers:
    """Where a view's policies stand among its service's. instead: what takes the place of the
    service's policy at an index; nothing where it is left out. gaps: what stands right around it;
    at the number of policies, what is innermost."""

    instead: dict[int, list[Policy]] = field(default_factory=dict)
    gaps: dict[int, list[Policy]] = field(default_factory=dict)

    @classmethod
    def of(cls, own: Sequence[Policy], service: Sequence[Policy], first: int = 0) -> Layers:
        """See with_policies. first: the outermost gap in which they may stand."""
        layers = cls()
        gap = first  # the outermost in which the next one may stand
        for policy in own:
            places = [place for place, other in enumerate(service) if _alike(policy, other)]
            for place in places:
                layers.instead.setdefault(place, [])
            if places:
                layers.instead[places[0]].append(policy)
                gap = places[0] + 1
            else:
                gap = layers._fitting(policy, service, gap)
                layers.gaps.setdefault(gap, []).append(policy)
        return layers

    @classmethod
    def inside(cls, own: Sequence[Policy], service: Sequence[Policy]) -> Layers:
        """As far in as they make sense, but around what sends requests more than once."""
        repeats = (place for place, one in enumerate(service) if getattr(one, "repeats", False))
        known = order_faults(service)
        for gap in range(next(repeats, len(service)), 0, -1):
            layers = cls.of(own, service, gap)
            if all(fault in known for fault in order_faults(layers.among(service))):
                return layers
        return cls.of(own, service)

    def _fitting(self, policy: Policy, service: Sequence[Policy], first: int) -> int:
        """The outermost gap from the first one in which a policy makes sense; the first if none."""
        known = order_faults(self.among(service))
        for gap in range(first, len(service) + 1):
            tried = Layers(self.instead, {**self.gaps, gap: [*self.gaps.get(gap, ()), policy]})
            if all(fault in known for fault in order_faults(tried.among(service))):
                return gap
        return first

    def among(self, service: Sequence[Policy]) -> list[Policy]:
        """All that the view's requests go through, outermost first."""
        found: list[Policy] = []
        for place, policy in enumerate(service):
            found += [*self.gaps.get(place, ()), *self.instead.get(place, (policy,))]
        return [*found, *self.gaps.get(len(service), ())]


def _alike(one: Policy, other: Policy) -> bool:
    if isinstance(one, _BARE) or getattr(one, "stacks", False):
        return False
    return type(one) is type(other)


def policies_of(view: object) -> tuple[Policy, ...]:
    """What `with_policies` noted on a view; empty for nothing."""
    return tuple(policy for one in getattr(view, MARK, ()) for policy in one.policies)


def view_policies(
    app: Flask,
    routes: Mapping[str, Route],
    contexts: Mapping[str, PolicyContext],
    carriers: Mapping[str, Sequence[Service]],
) -> tuple[dict[str, dict[str, tuple[Policy, ...]]], list[str]]:
    """The policies of views by service and endpoint, and all that is wrong with them. carriers: see
    registration.carriers_of."""
    found: dict[str, dict[str, tuple[Policy, ...]]] = {}
    faults: list[str] = []
    for endpoint, route in routes.items():
        view = app.view_functions[endpoint]
        own = policies_of(view)
        if not own:
            continue
        where = ", ".join(one.place for one in getattr(view, MARK))
        if route.service is None or route.service.name not in contexts:
            wrong = ["with_policies is for views of a service"]
        elif not route.service.forwards:
            wrong = ["its service forwards nothing: policies are the services' that it asks"]
        else:
            wrong = _faults(own, carriers[route.service.name], contexts)
            found.setdefault(route.service.name, {})[endpoint] = own
        faults += [f"view {endpoint!r}: {fault} ({where})" for fault in wrong]
    return found, faults + list(_astray(app, routes))


def _faults(
    own: Sequence[Policy], carriers: Sequence[Service], contexts: Mapping[str, PolicyContext]
) -> list[str]:
    """What is wrong with a view's policies, less what is wrong with the service's anyway."""
    found: dict[str, None] = {}
    for service in carriers:
        context = contexts[service.name]
        known = policy_faults(service.policies, context)
        together = Layers.of(own, service.policies).among(service.policies)
        found |= dict.fromkeys(one for one in policy_faults(together, context) if one not in known)
    return list(found)


def _astray(app: Flask, routes: Mapping[str, Route]) -> Iterator[str]:
    """Functions of the services' modules whose policies reach no view.

    A module with a service that is not this application's is left out: they may be its views.
    """
    services = {id(route.service): route.service for route in routes.values() if route.service}
    views = app.view_functions.values()
    used = {id(one) for view in views for one in getattr(view, MARK, ())}
    for name in dict.fromkeys(service.import_name for service in services.values()):
        things = list(vars(sys.modules[name]).values()) if name in sys.modules else []
        if any(isinstance(one, Service) and id(one) not in services for one in things):
            continue
        for thing in things:
            if isinstance(thing, FunctionType) and thing.__module__ == name:
                for one in getattr(thing, MARK, ()):
                    if id(one) not in used:
                        yield f"{thing.__name__} has policies and is no view ({one.place})"


class _Parting:
    """A layer that some views have otherwise: to each request its own. It has no state."""

    __slots__ = ("_others", "_usual", "early")

    def __init__(self, usual: Handler, others: Mapping[str, Handler]) -> None:
        self._usual = usual
        self._others = others
        # Of requests that no view answers: those of a view are never passed by.
        self.early: Early | None = early_of(usual)

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        return self._others.get(request.view, self._usual)(request)


def chains(
    policies: Sequence[Policy],
    views: Mapping[str, Sequence[Policy]],
    transport: Handler,
    context: PolicyContext,
) -> tuple[Handler, dict[str, Handler]]:
    """The chain of a service, and those of its views with policies of their own, by endpoint: for
    requests that have it as `view`."""
    if not views:
        return chain(policies, transport, context), {}
    parts = [
        _Part(endpoint, Layers.of(own, policies), replace(context, view=endpoint))
        for endpoint, own in views.items()
    ]
    handler = transport
    for place in reversed(range(len(policies))):
        inner = _parted(handler, handler, {part: part.layers.gaps.get(place + 1) for part in parts})
        usual = chain(policies[place : place + 1], inner, context)
        handler = _parted(usual, inner, {part: part.layers.instead.get(place) for part in parts})
    return handler, {
        part.endpoint: chain(part.layers.gaps.get(0, ()), handler, part.context) for part in parts
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What one view has otherwise."""

    endpoint: str
    layers: Layers
    context: PolicyContext


def _parted(
    usual: Handler, following: Handler, others: Mapping[_Part, Sequence[Policy] | None]
) -> Handler:
    """A layer where some views have these policies around `following` instead of `usual`."""
    handlers = {
        part.endpoint: chain(policies, following, part.context)
        for part, policies in others.items()
        if policies is not None
    }
    return _Parting(usual, handlers) if handlers else usual
