"""Making the application: the order in which a gateway comes up, on one screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Flask
from flask.typing import ResponseReturnValue

from gateway import forwarded
from gateway.authentication.keys import KeySet, load_keys
from gateway.authentication.schemes import SchemeContext, beside_keys, make_authenticator
from gateway.capacity import Capacity
from gateway.configuration import read_services, read_settings, setting_faults
from gateway.edge.door import Door, make_check
from gateway.edge.origin import TrustedProxies
from gateway.error_responses import register_error_handlers
from gateway.errors import ConfigurationError
from gateway.exchange import Handler
from gateway.guard import check_access, make_authenticate
from gateway.observability.access_log import AccessLog
from gateway.ops import make_ops
from gateway.policy import PolicyContext
from gateway.pulse import Pulse
from gateway.rate_limiting import limiter, stores
from gateway.rate_limiting.endpoints import compile_limits
from gateway.rate_limiting.windows import MemoryWindows, Windows
from gateway.registration import (
    add_services,
    kept_from_backends,
    make_runtime,
    narrowed_authenticators,
)
from gateway.routes import Route, compile_routes
from gateway.service import Runtime, Service
from gateway.state import EmbeddedStore, MemoryState, SharedState
from gateway.state.opening import LOADS, open_state
from gateway.upstreams.discovery.eureka_instance import register_gateway
from gateway.upstreams.loads import share_loads
from settings import Settings


@dataclass(slots=True)
class Gateway:
    """What belongs to one application; `app.extensions["gateway"]`."""

    settings: Settings
    keys: KeySet
    windows: Windows
    store: EmbeddedStore | None
    state: SharedState
    loads: SharedState
    pulse: Pulse
    via: str
    capacity: Capacity
    runtimes: dict[str, Runtime] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)


class _Application(Flask):
    """Flask with a check before all hooks: it settles whose hooks are to run."""

    check: Callable[[], None]

    def preprocess_request(self, *args: Any) -> ResponseReturnValue | None:
        self.check()
        return super().preprocess_request(*args)


def create_app(
    settings: Settings | None = None, *, services: Sequence[Service] | None = None
) -> Flask:
    """The WSGI application of a gateway.

    settings: default, from the environment. services: default, `blueprints.SERVICES`, in order.
    Raises ConfigurationError with every fault of settings and services at once. Opens no socket
    and no store: that happens in the worker, at the first request.
    """
    faults: list[str] = []
    if settings is None:
        settings, faults = read_settings()
    if services is None:
        services, wrong_services = read_services()
        faults += wrong_services
    own = services and all(service.authentication is not None for service in services)
    needed = not (own or beside_keys(settings))
    keys, wrong_keys = load_keys(settings.JWT_SECRET, settings.JWT_KEYS, needed=needed)
    faults += wrong_keys
    faults += setting_faults(settings)
    # With faults nothing will run, but the services are looked at too, to name theirs as well.
    windows, store = (MemoryWindows(), None) if faults else stores.open_windows(settings)
    via = settings.VIA_PSEUDONYM or forwarded.default_pseudonym()
    state = MemoryState() if faults else open_state(settings, store)
    capacity = Capacity(settings.worker_concurrency, settings.worker_waiting)
    loads = state if faults or not settings.REDIS_URL else open_state(settings, store, LOADS)
    gateway = Gateway(settings, keys, windows, store, state, loads, Pulse(state), via, capacity)
    contexts = {service.name: _context(service.name, services, gateway) for service in services}
    authenticator = make_authenticator(SchemeContext(settings, keys, state, gateway.pulse))
    narrowed, wrong_schemes = narrowed_authenticators(services, authenticator)
    faults += wrong_schemes

    app = _Application("gateway", static_folder=None)
    app.url_map.strict_slashes = False  # `/x/` must not slip past a view on `/x`
    app.url_map.merge_slashes = False
    app.extensions["gateway"] = gateway
    register_error_handlers(app)
    app.check = make_check(gateway.routes)  # room 1
    app.before_request(make_authenticate(authenticator, narrowed))  # room 2: who,
    limiter.init_app(app, windows, headers=settings.RATE_LIMIT_HEADERS)  # how much,
    app.before_request(check_access)  # and may they
    app.register_blueprint(make_ops(gateway))
    faults += add_services(app, services, contexts)

    routes, unguarded = compile_routes(app)
    gateway.routes.update(routes)
    faults += unguarded
    faults += compile_limits(
        app, routes, default=settings.RATE_LIMIT_DEFAULT, user=settings.RATE_LIMIT_USER
    )
    if faults:
        raise ConfigurationError(faults)
    for service in services:
        context = contexts[service.name]
        gateway.runtimes[service.name] = make_runtime(
            service, settings, via, context, kept_from_backends(authenticator, narrowed)
        )
    share_loads(gateway.runtimes, state, gateway.loads, gateway.pulse)
    if settings.EUREKA_APP:
        register_gateway(settings, gateway.pulse)
    proxies = TrustedProxies(settings.TRUSTED_PROXIES)
    log = AccessLog() if settings.ACCESS_LOG else None
    app.wsgi_app = Door(app.wsgi_app, proxies, log, gateway.pulse.begin)  # type: ignore[method-assign]  # Flask's way
    return app


def _context(name: str, services: Sequence[Service], gateway: Gateway) -> PolicyContext:
    def handler_of(other: str) -> Handler:
        # Looked up when used: services are made one after the other.
        return lambda request: gateway.runtimes[other].handler(replace(request, service=other))

    return PolicyContext(
        service=name,
        services=frozenset(service.name for service in services),
        settings=gateway.settings,
        state=gateway.state,
        pulse=gateway.pulse,
        handler_of=handler_of,
    )
