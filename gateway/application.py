"""Making the application: the order in which a gateway comes up, on one screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask.typing import ResponseReturnValue

from gateway import forwarded
from gateway.admission import Admission
from gateway.authentication.accepted import AcceptedSchemes
from gateway.authentication.keys import KeySet, load_keys
from gateway.authentication.schemes import SchemeContext, beside_keys
from gateway.authorization.judging import wrong_policies
from gateway.capacity import Capacity
from gateway.configuration import read_services, read_settings, setting_faults
from gateway.database.opening import Records, open_records
from gateway.early import answering_early
from gateway.edge.door import Door, make_check
from gateway.edge.origin import TrustedProxies
from gateway.error_responses import register_error_handlers
from gateway.errors import ConfigurationError
from gateway.exchange import Handler
from gateway.guard import make_authenticate, make_check_access
from gateway.observability.access_log import AccessLog
from gateway.observability.security_log import SecurityLog, open_security_log
from gateway.ops import make_ops
from gateway.policy import PolicyContext
from gateway.pulse import Pulse
from gateway.rate_limiting import limiter, stores
from gateway.rate_limiting.addresses import judge_by_address, limit_addresses
from gateway.rate_limiting.concurrency.opening import limit_concurrency
from gateway.rate_limiting.context import open_limits
from gateway.rate_limiting.endpoints import compile_limits
from gateway.rate_limiting.memory import MemoryWindows
from gateway.rate_limiting.windows import Windows
from gateway.registration import add_services, make_runtime
from gateway.routes import Route, compile_routes
from gateway.service import Runtime, Service
from gateway.state import EmbeddedStore, MemoryState, SharedState
from gateway.state.opening import LOADS, open_state
from gateway.telling import open_internal_tokens, signed_fields
from gateway.upstreams.discovery.eureka_instance import register_gateway
from gateway.upstreams.loads import share_loads
from gateway.view_policies import view_policies
from settings import Settings

if TYPE_CHECKING:
    from gateway.authentication.internal_tokens import InternalTokens


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
    records: Records | None
    tokens: InternalTokens | None
    security: SecurityLog | None
    runtimes: dict[str, Runtime] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)
    #: See PolicyContext.commons.
    commons: dict[str, Any] = field(default_factory=dict)


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
    gateway = _opened(settings, services, faults)
    contexts = {service.name: _context(service.name, services, gateway) for service in services}
    schemes = AcceptedSchemes(services, _scheme_context(gateway))
    limits = open_limits(settings, gateway.windows, gateway.records)
    judge, wrong_rates = judge_by_address(limits)
    faults += schemes.faults + wrong_rates

    app = _Application("gateway", static_folder=None)
    app.url_map.strict_slashes = False  # `/x/` must not slip past a view on `/x`
    app.url_map.merge_slashes = False
    app.extensions["gateway"] = gateway
    register_error_handlers(app)
    app.check = make_check(gateway.routes)  # room 1
    limiter.init_app(app, limits)
    endpoints = app.extensions["gateway_limits"]
    by_address, wrong_limits = limit_addresses(endpoints, limits)
    faults += wrong_limits
    admission = Admission()
    admission.add(  # room 2:
        by_address,  # not too many from one address,
        make_authenticate(schemes, gateway.security, judge),  # who,
        limiter.step(endpoints, limits),  # how much,
        make_check_access(gateway.security),  # may they,
    )
    app.before_request(admission.hook)
    app.register_blueprint(make_ops(gateway))
    if settings.ADMIN_PREFIX:
        from gateway.admin import add_admin  # only if used

        faults += add_admin(app, gateway, services)
    faults += add_services(app, services, contexts)

    routes, unguarded = compile_routes(app)
    gateway.routes.update(routes)
    faults += unguarded
    faults += wrong_policies(routes, schemes.credential_fields)
    views, wrong_views = view_policies(app, routes, contexts)
    faults += wrong_views
    faults += compile_limits(
        app, routes, default=settings.RATE_LIMIT_DEFAULT, user=settings.RATE_LIMIT_USER
    )
    by_number, wrong_limits = limit_concurrency(app, routes, gateway, limits)
    faults += wrong_limits
    admission.add(by_number)  # and not too many at a time
    if faults:
        raise ConfigurationError(faults)
    for service in services:
        gateway.runtimes[service.name] = make_runtime(
            service,
            settings,
            gateway.via,
            contexts[service.name],
            schemes.kept_from(service.name),
            gateway.tokens,
            schemes.caller_fields,
            views.get(service.name, {}),
        )
    if gateway.security is not None:
        schemes.watch(gateway.security, signed_fields(gateway.tokens))
    share_loads(gateway.runtimes, gateway.state, gateway.loads, gateway.pulse)
    if settings.EUREKA_APP:
        register_gateway(settings, gateway.pulse)
    proxies = TrustedProxies(settings.TRUSTED_PROXIES)
    log = AccessLog() if settings.ACCESS_LOG else None
    early = answering_early(app, gateway, admission, schemes)
    app.wsgi_app = Door(app.wsgi_app, proxies, log, gateway.pulse.begin, early)  # type: ignore[method-assign]  # Flask's way
    return app


def _opened(settings: Settings, services: Sequence[Service], faults: list[str]) -> Gateway:
    """What the application works with; adds what is wrong with it to `faults`."""
    own = services and all(service.authentication is not None for service in services)
    needed = not (own or beside_keys(settings))
    keys, wrong_keys = load_keys(settings.JWT_SECRET, settings.JWT_KEYS, needed=needed)
    faults += wrong_keys
    faults += setting_faults(settings)
    # With faults nothing will run, but the services are looked at too, to name theirs as well.
    windows, store = (MemoryWindows(), None) if faults else stores.open_windows(settings)
    state = MemoryState() if faults else open_state(settings, store)
    loads = state if faults or not settings.REDIS_URL else open_state(settings, store, LOADS)
    tokens, wrong_tokens = open_internal_tokens(settings)
    faults += wrong_tokens
    pulse = Pulse(state)
    return Gateway(
        settings=settings,
        keys=keys,
        windows=windows,
        store=store,
        state=state,
        loads=loads,
        pulse=pulse,
        via=settings.VIA_PSEUDONYM or forwarded.default_pseudonym(),
        capacity=Capacity(settings.worker_concurrency, settings.worker_waiting),
        records=open_records(settings, pulse),
        tokens=tokens,
        security=open_security_log(settings),
    )


def _scheme_context(gateway: Gateway) -> SchemeContext:
    return SchemeContext(
        settings=gateway.settings,
        keys=gateway.keys,
        state=gateway.state,
        pulse=gateway.pulse,
        records=gateway.records,
        security=gateway.security,
    )


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
        commons=gateway.commons,
    )
