"""Services taken into an application: judged, registered, and given what they need at run time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import takewhile
from types import MappingProxyType
from typing import TYPE_CHECKING

from flask import Flask

from gateway import forwarded, headers
from gateway.domains import Chosen
from gateway.exchange import Policy, Timeouts
from gateway.option_kinds import kind_faults
from gateway.policy import PolicyContext, policy_faults
from gateway.routes import Route, compile_routes
from gateway.service import DEFAULT_LIMIT, Runtime, Service, variable_of
from gateway.telling import kept_for_tokens, make_tell, telling_faults
from gateway.transport.handler import SessionTransport, connections_of
from gateway.transport.probe import make_ask
from gateway.transport.session import make_session
from gateway.upstreams import Connections, Target, UpstreamPool
from gateway.upstreams.discovery import Discovery
from gateway.upstreams.discovery.addresses import parse_address
from gateway.upstreams.discovery.follower import follow
from gateway.upstreams.health_checks import HealthCheck
from gateway.upstreams.load_balancing import BalancedService, balancing_faults
from gateway.upstreams.probing import Prober
from gateway.view_policies import chains
from settings import Settings

if TYPE_CHECKING:
    from gateway.authentication.internal_tokens import InternalTokens


def carriers_of(services: Iterable[Service]) -> dict[str, tuple[Service, ...]]:
    """Who carries the requests of each service: itself, or its versions, which are services of
    their own; nobody, where something is wrong with how they are declared."""
    return {service.name: _carriers(service) for service in services}


def _carriers(service: Service) -> tuple[Service, ...]:
    if service.versions is None:
        return (service,)
    if service.faults():
        return ()
    from gateway.versions.variants import variants  # only if used

    return variants(service, service.versions)


def _service_faults(
    services: Iterable[Service],
    settings: Settings,
    carriers: Mapping[str, Sequence[Service]],
    needed_by: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """What can be said of services without an application. needed_by: see Chosen."""
    faults: list[str] = []
    missing: dict[str, str] = {}
    for service in services:
        found = service.faults()
        faults += found
        if found:
            continue
        for carrier in carriers[service.name]:
            if carrier.address() is None and carrier.discovery is None:
                first = missing.setdefault(carrier.variable, service.name)
                if first != service.name:  # whose variable it is, mostly
                    continue
            # Several may go by one address.
            wrong = _address_faults(carrier, settings, needed_by.get(service.name))
            faults += [fault for fault in wrong if fault not in faults]
    return faults


def _address_faults(service: Service, settings: Settings, user: str | None) -> list[str]:
    """What is wrong with where a service is. user: who needs it to be there."""
    if service.address() is None and service.discovery is None:
        why = "" if user is None else f", which {user!r} needs"
        fault = (
            f"{service.variable} is not set: it names the instances of service"
            f" {service.name!r}{why} ({service.declared_at})"
        )
        own = variable_of(service.name)  # of a version, which may go by its service's, too
        alone = service.name == service.known_as or own == service.variable
        return [fault if alone else f"{own} is not set, and {fault}"]
    try:
        _instances(service, settings)
    except ValueError as error:
        where = service.variable
        if service.upstream is not None:
            where = f"service {service.name!r}: upstream ({service.declared_at})"
        return [f"{where}: {error}"]
    return []


def _instances(service: Service, settings: Settings) -> tuple[Target, ...] | Discovery:
    """The instances of a service, or what finds them. Raises ValueError."""
    if service.discovery is not None:
        return service.discovery
    return parse_address(service.address() or "", settings)


def add_services(
    app: Flask,
    chosen: Chosen,
    contexts: Mapping[str, PolicyContext],
    carriers: Mapping[str, Sequence[Service]],
    settings: Settings,
) -> list[str]:
    """Register the services, if their declarations let them be; returns all that is wrong, also
    with their helpers. carriers: see carriers_of."""
    services, everyone = chosen.services, chosen.all
    faults = _service_faults(everyone, settings, carriers, chosen.needed_by)
    faults += [
        f"service {service.name!r}: {fault} ({service.declared_at})"
        for service in everyone
        for fault in _option_faults(service, contexts[service.name])
    ]
    versions = [one for service in everyone if service.versions for one in carriers[service.name]]
    for service in everyone:
        if service.versions is not None:
            faults += _version_faults(service, carriers[service.name], contexts)
    names = [service.name for service in (*everyone, *versions)]
    faults += [f"two services are named {n!r}" for n in sorted(set(names)) if names.count(n) > 1]
    faults += _hidden(services)
    if versions:
        from gateway.versions.paths import clashes  # only if used

        faults += clashes(services)
    if len(set(names)) == len(names) and not any(service.faults() for service in everyone):
        for service in services:
            app.register_blueprint(service)
    return faults


def routes_aside(helpers: Sequence[Service]) -> tuple[Flask, dict[str, Route]]:
    """The routes of services that have none in this gateway, in an application that serves nobody:
    what they require counts for who asks them on a caller's behalf."""
    app = Flask("aside", static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    for service in helpers:
        app.register_blueprint(service)
    return app, compile_routes(app)[0]


def _option_faults(service: Service, context: PolicyContext) -> list[str]:
    """What is wrong with the options of its policies, of its balancing, and of what it is told."""
    found = policy_faults(service.policies, context) + telling_faults(service, context.settings)
    if not kind_faults(service):
        balanced = _balanced(service, context.settings)
        found += balancing_faults(service.load_balancing, balanced)
    return found


def _version_faults(
    service: Service, versions: Iterable[Service], contexts: Mapping[str, PolicyContext]
) -> list[str]:
    """What is wrong with the policies of versions, less what is wrong with their service's."""
    known = policy_faults(service.policies, contexts[service.name])
    judged: list[tuple[str, Sequence[Policy], PolicyContext]] = [
        (one.name, one.policies, contexts[one.name]) for one in versions
    ]
    if not judged:  # something else is wrong, and no service is made of them
        from gateway.versions.labels import name_of  # only if used

        judged = [
            (name_of(service.name, one.label), one.policies, contexts[service.name])
            for one in getattr(service.versions, "named_versions", ())
            if isinstance(one.policies, list | tuple)
        ]
    return [
        f"service {name!r}: {fault} ({service.declared_at})"
        for name, policies, context in judged
        for fault in policy_faults(policies, context)
        if fault not in known
    ]


def _balanced(service: Service, settings: Settings) -> BalancedService:
    return BalancedService(service.name, _reach(service.prefixes), settings.SECRET_KEY)


def _reach(prefixes: Sequence[str]) -> str | None:
    """What all paths are below; None if there are none."""
    if not prefixes:
        return None
    parted = [prefix.split("/") for prefix in prefixes]
    same = takewhile(lambda parts: len(set(parts)) == 1, zip(*parted, strict=False))
    return "/".join(parts[0] for parts in same)


def _hidden(services: Sequence[Service]) -> list[str]:
    """Services that no request can reach: one before them takes all of their prefix."""
    owners: dict[str, Service] = {}
    faults = []
    for service in services:
        if service.url_prefix is None:
            continue
        owner = owners.get(service.url_prefix)
        if owner is not None:
            faults.append(
                f"service {service.name!r} is never reached: {owner.name!r} comes first with the"
                f" same prefix and without headers ({service.declared_at})"
            )
        elif not service.required_headers:
            owners[service.url_prefix] = service
    return faults


def _pool(service: Service, connections: Connections, context: PolicyContext) -> UpstreamPool:
    """The pool of a service, kept up to date by the worker's pulse."""
    instances = _instances(service, context.settings)
    pool = UpstreamPool(
        service.name,
        instances if isinstance(instances, tuple) else (),
        state=context.state,
        chooser=service.load_balancing.chooser(_balanced(service, context.settings)),
        connections=connections,
        ejection=service.ejection,
    )
    if not isinstance(instances, tuple):
        follow(instances, service.address(), pool, context.state, context.pulse)
    elif len(pool.nodes) > 1:  # there is a choice that others know something about
        context.pulse.at_beat(pool.refresh)
    return pool


def make_runtime(
    service: Service,
    settings: Settings,
    via: str,
    context: PolicyContext,
    kept: frozenset[str] = frozenset(),
    tokens: InternalTokens | None = None,
    credentials: Collection[str] = (),
    views: Mapping[str, Sequence[Policy]] = MappingProxyType({}),
) -> Runtime:
    """Settle what a service left to the settings, and build its chain. kept: fields that clients
    cannot send to backends, beside the usual ones. tokens: what signs for backends. credentials:
    names of request fields that may hold one. views: policies of its views' own, by endpoint."""
    session = service.session or make_session(
        service.pool_size or settings.pool_size,
        settings.POOL_IDLE_SECONDS,
        settings.UPSTREAM_CA_FILE,
    )
    pool = _pool(service, connections_of(session), context)
    if service.health_check is not None:
        _probe(service, service.health_check, pool, settings, context)
    usual = Timeouts(settings.CONNECT_TIMEOUT, settings.READ_TIMEOUT, settings.TOTAL_TIMEOUT)
    strip = service.strip_prefix
    max_body = service.max_body
    if max_body == DEFAULT_LIMIT:
        max_body = settings.MAX_BODY_BYTES
    dropped = headers.NEVER_FORWARDED | forwarded.ALWAYS | kept | kept_for_tokens(service, tokens)
    if settings.FORWARDED_HEADER:
        dropped |= {"forwarded"}
    if service.hide_credentials:
        dropped |= {"authorization", settings.TOKEN_HEADER.lower()}
    transport = SessionTransport(session, pool)
    handler, view_handlers = chains(service.policies, views, transport, context)
    return Runtime(
        service=service,
        handler=handler,
        views=view_handlers,
        pool=pool,
        timeouts=service.timeouts.over(usual),
        strip=(service.url_prefix or "") if strip is True else (strip or "").rstrip("/"),
        via=via,
        max_body=max_body,
        client_timeout=settings.CLIENT_TIMEOUT,
        forwarded_header=settings.FORWARDED_HEADER,
        dropped=dropped,
        dropped_untrusted=dropped | forwarded.UNTRUSTED,
        credentials=tuple(sorted(headers.environ_name(name) for name in credentials)),
        tell=make_tell(service, tokens),
    )


def _probe(
    service: Service,
    check: HealthCheck,
    pool: UpstreamPool,
    settings: Settings,
    context: PolicyContext,
) -> None:
    """Have the elected worker ask the service's instances how they are."""
    ask = make_ask(pool, check, ca_file=settings.UPSTREAM_CA_FILE, session=service.session)
    prober = Prober(pool, check, context.state, ask)
    context.pulse.when_elected(f"health-{service.name}", prober.run)
