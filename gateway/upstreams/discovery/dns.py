"""Instances that DNS knows: the addresses of a name, or its SRV records (RFC 2782).

Asked by dnspython, never by the C library, whose answers have no time to live and which under
gevent would need threads.
"""

from __future__ import annotations

import ipaddress
import math
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import dns.exception
import dns.name
import dns.nameserver
import dns.resolver

from gateway.upstreams.discovery.provider import Discovery, DiscoveryError, Found, Look
from gateway.upstreams.target import Target
from gateway.urls import Origin

#: Seconds for which an answer is used, whatever its time to live.
SHORTEST, LONGEST = 1.0, 300.0
#: Seconds until a name that has no records, or failed in part, is asked for again.
RETRY = 5.0
#: Seconds for one question, and for all that a look asks.
QUESTION, WHOLE_LOOK = 2.0, 10.0
_SERVER = 0.7  # until the next name server is asked
_HEAVIEST = 100

_ADDRESS = re.compile(r"(dns|srv)://([A-Za-z0-9._\-]+)(:\d{1,5})?(/[^?#\s]*)?")
_SCHEME = re.compile(r"scheme=(https?)")

Answers = dict[tuple[str, str], list[Any]]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Every address of a name, A and AAAA, is an instance.

    name: what is asked for; without a final dot, the search list of resolv.conf applies. origin:
    what `Host`, SNI and the certificate go by. servers: `ip[:port]`; empty: resolv.conf's.
    """

    name: str
    origin: Origin
    servers: tuple[str, ...] = ()

    def begin(self) -> Look:
        """See Discovery.begin."""

        def found(questions: _Questions) -> list[Target]:
            addresses = questions.addresses(self.name)
            return [Target(self.origin, address=address) for address in addresses]

        return _Asking(self.servers, found)


@dataclass(frozen=True, slots=True)
class Services:
    """Every address of the hosts that SRV records name, at the record's port and weight. Only the
    first priority that has any is used. `Host`, SNI and the certificate go by the record's host.

    scheme: of the instances. base_path: see Origin. name, servers: see Addresses.
    """

    name: str
    scheme: str = "http"
    base_path: str = ""
    servers: tuple[str, ...] = ()

    def begin(self) -> Look:
        """See Discovery.begin."""
        return _Asking(self.servers, self._found)

    def _found(self, questions: _Questions) -> list[Target]:
        records = sorted(questions.ask(self.name, "SRV"), key=lambda record: record.priority)
        for _, group in groupby(records, key=lambda record: record.priority):
            if targets := list(self._targets(list(group), questions)):
                return targets
        return []

    def _targets(self, records: Sequence[Any], questions: _Questions) -> Iterable[Target]:
        weights = _weights([record.weight for record in records])
        for record, weight in zip(records, weights, strict=True):
            if record.target == dns.name.root:
                continue  # the service is decidedly not there
            host = record.target.to_text(omit_final_dot=True)
            try:
                origin = Origin.parse(f"{self.scheme}://{host}:{record.port}{self.base_path}")
            except ValueError:
                continue  # port 0, or no name that HTTP knows
            for address in questions.addresses(f"{host}."):
                yield Target(origin, weight, address)


def _weights(raw: Sequence[int]) -> list[int]:
    """SRV weights, 0 to 65535, in small numbers. 0 is to be chosen rarely, not never."""
    divisor = math.gcd(*raw) or 1
    scale = max(1.0, max(raw) / divisor / _HEAVIEST)
    return [max(1, round(weight / divisor / scale)) for weight in raw]


class _Asking:
    """A look; it remembers the answers of the one before, for what fails now."""

    def __init__(self, servers: Sequence[str], found: Callable[[_Questions], list[Target]]) -> None:
        self._servers = servers
        self._found = found
        self._last: Answers = {}

    def __call__(self, over: threading.Event) -> Found:
        questions = _Questions(_resolver(self._servers), self._last, over)
        targets = self._found(questions)
        if questions.failed == questions.asked or (questions.failed and not targets):
            raise DiscoveryError(questions.fault)
        self._last = questions.answers
        next_look = questions.ttl if targets else RETRY
        return Found(tuple(targets), min(max(next_look, SHORTEST), LONGEST))


class _Questions:
    """All that one look asks."""

    def __init__(
        self, resolver: dns.resolver.Resolver, last: Answers, over: threading.Event
    ) -> None:
        self.answers: Answers = {}
        self.ttl = LONGEST
        self.asked = self.failed = 0
        self.fault = ""
        self._resolver = resolver
        self._last = last
        self._over = over
        self._silent: set[str] = set()
        self._end = time.monotonic() + WHOLE_LOOK

    def addresses(self, name: str) -> list[str]:
        """The addresses of a name; of one family only, if there is no way to the other here."""
        found = [[record.address for record in self.ask(name, kind)] for kind in ("A", "AAAA")]
        addresses = found[0] + found[1]
        if all(found):
            return [address for address in addresses if _has_route(address)] or addresses
        return addresses

    def ask(self, name: str, kind: str) -> list[Any]:
        """The records of a name; if that fails, those of last time."""
        key = name, kind
        if key not in self.answers:
            self.asked += 1
            try:
                self.answers[key] = self._asked(name, kind)
            except (dns.exception.DNSException, OSError) as error:
                if isinstance(error, dns.exception.Timeout):
                    self._silent.add(kind)
                self.failed += 1
                self.fault = self.fault or f"{kind} {name}: {error}"
                self.ttl = min(self.ttl, RETRY)
                self.answers[key] = self._last.get(key, [])
        return self.answers[key]

    def _asked(self, name: str, kind: str) -> list[Any]:
        # Who does not answer one question is not asked the next; but AAAA alone is often ignored.
        silent = self._silent - {"AAAA"} or kind in self._silent
        if silent or self._over.is_set() or time.monotonic() > self._end:
            raise dns.exception.Timeout
        try:
            answer = self._resolver.resolve(name, kind, raise_on_no_answer=False, search=True)
        except dns.resolver.NXDOMAIN:
            return []
        if answer.rrset is None:
            return []
        self.ttl = min(self.ttl, answer.chaining_result.minimum_ttl)
        return list(answer.rrset)


def _has_route(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))  # sends nothing
    except OSError:
        return False
    return True


def _resolver(servers: Sequence[str]) -> dns.resolver.Resolver:
    """Made anew for each look, as resolv.conf may have changed."""
    try:
        resolver = dns.resolver.Resolver(configure=not servers)
    except dns.exception.DNSException as error:
        raise DiscoveryError(str(error)) from None
    if servers:
        resolver.nameservers = [_name_server(server) for server in servers]
    resolver.timeout = _SERVER
    resolver.lifetime = QUESTION
    return resolver


def _name_server(text: str) -> dns.nameserver.Nameserver:
    """`10.0.0.2`, `10.0.0.2:5353`, `::1` or `[::1]:5353`."""
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = text, "53"
    return dns.nameserver.Do53Nameserver(host.strip("[]"), int(port))


def parse(address: str, *, servers: Sequence[str] = ()) -> Discovery:
    """Read `dns://name[:port][/path]` or `srv://name[/path]`, with `;scheme=https` for backends
    that speak it. ValueError says what is wrong."""
    url, *options = (part.strip() for part in address.split(";"))
    scheme, _, rest = url.partition("://")
    shown = f"{scheme}://{rest.rpartition('@')[2]}"
    match = _ADDRESS.fullmatch(url)
    if match is None or (scheme == "srv" and match[3]):
        form = "name[/path]" if scheme == "srv" else "name[:port][/path]"
        raise ValueError(f"{shown!r} must be {scheme}://{form}, without user, query, fragment")
    name, port, path = match[2], match[3] or "", match[4] or ""
    _check_name(name, shown)
    try:
        origin = Origin.parse(f"{_backend(options)}://{name.rstrip('.')}{port}{path}")
    except ValueError as error:
        raise ValueError(f"{shown!r} {error}") from None
    if scheme == "dns":
        return Addresses(name, origin, tuple(servers))
    return Services(name, origin.scheme, origin.base_path, tuple(servers))


def _backend(options: Sequence[str]) -> str:
    found = [_SCHEME.fullmatch(option) for option in options]
    if len(found) > 1 or None in found:
        raise ValueError("may be followed by ;scheme=https alone")
    return next((match[1] for match in found if match), "http")


def _check_name(name: str, shown: str) -> None:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        pass
    else:
        raise ValueError(f"{shown!r} has an address: nothing is to be looked up, use http://")
    try:
        dns.name.from_text(name)
    except dns.exception.DNSException as error:
        raise ValueError(f"{shown!r} is no name: {error}") from None
