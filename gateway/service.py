"""A backend service: a Flask Blueprint that forwards what no view of its own answers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import requests
from flask import Blueprint, Response, current_app, request

from gateway.aggregation.leg import Leg, LegFailed, Query, make_leg
from gateway.authentication.scheme import Scheme, SituatedScheme
from gateway.authorization import ALL_METHODS
from gateway.exchange import Handler, Policy, Timeouts, UpstreamRequest
from gateway.forwarding import finalize, prepare
from gateway.option_kinds import judged, kind_faults
from gateway.paths import claim_paths
from gateway.telling import PLAIN, Tell
from gateway.upstreams import Ejection, UpstreamPool
from gateway.upstreams.discovery import Discovery
from gateway.upstreams.health_checks import HealthCheck
from gateway.upstreams.load_balancing import LoadBalancing, PowerOfTwo

if TYPE_CHECKING:
    from gateway.application import Gateway
    from gateway.versions.choosing import Choice
    from gateway.versions.declaring import Versions

DEFAULT_LIMIT = -1
DEFAULT_EJECTION = Ejection()


class Service(Blueprint):
    """One backend service of the API.

    name: also names its address, `<NAME>_URL` (dashes become underscores): comma-separated
        instances, or who knows them (docs/discovery.md); empty for none, which answers 503; unset
        is a fault at start.
    url_prefix: the paths it owns, matched on segment boundaries. None: no paths; only policies
        of other services send requests to it.
    methods: those that are forwarded; any other answers 405.
    strip_prefix: True removes url_prefix before forwarding, a string just that part of it.
    headers: only requests with these field values are this service's; others fall to a service
        with the same prefix further down the list, or 404.
    upstream: the address, instead of the environment variable.
    variable: the environment variable of its address, if it is not its own `<NAME>_URL`, such as
        that of another service with the same backend.
    discovery: what finds the instances at run time, instead of an address.
    load_balancing: how to choose among instances; None: PowerOfTwo().
    ejection: when to leave out an instance that keeps failing; None: never.
    health_check: how to ask instances whether they are well; None: only requests tell.
    preserve_host: send the client's Host instead of the upstream's own.
    allow_encoded_slashes: let `%2F` in paths reach the backend; otherwise 400.
    timeouts: connect, read and total; None in a field takes the setting.
    max_body: largest request body in bytes; None for any size; default: MAX_BODY_BYTES.
    pool_size: most connections of a worker to an instance; None takes the setting.
    hide_credentials: do not pass `Authorization` and the token header on.
    identity: how the backend is told who asks: "headers" for the fields X-User-*, "token" for a
        signed token (docs/internal_tokens.md), "both", or "none".
    authentication: the schemes accepted, by name such as "jwt" or "api_key", and schemes of its
        own such as ForwardAuth(...). None: all that the settings set up.
    policies: what happens between outline and transport, outermost first.
    versions: its versions and how requests name one (docs/versions.md); None: it has none.
    filters: what is to be done with its requests, by phase; see gateway.filters.
    session: a `requests.Session` to forward through; default: the gateway's own, made at start.

    Everything a Blueprint offers works. A view claims its path: a method it does not declare
    answers 405 and is never forwarded.
    """

    #: Whether it has a backend; see gateway.frontend for those that have none.
    forwards: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        import_name: str,
        *,
        url_prefix: str | None,
        methods: Iterable[str] = ALL_METHODS,
        strip_prefix: bool | str = False,
        headers: Mapping[str, str] | None = None,
        upstream: str | None = None,
        variable: str | None = None,
        discovery: Discovery | None = None,
        load_balancing: LoadBalancing | None = None,
        ejection: Ejection | None = DEFAULT_EJECTION,
        health_check: HealthCheck | None = None,
        preserve_host: bool = False,
        allow_encoded_slashes: bool = False,
        timeouts: Timeouts | None = None,
        max_body: int | None = DEFAULT_LIMIT,
        pool_size: int | None = None,
        hide_credentials: bool = False,
        identity: str = "headers",
        authentication: Sequence[str | Scheme | SituatedScheme] | None = None,
        policies: Sequence[Policy] = (),
        versions: Versions | None = None,
        filters: Sequence[Callable[..., Any]] = (),
        session: requests.Session | None = None,
        **options: Any,
    ) -> None:
        if url_prefix is not None:
            url_prefix = url_prefix.rstrip("/")
        super().__init__(name, import_name, url_prefix=url_prefix, **options)
        self.methods = tuple(method.upper() for method in methods)
        self.strip_prefix = strip_prefix
        self.required_headers = dict(headers or {})
        self.upstream = upstream
        self.discovery = discovery
        self.load_balancing = load_balancing or PowerOfTwo()
        self.ejection = ejection
        self.health_check = health_check
        self.preserve_host = preserve_host
        self.allow_encoded_slashes = allow_encoded_slashes
        self.timeouts = timeouts or Timeouts()
        self.max_body = max_body
        self.pool_size = pool_size
        self.hide_credentials = hide_credentials
        self.identity = identity
        if authentication is not None and not isinstance(authentication, str):
            authentication = tuple(authentication)
        self.authentication = authentication  # a lone word is told of at start
        self.policies = tuple(policies)
        self.versions = versions
        self.filters = filters  # judged at start, where there are any
        self.session = session
        #: The environment variable that holds the address.
        self.variable = variable_of(name) if variable is None else variable
        #: The name by which clients and the backend know it; of a version, that of its service.
        self.known_as = name
        #: The prefixes of a version; None for what is none.
        self.covers: tuple[str, ...] | None = None
        frame = sys._getframe(1)  # faults at start name the place to mend
        self.declared_at = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if versions is not None:
            from gateway.versions.choosing import watch_versions  # only if used

            watch_versions(self)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Where its paths are: below its prefix, and below those of its versions."""
        if self.covers is not None:
            return self.covers
        own = () if self.url_prefix is None else (self.url_prefix,)
        return (*own, *getattr(self.versions, "prefixes", ()))

    def address(self) -> str | None:
        """Where the service is; None when nobody said."""
        if self.upstream is not None or self.discovery is not None:
            return self.upstream
        return os.environ.get(self.variable)

    def faults(self) -> list[str]:
        """What is wrong with the declaration itself."""
        found = []
        prefix = self.url_prefix or ""
        # The root is "": a Blueprint's prefix never ends with a slash.
        if prefix and (not prefix.startswith("/") or "//" in prefix or "<" in prefix):
            found.append(f"url_prefix {prefix!r} must be an absolute path without variables")
        if isinstance(self.strip_prefix, str) and not (prefix + "/").startswith(
            self.strip_prefix.rstrip("/") + "/"
        ):
            found.append(f"strip_prefix {self.strip_prefix!r} does not begin {prefix!r}")
        if self.discovery is not None and self.upstream is not None:
            found.append("upstream and discovery both say where it is")
        if unknown := set(self.methods) - set(ALL_METHODS):
            found.append(f"methods {sorted(unknown)} cannot be forwarded")
        wrong = kind_faults(self)
        if self.versions is not None and not wrong:
            found += self.versions.faults(self)
            if not self.forwards:
                found.append("versions need a backend, and it has none")
        if self.health_check is not None and not wrong:
            found += judged(self.health_check.faults)
        found += wrong
        return [f"service {self.name!r}: {fault} ({self.declared_at})" for fault in found]

    def register(self, app: Any, options: dict[str, Any]) -> None:
        """Add the views, then the paths they claim, then the catch-all that forwards."""
        super().register(app, options)
        if self.url_prefix is None:
            return
        prefix = options.get("url_prefix") or self.url_prefix or ""
        name = options.get("name", self.name)
        claim_paths(app, name, self.methods)
        if not self.forwards:
            return
        # The bare prefix has a rule of its own: without it, another method there would be a 404.
        for rule in filter(None, (prefix, f"{prefix}/", f"{prefix}/<path:_rest>")):
            app.add_url_rule(
                rule,
                f"{name}.forward",
                self._catch_all,
                methods=self.methods,
                provide_automatic_options=False,
            )
        if self.versions is not None and self.versions.path is not None:
            from gateway.versions.paths import add_rules  # only if used

            add_rules(app, name, prefix, self.versions.path, self.versions.labels)

    def _catch_all(self, _rest: str = "") -> Response:
        return self.forward()

    def fetch(
        self,
        path: str = "",
        *,
        method: str = "GET",
        query: Query | None = None,
        headers: Mapping[str, str | None] | None = None,
        json: Any = None,
        timeout: float | None = None,
        required: bool = False,
        default: Any = None,
        fallback: Leg | Callable[[LegFailed], Any] | None = None,
        cache: Policy | None = None,
        version: str | None = None,
        trusted: bool = False,
        **values: object,
    ) -> Leg:
        """A leg for `gather`: a request to this service that answers with JSON. Nothing is sent.

        path: below the service's url_prefix, as text: it is percent-encoded here.
        values: what stands in the path's places, such as `fetch("/{id}", id=text)`: each is part of
            one segment, whatever a client has written. Without any, the path has no places.
        query: its parameters; one that is None is left out, one that is a list is repeated.
        headers: further fields; they replace the client's of their names, and `Accept`. One that is
            None or empty is not sent, nor is the client's. Values are percent-encoded where they
            are not printable ASCII.
        json: the body, for methods that have one.
        timeout: seconds for the whole answer; None: the service's total, and in any case no more
            than is left of the gather's time.
        required: without it there is no answer at all. Otherwise `default` stands for it.
        fallback: what to try when it fails, before `default`: another leg, or a function of
            the LegFailed that returns a value.
        cache: a `Cache(...)` around what the service has, for this leg alone. Write it the same
            each time: a leg with other options has other kept answers.
        version: of a service with versions; None: its default.
        trusted: ask whatever the service requires of callers; the view has seen to it. Otherwise a
            caller who may not ask the service itself does not get the part.

        The leg carries the caller's identity, request id, trace, other fields that are not about
        the client's own body or conditions, and `X-Request-Deadline`. Raises Refusal (400) for a
        path that no client may ask for, such as one with dot segments, and for a value that is
        empty or would be more than a part of a segment; ValueError for fields that are the
        gateway's own, and a place without a value; TypeError for a value without a place.
        """
        return make_leg(
            self,
            method,
            path,
            values,
            query,
            headers=headers,
            json=json,
            timeout=timeout,
            required=required,
            default=default,
            fallback=fallback,
            cache=cache,
            version=version,
            trusted=trusted,
        )

    def forward(self, *, timeouts: Timeouts | None = None) -> Response:
        """Forward the current request as it came and return the streaming response.

        timeouts: for this call; what they leave open is the service's. Raises Refusal or
        UpstreamError, which become problem+json.
        """
        environ = request.environ
        exchange = environ["gateway.exchange"]
        gateway: Gateway = current_app.extensions["gateway"]
        gateway.capacity.enter(exchange, environ["gateway.client"].abandoned)
        runtime = gateway.runtimes[self.name]
        if runtime.versions is not None:
            runtime = runtime.versions.of(environ)
        view = environ["gateway.route"].endpoint if runtime.views else ""
        outline = prepare(
            environ,
            runtime,
            environ.get("gateway.identity"),
            exchange,
            environ["gateway.client"],
            runtime.timeouts if timeouts is None else timeouts.over(runtime.timeouts),
            view,
        )
        handler = runtime.views.get(view, runtime.handler)
        return finalize(handler(outline), runtime, environ, exchange)


def variable_of(name: str) -> str:
    """The environment variable for the address of a service of that name."""
    return name.upper().replace("-", "_") + "_URL"


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a service needs at run time, settled once at start.

    strip: the prefix that is taken from paths. put: what the backend gets in its place.
    """

    service: Service
    handler: Handler
    pool: UpstreamPool
    timeouts: Timeouts
    strip: str
    via: str
    max_body: int | None
    client_timeout: float
    forwarded_header: bool
    dropped: frozenset[str]
    dropped_untrusted: frozenset[str]
    #: Names in the environ of fields that may hold a credential.
    credentials: tuple[str, ...] = ()
    tell: Tell = PLAIN
    #: The chains of its views that have policies of their own, by endpoint.
    views: Mapping[str, Handler] = field(default_factory=dict)
    put: str = ""
    #: What chooses among its versions; None where it has none. The rest is then the default's.
    versions: Choice | None = None
    #: The same without the route filters around its chains; None where there are none.
    inside: Runtime | None = None


__all__ = ["Runtime", "Service", "UpstreamRequest"]
