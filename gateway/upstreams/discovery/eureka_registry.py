"""A copy of a Eureka's registry, kept up to date by what changed in it.

The way of Eureka's own client: all of `/apps` first, then `/apps/delta`, whose `apps__hashcode`
(how many instances there are of each status) tells whether the copy is right; if not, all anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from gateway.upstreams.discovery.eureka_servers import EurekaServers
from gateway.upstreams.discovery.provider import DiscoveryError
from gateway.upstreams.discovery.registry_client import Server

#: Seconds after which changes are not asked for any more: servers remember them for three minutes.
_OLDEST_DELTA = 120.0
_STATUSES = frozenset({"UP", "DOWN", "STARTING", "OUT_OF_SERVICE", "UNKNOWN"})

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance of an application as it was registered. action: what a delta says became of it,
    ADDED, MODIFIED or DELETED."""

    app: str
    id: str
    status: str
    action: str
    document: dict[str, Any]

    @property
    def key(self) -> Key:
        """What makes it the same instance."""
        return self.app, self.id


Instances = dict[Key, Instance]


class EurekaRegistry:
    """What one worker knows of a registry, asked once for all services that are looked up there.

    Instances that are missing in a registry that was fetched anew, though no change said so, stay
    for three intervals: a server that has just been started knows few until they all have sent
    their next heartbeat.
    """

    def __init__(
        self,
        servers: EurekaServers,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers = servers
        self._interval = interval
        self._clock = clock
        self._lock = threading.Lock()
        self._known: Instances = {}
        self._missing: dict[Key, tuple[Instance, float]] = {}  # and until when they stay
        self._source: Server | None = None
        self._fetched_at = float("-inf")
        self._fault: tuple[float, str] = (float("-inf"), "")  # until when it is told again

    def look(self, app: str, over: threading.Event) -> tuple[list[Instance], float]:
        """The instances of an application that are up, and in how many seconds to look again.
        Raises DiscoveryError."""
        with self._lock:
            now = self._clock()
            if now >= self._fetched_at + self._interval:
                if now < self._fault[0]:
                    raise DiscoveryError(self._fault[1])
                self._refresh(over)
            name = app.upper()
            found = [one for one in self._known.values() if one.app == name and one.status == "UP"]
            found += [one for one, _ in self._missing.values() if one.app == name]
            return found, max(self._fetched_at + self._interval - self._clock(), 0.0)

    def _refresh(self, over: threading.Event) -> None:
        try:
            self._fetch(over)
        except DiscoveryError as error:
            # For the other services that look now: they need not find out by themselves.
            self._fault = (self._clock() + 0.5, str(error))
            raise

    def _fetch(self, over: threading.Event) -> None:
        right, explained = self._follow(over)
        if not right:
            document = self._servers.call("GET", "/apps", over=over).json()
            known = {one.key: one for one in instances_in(document)}
            if not explained:
                self._miss(known)
            self._known = known
        now = self._fetched_at = self._clock()
        self._source = self._servers.current
        self._missing = {
            key: (one, until)
            for key, (one, until) in self._missing.items()
            if key not in self._known and now < until
        }

    def _follow(self, over: threading.Event) -> tuple[bool, bool]:
        """Ask what changed. Returns whether the copy is right now, and if not, whether what is
        missing in the whole is sure to be gone: where no changes can be had, nobody says so."""
        fresh = self._clock() - self._fetched_at < _OLDEST_DELTA
        if not fresh or self._source != self._servers.current:
            return False, False
        answer = self._servers.call("GET", "/apps/delta", over=over)
        if self._source != self._servers.current:
            return False, False
        if answer.status != 200:
            return False, True
        try:
            return self._apply(answer.json()), False
        except DiscoveryError:
            return False, False

    def _miss(self, known: Instances) -> None:
        until = self._clock() + 3 * self._interval
        for key, one in self._known.items():
            if key not in known and one.status == "UP":
                self._missing[key] = (one, until)

    def _apply(self, document: Any) -> bool:
        """Take in what changed; False if that does not make the copy right."""
        known = dict(self._known)
        for one in instances_in(document):
            if one.action == "DELETED":
                known.pop(one.key, None)
                self._missing.pop(one.key, None)
            else:
                known[one.key] = one
        self._known = known
        return bool(hashcode(known) == document["applications"].get("apps__hashcode"))


def hashcode(known: Instances) -> str:
    """`DOWN_1_UP_3_`: how many instances have which status."""
    counts: dict[str, int] = {}
    for one in known.values():
        counts[one.status] = counts.get(one.status, 0) + 1
    return "".join(f"{status}_{count}_" for status, count in sorted(counts.items()))


def instances_in(document: Any) -> Iterator[Instance]:
    """All instances in an answer; what is no instance is skipped. Raises DiscoveryError for what
    is no registry at all."""
    applications = document.get("applications") if isinstance(document, dict) else None
    if not isinstance(applications, dict):
        raise DiscoveryError("what Eureka answers is no registry")
    for application in _listed(applications.get("application")):
        for one in _listed(application.get("instance")):
            name = one.get("app") or application.get("name")
            identity = _identity(one)
            if isinstance(name, str) and identity:
                status = str(one.get("status")).upper()
                yield Instance(
                    name.upper(),
                    identity,
                    status if status in _STATUSES else "UNKNOWN",
                    str(one.get("actionType")),
                    one,
                )


def _listed(value: Any) -> list[dict[str, Any]]:
    """Old servers write a list of one as that one."""
    members = value if isinstance(value, list) else [value]
    return [member for member in members if isinstance(member, dict)]


def _identity(instance: dict[str, Any]) -> str:
    """What the instance is called; of one that says nothing, what Eureka itself calls it."""
    center = instance.get("dataCenterInfo")
    metadata = center.get("metadata") if isinstance(center, dict) else None
    amazon = metadata.get("instance-id") if isinstance(metadata, dict) else None
    told = (instance.get("instanceId"), amazon, instance.get("hostName"))
    return next((value for value in told if isinstance(value, str) and value), "")


_registries: WeakValueDictionary[tuple[tuple[Server, ...], float, str], EurekaRegistry] = (
    WeakValueDictionary()
)
_sharing = threading.Lock()


def shared_registry(servers: tuple[Server, ...], interval: float, ca_file: str) -> EurekaRegistry:
    """This worker's copy of what these servers know, one for all who ask."""
    with _sharing:
        key = (servers, interval, ca_file)
        registry = _registries.get(key)
        if registry is None:
            registry = EurekaRegistry(EurekaServers(servers, ca_file), interval)
            _registries[key] = registry
        return registry
