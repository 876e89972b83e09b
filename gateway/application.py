"""Making the application: the order in which a gateway comes up, on one screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from flask.typing import ResponseReturnValue
from pydantic import ValidationError

from gateway import forwarded, headers
from gateway.authentication import Authenticator
from gateway.authentication.keys import KeySet, load_keys
from gateway.authentication.tokens import TokenVerifier
from gateway.edge.door import Door, make_check
from gateway.edge.origin import TrustedProxies
from gateway.error_responses import register_error_handlers
from gateway.errors import ConfigurationError
from gateway.exchange import Timeouts
from gateway.guard import check_access, make_authenticate
from gateway.observability.access_log import AccessLog
from gateway.ops import make_ops
from gateway.rate_limiting import limiter, stores
from gateway.rate_limiting.extension import compile_plans
from gateway.rate_limiting.windows import Windows
from gateway.routes import Route, compile_routes
from gateway.service import DEFAULT_LIMIT, Runtime, Service, chain
from gateway.state import EmbeddedStore
from gateway.transport.handler import SessionTransport
from gateway.transport.session import make_session
from gateway.upstreams import UpstreamPool, parse_targets
from settings import Settings


@dataclass(slots=True)
class Gateway:
    """What belongs to one application; `app.extensions["gateway"]`."""

    settings: Settings
    keys: KeySet
    windows: Windows
    store: EmbeddedStore | None
    via: str
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
    settings = settings or load_settings()
    if services is None:
        from blueprints import SERVICES  # the fork's own, not the core's

        services = SERVICES
    keys, faults = load_keys(settings.JWT_SECRET, settings.JWT_KEYS)
    faults += stores.faults(settings)
    if settings.BIND.startswith("unix:") and "unix" not in settings.TRUSTED_PROXIES:
        faults.append(
            "BIND is a unix socket, so TRUSTED_PROXIES must name `unix`: otherwise all clients"
            " look like one, and share its limits"
        )
    if faults:  # what follows is built on these
        raise ConfigurationError([*faults, *_service_faults(services)])
    windows, store = stores.open_windows(settings)
    via = settings.VIA_PSEUDONYM or forwarded.default_pseudonym()
    gateway = Gateway(settings, keys, windows, store, via)

    app = _Application("gateway", static_folder=None)
    app.url_map.strict_slashes = False  # `/x/` must not slip past a view on `/x`
    app.url_map.merge_slashes = False
    app.extensions["gateway"] = gateway
    register_error_handlers(app)
    app.check = make_check(gateway.routes)  # room 1
    app.before_request(make_authenticate(_authenticator(settings, keys)))  # room 2: who,
    limiter.init_app(app, windows, headers=settings.RATE_LIMIT_HEADERS)  # how much,
    app.before_request(check_access)  # and may they
    app.register_blueprint(make_ops(gateway))
    faults = _add_services(app, gateway, services)

    routes, unguarded = compile_routes(app)
    gateway.routes.update(routes)
    faults += unguarded
    faults += compile_plans(
        app, routes, default=settings.RATE_LIMIT_DEFAULT, user=settings.RATE_LIMIT_USER
    )
    if faults:
        raise ConfigurationError(faults)
    proxies = TrustedProxies(settings.TRUSTED_PROXIES)
    log = AccessLog() if settings.ACCESS_LOG else None
    app.wsgi_app = Door(app.wsgi_app, proxies, log)  # type: ignore[method-assign]  # Flask's way
    return app


def load_settings() -> Settings:
    """The settings from the environment. Raises ConfigurationError, a line for each fault."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        ) from None


def _authenticator(settings: Settings, keys: KeySet) -> Authenticator:
    verifier = TokenVerifier(
        keys,
        issuer=settings.JWT_ISSUER,
        audience=settings.JWT_AUDIENCE,
        leeway=settings.JWT_LEEWAY,
        cache_size=settings.JWT_CACHE_SIZE,
    )
    return Authenticator(verifier, settings.TOKEN_HEADER, settings.TOKEN_COOKIE)


def _service_faults(services: Iterable[Service]) -> list[str]:
    """What can be said of services without an application."""
    faults: list[str] = []
    for service in services:
        faults += service.faults()
        address = service.address()
        if address is None:
            faults.append(
                f"{service.variable} is not set: it names the instances of service"
                f" {service.name!r} ({service.declared_at})"
            )
            continue
        try:
            parse_targets(address)
        except ValueError as error:
            faults.append(f"{service.variable}: {error}")
    return faults


def _add_services(app: Flask, gateway: Gateway, services: Sequence[Service]) -> list[str]:
    faults = _service_faults(services)
    names = [service.name for service in services]
    faults += [f"two services are named {n!r}" for n in sorted(set(names)) if names.count(n) > 1]
    if faults:
        return faults
    for service in services:
        app.register_blueprint(service)
        gateway.runtimes[service.name] = _runtime(service, gateway)
    return []


def _runtime(service: Service, gateway: Gateway) -> Runtime:
    """Settle what a service left to the settings, and build its chain."""
    settings = gateway.settings
    session = service.session or make_session(
        service.pool_size or settings.pool_size,
        settings.POOL_IDLE_SECONDS,
        settings.UPSTREAM_CA_FILE,
    )
    pool = UpstreamPool(parse_targets(service.address() or ""))
    usual = Timeouts(settings.CONNECT_TIMEOUT, settings.READ_TIMEOUT, settings.TOTAL_TIMEOUT)
    strip = service.strip_prefix
    max_body = service.max_body
    if max_body == DEFAULT_LIMIT:
        max_body = settings.MAX_BODY_BYTES
    dropped = headers.NEVER_FORWARDED | forwarded.ALWAYS
    if settings.FORWARDED_HEADER:
        dropped |= {"forwarded"}
    if service.hide_credentials:
        dropped |= {"authorization", settings.TOKEN_HEADER.lower()}
    return Runtime(
        service=service,
        handler=chain(service.policies, SessionTransport(session, pool)),
        timeouts=service.timeouts.over(usual),
        strip=(service.url_prefix or "") if strip is True else (strip or "").rstrip("/"),
        via=gateway.via,
        max_body=max_body,
        client_timeout=settings.CLIENT_TIMEOUT,
        forwarded_header=settings.FORWARDED_HEADER,
        dropped=dropped,
        dropped_untrusted=dropped | forwarded.UNTRUSTED,
    )
