"""What legs are sent with: the services' chains, and who may ask them. One for an application."""

from __future__ import annotations

import threading
from collections.abc import Callable, Set
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache
from flask import Flask

from gateway.aggregation.access import LegAccess, check
from gateway.aggregation.asking import Call
from gateway.aggregation.keeping import Keeping
from gateway.aggregation.leg import Leg
from gateway.aggregation.outline import ClientRequest, outlined
from gateway.errors import Refusal
from gateway.exchange import Handler, Policy
from gateway.policy import PolicyContext, policy_faults
from gateway.view_policies import Layers, policies_of

if TYPE_CHECKING:
    from gateway.application import Gateway
    from gateway.service import Runtime, Service

_NAME = "aggregation"
#: Chains with a cache of a leg's own that a worker remembers.
_CHAINS = 256


class Dispatcher:
    """Makes calls of legs. This worker's own: it remembers the chains that caches of legs need."""

    def __init__(self, app: Flask) -> None:
        gateway: Gateway = app.extensions["gateway"]
        self._gateway = gateway
        self._views = app.view_functions
        self._access = LegAccess(app, gateway.routes)
        self._aside = None if gateway.aside is None else LegAccess(*gateway.aside)
        self._cached: LRUCache[tuple[str, str, str], Handler] = LRUCache(_CHAINS)
        self._caching = threading.Lock()

    @classmethod
    def of(cls, app: Flask) -> Dispatcher:
        """The application's."""
        commons = app.extensions["gateway"].commons
        found: Dispatcher | None = commons.get(_NAME)
        if found is None:
            found = commons.setdefault(_NAME, cls(app))
        return found

    def call(
        self,
        leg: Leg,
        client: ClientRequest,
        end: float,
        abandoned: Callable[[], bool],
        most: int,
    ) -> Call:
        """The call of a leg that is over by the monotonic time `end`, with `most` bytes of answer.

        Raises Refusal if the caller may not ask the service for it, and ValueError for a leg that
        no caller could ask.
        """
        runtime = self._runtime(leg)
        variables = partial(self._access_of(leg.service).variables, leg.service, leg.method)
        request = outlined(leg, client, runtime, end, abandoned, variables)
        path = request.requester.target[0] if request.requester else ""
        view = self._view(leg, client, runtime, path)
        if view:
            request = replace(request, view=view)
        return Call(self._handler(leg, runtime, view), request, most)

    def _view(self, leg: Leg, client: ClientRequest, runtime: Runtime, path: str) -> str:
        """The view that has policies of its own for what a leg asks for; empty for none. Raises
        Refusal, see `call`."""
        if leg.trusted and not runtime.views:
            return ""
        service = leg.service
        try:
            route = self._access_of(service).route(service, leg.method, path)
        except Refusal:
            if not leg.trusted:
                raise
            return ""
        if not leg.trusted:
            asking = client.environ["gateway.route"].service
            check(route, service, leg.method, client.identity, asking)
        return route.endpoint if route.endpoint in runtime.views else ""

    def _access_of(self, service: Service) -> LegAccess:
        if self._aside is not None and service.name in self._gateway.chosen.needed_by:
            return self._aside
        return self._access

    def _runtime(self, leg: Leg) -> Runtime:
        service: Service = leg.service
        runtime = self._gateway.runtimes.get(service.name)
        if runtime is None:
            raise ValueError(
                f"service {service.name!r} is no part of this gateway: name it in uses"
            )
        if runtime.versions is not None:
            versions = runtime.versions
            return versions.default if leg.version is None else versions.named(leg.version)
        if leg.version is not None:
            raise ValueError(f"service {service.name!r} has no versions")
        return runtime

    def _handler(self, leg: Leg, runtime: Runtime, view: str) -> Handler:
        handler = runtime.views.get(view, runtime.handler)
        if leg.cache is None:
            return handler
        key = (runtime.service.name, view, _options(leg.cache))
        with self._caching:
            found: Handler | None = self._cached.get(key)
        if found is None:
            context = self._gateway.contexts[runtime.service.name]
            if wrong := policy_faults([leg.cache], context):
                raise ValueError(f"cache of a leg to {leg.service.name!r}: {'; '.join(wrong)}")
            found = self._keeping(leg.cache, runtime, view, context, repr(key))
            with self._caching:
                self._cached[key] = found
        return found

    def _keeping(
        self, cache: Policy, runtime: Runtime, view: str, context: PolicyContext, name: str
    ) -> Handler:
        """A cache around a service's chain, and inside of filters: they see every request."""
        inside = runtime.inside or runtime
        own = policies_of(self._views[view]) if view in inside.views else ()
        policies = Layers.of(own, inside.service.policies).among(inside.service.policies)
        handler = inside.views.get(view, inside.handler)
        found: Handler = Keeping(cache, handler, policies, context, name)
        filters = self._gateway.filters
        if filters is None or runtime.inside is None:
            return found
        return filters.around(replace(inside, handler=found, views={})).handler


def _options(cache: Any) -> str:
    """The options of a policy as a text, the same in all workers."""
    told = [(one.name, getattr(cache, one.name)) for one in fields(cache)]
    plain = [(name, sorted(map(repr, one)) if isinstance(one, Set) else one) for name, one in told]
    return f"{type(cache).__name__}{plain}"
