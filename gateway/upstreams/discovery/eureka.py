"""Instances registered in Eureka, looked up in a copy of its registry."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote

from gateway.upstreams.discovery.eureka_registry import EurekaRegistry, Instance, shared_registry
from gateway.upstreams.discovery.eureka_servers import parse_servers
from gateway.upstreams.discovery.options import Options
from gateway.upstreams.discovery.provider import Found, Look
from gateway.upstreams.discovery.registered import Sieve, make_target
from gateway.upstreams.discovery.registry_client import Server
from gateway.upstreams.target import Target

_ADDRESS = re.compile(r"eureka://([^/?#@]*)(/[^?#@]*)?/([^/?#@]+)(?:\?([^#]*))?")


@dataclass(frozen=True, slots=True)
class Eureka:
    """The instances of one application that are UP.

    scheme: which of an instance's two ports is used, `https` for the secure one; empty: the plain
    one, or the secure one where only that is enabled. path: their base path. by_address: connect
    to the address the instance registered, not to what its name resolves to; `Host`, SNI and the
    certificate go by the name in any case. interval: seconds between two looks. ca_file:
    authorities trusted for a Eureka with TLS, empty for certifi's.
    """

    servers: tuple[Server, ...] = field(repr=False)
    app: str
    scheme: str = ""
    path: str = ""
    by_address: bool = False
    interval: float = 30
    ca_file: str = ""

    def begin(self) -> Look:
        """See Discovery.begin."""
        return _EurekaLook(self, shared_registry(self.servers, self.interval, self.ca_file))

    def target(self, instance: Instance) -> Target:
        """The target an instance is. ValueError says what is wrong with it."""
        document = instance.document
        plain, secure = _port(document.get("port")), _port(document.get("securePort"), "false")
        use_secure = self.scheme == "https" or (
            not self.scheme and secure.enabled and not plain.enabled
        )
        port = secure if use_secure else plain
        if not port.enabled:
            raise ValueError("has no such port enabled")
        metadata = document.get("metadata")
        return make_target(
            "https" if use_secure else "http",
            document.get("hostName"),
            port.number,
            path=self.path,
            weight=metadata.get("weight", 1) if isinstance(metadata, dict) else 1,
            address=_address(document.get("ipAddr")) if self.by_address else "",
        )


def parse(address: str, *, servers: str = "", interval: float = 30, ca_file: str = "") -> Eureka:
    """Read `eureka://host:port/path/APP?option=value&...`, or `eureka:///APP` for the servers of
    the setting EUREKA_URL, which is where a password goes.

    Options: `tls=true` (to Eureka); `scheme=https`, `path=/base`, `connect=ip` (of the instances).
    ValueError names the fault.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise ValueError(
            "must be eureka://host[:port][/path]/APP[?option=value], without user, or eureka:///APP"
        )
    authority, base, app, text = match.groups()
    options = Options(text)
    try:
        tls = options.truth("tls", False)
        eureka = Eureka(
            _servers(authority, base or "", tls) if authority else _usual(servers, base),
            unquote(app),
            options.one("scheme", "", ("", "http", "https")),
            options.path(),
            options.one("connect", "name", ("name", "ip")) == "ip",
            interval,
            ca_file,
        )
        options.end()
    except ValueError as error:
        raise ValueError(f"eureka://{authority}{base or ''}/{app} {error}") from None
    return eureka


def _servers(authority: str, base: str, tls: bool) -> tuple[Server, ...]:
    return (Server.parse(f"{'https' if tls else 'http'}://{authority}{base}"),)


def _usual(servers: str, base: str | None) -> tuple[Server, ...]:
    if base:
        raise ValueError("has a path but no server: EUREKA_URL has both")
    found = parse_servers(servers)
    if not found:
        raise ValueError("names no server, and EUREKA_URL is empty")
    return found


class _EurekaLook:
    """Looks at one application. What it has complained of is this worker's own."""

    def __init__(self, eureka: Eureka, registry: EurekaRegistry) -> None:
        self._eureka = eureka
        self._registry = registry
        self._sieve = Sieve(f"eureka {eureka.app}")

    def __call__(self, over: threading.Event) -> Found:
        """Look; only what changed is fetched, and only if the last time is long enough ago."""
        instances, next_look = self._registry.look(self._eureka.app, over)
        targets = self._sieve.targets(instances, self._eureka.target, lambda instance: instance.id)
        return Found(targets, next_look)


def _address(told: Any) -> str:
    try:
        return str(ip_address(told)) if isinstance(told, str) else ""
    except ValueError:
        raise ValueError("has an address that is none") from None


@dataclass(frozen=True, slots=True)
class _Port:
    number: object
    enabled: bool


def _port(told: Any, usual: str = "true") -> _Port:
    """`{"$": 8080, "@enabled": "true"}`, or the number alone."""
    if not isinstance(told, dict):
        return _Port(told, told is not None)
    return _Port(told.get("$"), str(told.get("@enabled", usual)).lower() == "true")
