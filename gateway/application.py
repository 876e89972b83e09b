"""Making the application: the order in which a gateway comes up, on one screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from flask import Flask, Response
from flask.typing import ResponseReturnValue

from gateway import forwarded
from gateway.admission import Admission
from gateway.authentication.accepted import AcceptedSchemes
from gateway.authentication.keys import KeySet, load_keys
from gateway.authentication.schemes import SchemeContext, beside_keys
from gateway.authorization.judging import wrong_policies
from gateway.capacity import Capacity
from gateway.configuration import read_blueprints, read_settings, setting_faults
from gateway.database.opening import Records, open_records
from gateway.domains import Chosen, choose
from gateway.early import answering_early
from gateway.edge.door import Door, make_check
from gateway.edge.origin import TrustedProxies
from gateway.error_responses import log_bug, register_error_handlers
from gateway.errors import ConfigurationError
from gateway.exchange import Handler, Policy, UpstreamRequest, UpstreamResponse
from gateway.guard import make_authenticate, make_check_access
from gateway.observability.access_log import AccessLog
from gateway.observability.security_log import SecurityLog, open_security_log
from gateway.ops import make_ops
from gateway.paths import served_methods
from gateway.policy import PolicyContext
from gateway.pulse import Pulse
from gateway.rate_limiting import limiter, stores
from gateway.rate_limiting.addresses import judge_by_address, limit_addresses
from gateway.rate_limiting.concurrency.opening import limit_concurrency
from gateway.rate_limiting.context import LimitContext, open_limits
from gateway.rate_limiting.endpoints import compile_limits
from gateway.rate_limiting.memory import MemoryWindows
from gateway.rate_limiting.windows import Windows
from gateway.registration import add_services, carriers_of, make_runtime, routes_aside
from gateway.routes import Route, compile_routes
from gateway.service import Runtime, Service
from gateway.state import EmbeddedStore, MemoryState, SharedState
from gateway.state.opening import LOADS, open_state
from gateway.telling import kept_for_tokens, open_internal_tokens, signed_fields
from gateway.upstreams.discovery.eureka_instance import register_gateway
from gateway.upstreams.loads import share_loads
from gateway.view_policies import view_policies
from gateway.webhooks.opening import Webhooks, open_webhooks
from settings import Settings

if TYPE_CHECKING:
    from gateway.authentication.internal_tokens import InternalTokens
    from gateway.filters.opening import Filters


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
    webhooks: Webhooks | None
    tokens: InternalTokens | None
    security: SecurityLog | None
    #: Which services it is for; and the routes that its helpers would have.
    chosen: Chosen
    aside: tuple[Flask, dict[str, Route]] | None = None
    filters: Filters | None = None
    runtimes: dict[str, Runtime] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)
    #: What the policies of each service know of it.
    contexts: dict[str, PolicyContext] = field(default_factory=dict)
    #: See PolicyContext.commons.
    commons: dict[str, Any] = field(default_factory=dict)
    #: What room 2 goes by, for who explains its decisions; None until it is there.
    schemes: AcceptedSchemes | None = None
    limits: LimitContext | None = None

    @property
    def carrying(self) -> dict[str, Runtime]:
        """The runtimes that send requests: not those that leave it to one of their versions."""
        return {name: one for name, one in self.runtimes.items() if one.versions is None}


class _Application(Flask):
    """Flask with a check before all hooks: it settles whose hooks are to run."""

    check: Callable[[], None]

    def preprocess_request(self, *args: Any) -> ResponseReturnValue | None:
        self.check()
        return super().preprocess_request(*args)

    def make_default_options_response(self) -> Response:
        """What a 405 on the same path says, too: no method that a claim only refuses."""
        answer: Response = super().make_default_options_response()
        answer.allow.clear()
        answer.allow.update(served_methods(self))
        return answer

    def log_exception(self, exc_info: Any) -> None:
        """What a view returned that is no answer, or a hook behind it raised."""
        log_bug(exc_info)


def create_app(
    settings: Settings | None = None,
    *,
    services: Sequence[Service] | None = None,
    filters: Sequence[Callable[..., Any]] | None = None,
) -> Flask:
    """The WSGI application of a gateway.

    settings: default, from the environment. services: default, `blueprints.SERVICES`, in order, or
    those of them that are in the domains of the setting DOMAINS. filters: those of all services;
    default, `blueprints.FILTERS` where the services are those of `blueprints`, otherwise none.
    Raises ConfigurationError with every fault of settings and services at once. Opens no socket
    and no store: that happens in the worker, at the first request.
    """
    faults: list[str] = []
    if settings is None:
        settings, faults = read_settings()
    declared, wrong_services = read_blueprints(services, filters)
    chosen, wrong_domains = choose(declared.services, declared.domains, settings.DOMAINS)
    faults += wrong_services + wrong_domains
    services = chosen.services
    gateway = _opened(settings, chosen, faults)
    schemes = AcceptedSchemes(services, _scheme_context(gateway))
    carriers = carriers_of(chosen.all)
    everyone = {one.name: one for one in (*chosen.all, *chain.from_iterable(carriers.values()))}
    asked = frozenset(name for name, one in everyone.items() if one.forwards)
    contexts = {
        name: _context(one, everyone[one.known_as].prefixes, asked, gateway, schemes.written)
        for name, one in everyone.items()
    }
    gateway.contexts.update(contexts)
    limits = open_limits(settings, gateway.windows, gateway.records)
    gateway.schemes, gateway.limits = schemes, limits
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
    _add_filters(app, gateway, declared.filters, faults)
    app.register_blueprint(make_ops(gateway))
    if settings.ADMIN_PREFIX:
        from gateway.admin import add_admin  # only if used

        faults += add_admin(app, gateway, services)
    faults += add_services(app, chosen, contexts, carriers, settings)

    routes, unguarded = compile_routes(app)
    gateway.routes.update(routes)
    if chosen.helpers and not faults:
        gateway.aside = routes_aside(chosen.helpers)
    faults += unguarded
    faults += wrong_policies(routes, schemes.credential_fields)
    views, wrong_views = view_policies(app, routes, contexts, carriers)
    faults += wrong_views
    faults += compile_limits(
        app, routes, default=settings.RATE_LIMIT_DEFAULT, user=settings.RATE_LIMIT_USER
    )
    by_number, wrong_limits = limit_concurrency(app, routes, gateway, limits)
    faults += wrong_limits
    admission.add(by_number)  # and not too many at a time
    if faults:
        raise ConfigurationError(faults)
    for service in filter(attrgetter("forwards"), chosen.all):
        _add_runtimes(app, service, carriers[service.name], schemes, views.get(service.name, {}))
    if gateway.security is not None:
        schemes.watch(gateway.security, signed_fields(gateway.tokens))
    share_loads(gateway.carrying, gateway.state, gateway.loads, gateway.pulse)
    if settings.EUREKA_APP:
        register_gateway(settings, gateway.pulse)
    proxies = TrustedProxies(settings.TRUSTED_PROXIES)
    log = AccessLog() if settings.ACCESS_LOG else None
    early = answering_early(app, gateway, admission, schemes)
    app.wsgi_app = Door(app.wsgi_app, proxies, log, gateway.pulse.begin, early)  # type: ignore[method-assign]  # Flask's way
    return app


def _opened(settings: Settings, chosen: Chosen, faults: list[str]) -> Gateway:
    """What the application works with; adds what is wrong with it to `faults`."""
    services = chosen.services
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
    pulse = Pulse(state, realm=",".join(chosen.names))
    records = open_records(settings, pulse)
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
        records=records,
        webhooks=open_webhooks(settings, records, pulse),
        tokens=tokens,
        security=open_security_log(settings),
        chosen=chosen,
    )


def _add_filters(
    app: Flask, gateway: Gateway, declared: Sequence[Callable[..., Any]], faults: list[str]
) -> None:
    """Put the filters in their places, if there are any; adds what is wrong with them to
    `faults`."""
    chosen, off = gateway.chosen, gateway.settings.FILTERS_OFF
    if not (declared or off or any(service.filters for service in chosen.all)):
        return
    from gateway.filters.opening import open_filters  # only if used

    gateway.filters, wrong = open_filters(declared, chosen.all, off, gateway.state, chosen.others)
    gateway.filters.add(app, gateway.pulse)
    faults += wrong


def _add_runtimes(
    app: Flask,
    service: Service,
    carriers: Sequence[Service],
    schemes: AcceptedSchemes,
    views: Mapping[str, Sequence[Policy]],
) -> None:
    """Add what a service needs at run time, for each that carries its requests."""
    gateway: Gateway = app.extensions["gateway"]
    for carrier in carriers:
        gateway.runtimes[carrier.name] = _runtime(carrier, gateway, schemes, views)
    if service.versions is not None:
        from gateway.versions.variants import add_choice  # only if used

        add_choice(app, service, service.versions, gateway.runtimes)


def _runtime(
    service: Service,
    gateway: Gateway,
    schemes: AcceptedSchemes,
    views: Mapping[str, Sequence[Policy]],
) -> Runtime:
    """What a service needs at run time, with the route filters around its chains."""
    runtime = make_runtime(
        service,
        gateway.settings,
        gateway.via,
        gateway.contexts[service.name],
        schemes.kept_from(service.known_as),
        gateway.tokens,
        schemes.caller_fields,
        views,
    )
    return runtime if gateway.filters is None else gateway.filters.around(runtime)


def _scheme_context(gateway: Gateway) -> SchemeContext:
    return SchemeContext(
        settings=gateway.settings,
        keys=gateway.keys,
        state=gateway.state,
        pulse=gateway.pulse,
        records=gateway.records,
        security=gateway.security,
    )


def _context(
    own: Service,
    prefixes: tuple[str, ...],
    services: frozenset[str],
    gateway: Gateway,
    written: frozenset[str],
) -> PolicyContext:
    def handler_of(other: str) -> Handler:
        def handle(request: UpstreamRequest) -> UpstreamResponse:
            runtime = gateway.runtimes[other]  # when used: they are made one after the other
            return runtime.handler(request.passed_on(own.name, runtime.service.known_as))

        return handle

    return PolicyContext(
        service=own.name,
        services=services,
        settings=gateway.settings,
        state=gateway.state,
        pulse=gateway.pulse,
        handler_of=handler_of,
        commons=gateway.commons,
        told=written | kept_for_tokens(own, gateway.tokens),
        declared="" if own.known_as == own.name else own.known_as,
        prefixes=prefixes,
    )
