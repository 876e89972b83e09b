"""Instances registered in Consul: its health API is asked, and waits until something changes.

Blocking queries as Consul's documentation wants them (API, "Blocking Queries"): an index that goes
backwards begins anew, one below 1 counts as 1, changes in quick succession are looked at at a
bounded rate, and Consul may take a sixteenth longer than it was told to wait.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlencode

from gateway.upstreams.discovery.options import Options, Pairs
from gateway.upstreams.discovery.pace import Pace
from gateway.upstreams.discovery.provider import DiscoveryError, Found, Look
from gateway.upstreams.discovery.registered import Sieve, make_target
from gateway.upstreams.discovery.registry_client import Answer, RegistryClient, Server
from gateway.upstreams.target import Target

#: Options of an address that Consul understands itself.
_PASSED_ON = frozenset({"dc", "filter", "node-meta", "ns", "partition", "tag"})
_ADDRESS = re.compile(r"consul://([^/?#@]*)/([^/?#@]+)(?:\?([^#]*))?")


@dataclass(frozen=True, slots=True)
class Consul:
    """The instances of one service.

    query: further parameters for Consul. scheme: of the instances; empty: https for those whose
    metadata say `secure: true`, as Spring's do, else http. path: their base path. warning: also
    take instances whose checks warn. token: the ACL token, empty for none. ca_file: authorities
    trusted for a Consul with TLS, empty for certifi's. wait: seconds for which Consul holds a
    question.
    """

    server: Server
    service: str
    query: Pairs = ()
    scheme: str = ""
    path: str = ""
    warning: bool = False
    token: str = field(default="", repr=False)
    ca_file: str = ""
    wait: int = 30

    def begin(self) -> Look:
        """See Discovery.begin."""
        return _ConsulLook(self)

    def targets(self, document: Any, sieve: Sieve) -> tuple[Target, ...]:
        """The instances of an answer. Raises DiscoveryError for what is no list of them."""
        if not isinstance(document, list):
            raise DiscoveryError(f"{self.server.name} answers with no list of instances")
        return sieve.targets(filter(self._wanted, document), self._target, _name)

    def _wanted(self, entry: Any) -> bool:
        status = worst_check(entry)
        return status == "passing" or (status == "warning" and self.warning)

    def _target(self, entry: Any) -> Target:
        service = _part(entry, "Service")
        # Registered without an address of its own: it is where its node is.
        host = service.get("Address") or _part(entry, "Node").get("Address")
        secure = str(_part(service, "Meta").get("secure")).lower() == "true"
        scheme = self.scheme or ("https" if secure else "http")
        kind = "Warning" if worst_check(entry) == "warning" else "Passing"
        weight = _part(service, "Weights").get(kind, 1)
        return make_target(scheme, host, service.get("Port"), path=self.path, weight=weight)


def parse(address: str, *, token: str = "", ca_file: str = "") -> Consul:
    """Read `consul://host:port/service?option=value&...`.

    Without host or port: 127.0.0.1, and 8500, or 8501 with TLS. Options: `tls=true` (to Consul);
    `scheme=https`, `path=/base` (of the instances); `passing=false` (those that warn, too); and
    for Consul itself `tag` (may be repeated), `dc`, `ns`, `partition`, `filter`, `node-meta`.
    ValueError names the fault.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise ValueError("must be consul://[host[:port]]/service[?option=value], without user")
    authority, service, text = match.groups()
    options = Options(text)
    try:
        tls = options.truth("tls", False)
        consul = Consul(
            _server(authority, tls),
            unquote(service),
            options.all_of(_PASSED_ON),
            options.one("scheme", "", ("", "http", "https")),
            options.path(),
            not options.truth("passing", True),
            token,
            ca_file,
        )
        options.end()
    except ValueError as error:
        raise ValueError(f"consul://{authority}/{service} {error}") from None
    return consul


def _server(authority: str, tls: bool) -> Server:
    host = authority or "127.0.0.1"
    if not re.search(r":\d+$", host):
        host += ":8501" if tls else ":8500"
    return Server.parse(f"{'https' if tls else 'http'}://{host}")


class _ConsulLook:
    """Looks at one service. The index it has reached is this worker's own."""

    def __init__(self, consul: Consul) -> None:
        self._consul = consul
        headers = [("X-Consul-Token", consul.token)] if consul.token else []
        self._client = RegistryClient(consul.server, headers, consul.ca_file)
        self._sieve = Sieve(f"consul {consul.service}")
        self._pace = Pace()
        self._index = 0

    def __call__(self, over: threading.Event) -> Found:
        """Wait for a change since the last look, at most for the time Consul was told to wait."""
        index, self._index = self._index, 0  # after a failure begin anew
        answer = self._ask(index, over)
        if answer.status == 403:
            raise DiscoveryError(f"{answer.server} answers 403: CONSUL_TOKEN may not read this")
        targets = self._consul.targets(answer.json(), self._sieve)
        self._index = next_index(index, answer.headers.get("x-consul-index", ""))
        return Found(targets, self._pace.pause())

    def _ask(self, index: int, over: threading.Event) -> Answer:
        consul = self._consul
        query = list(consul.query)
        if not consul.warning:
            query.append(("passing", "true"))
        longest = 5.0
        if index:
            query += [("index", str(index)), ("wait", f"{consul.wait}s")]
            longest += consul.wait * 17 / 16
        path = f"/v1/health/service/{quote(consul.service, safe='')}?{urlencode(query)}"
        return self._client.call("GET", path, seconds=longest, over=over)


def next_index(index: int, told: str) -> int:
    """What to ask with after an answer with this index; 0 asks without waiting."""
    new = int(told) if re.fullmatch(r"[0-9]{1,20}", told) else 0
    return 0 if new < index else max(new, 1)


def worst_check(entry: Any) -> str:
    """What the checks of an instance and of its node come to; no check is a passing one."""
    checks = entry.get("Checks") if isinstance(entry, dict) else None
    told = {
        str(check.get("Status")) if isinstance(check, dict) else "unknown"
        for check in (checks if isinstance(checks, list) else ())
    }
    if told <= {"passing"}:
        return "passing"
    return "warning" if told <= {"passing", "warning"} else "critical"


def _part(entry: Any, name: str) -> dict[str, Any]:
    part = entry.get(name) if isinstance(entry, dict) else None
    return part if isinstance(part, dict) else {}


def _name(entry: Any) -> object:
    return _part(entry, "Service").get("ID")
