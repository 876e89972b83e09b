"""The gateway itself as an instance in Eureka: registered, kept alive, taken out again.

Once for each machine, whatever its number of workers, by the one that holds the office for it.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote

import orjson

from gateway import lifecycle
from gateway.pulse import Pulse
from gateway.upstreams.discovery.eureka_servers import EurekaServers, parse_servers
from gateway.upstreams.discovery.provider import DiscoveryError
from gateway.urls import Origin
from settings import Settings

#: Seconds until a call that failed is tried again, if that is sooner than the next heartbeat.
RETRY = 5.0
#: Seconds that taking the instance out may take: a worker's end waits for it.
LEAVE = 0.8
_GLANCE = 0.25  # at the phase the gateway is in

log = logging.getLogger("gateway.upstreams")


def instance_faults(settings: Settings) -> list[str]:
    """What is wrong with the settings of Eureka."""
    faults = []
    try:
        servers = parse_servers(settings.EUREKA_URL)
    except ValueError as error:
        faults.append(f"EUREKA_URL: {error}")
    else:
        if settings.EUREKA_APP and not servers:
            faults.append("EUREKA_APP is set, but not EUREKA_URL: where to register")
    try:
        if settings.EUREKA_APP:
            _own_origin(settings)
    except ValueError as error:
        faults.append(f"EUREKA_INSTANCE_URL {error}")
    return faults


def _own_origin(settings: Settings) -> Origin:
    """Where others reach this gateway. Raises ValueError."""
    if settings.EUREKA_INSTANCE_URL:
        return Origin.parse(settings.EUREKA_INSTANCE_URL)
    port = "" if settings.bind.startswith("unix:") else settings.bind.rpartition(":")[2]
    try:
        return Origin.parse(f"http://{socket.gethostname()}:{port}")
    except ValueError:
        raise ValueError("must be set: nothing else tells where others reach the gateway") from None


def register_gateway(settings: Settings, pulse: Pulse) -> None:
    """Have this gateway be an instance in Eureka, while it runs."""
    me = GatewayInstance(settings.EUREKA_APP, _own_origin(settings), settings.EUREKA_INTERVAL)
    servers = EurekaServers(parse_servers(settings.EUREKA_URL), settings.UPSTREAM_CA_FILE)
    pulse.when_elected("eureka", Presence(me, servers), office=f"eureka{me.path}", awaited=True)


@dataclass(frozen=True, slots=True)
class GatewayInstance:
    """What Eureka is told of this gateway. interval: seconds between two heartbeats; without three
    of them it is taken for dead."""

    app: str
    origin: Origin
    interval: int

    @property
    def id(self) -> str:
        """What it is called; the same after a restart, so that it takes its own place again."""
        return f"{self.origin.host}:{self.app.lower()}:{self.origin.port}"

    @property
    def path(self) -> str:
        """Where the API has it."""
        return f"/apps/{quote(self.app.upper(), safe='')}/{quote(self.id, safe=':')}"

    def document(self, status: str, stamp: int, address: str) -> bytes:
        """What is posted. stamp: when it became so, in milliseconds; address: its own IP."""
        origin = self.origin
        url = origin.url + origin.base_path
        secure = origin.scheme == "https"
        instance: dict[str, Any] = {
            "instanceId": self.id,
            "app": self.app.upper(),
            "hostName": origin.host,
            "ipAddr": address,
            "vipAddress": self.app.lower(),
            "secureVipAddress": self.app.lower(),
            "status": status,
            "port": _port(80 if secure else origin.port, not secure),
            "securePort": _port(origin.port if secure else 443, secure),
            "homePageUrl": f"{url}/",
            "statusPageUrl": f"{url}/readyz",
            "secureHealthCheckUrl" if secure else "healthCheckUrl": f"{url}/healthz",
            "dataCenterInfo": {
                "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo",
                "name": "MyOwn",
            },
            "leaseInfo": {
                "renewalIntervalInSecs": self.interval,
                "durationInSecs": 3 * self.interval,
            },
            "lastDirtyTimestamp": str(stamp),
        }
        return orjson.dumps({"instance": instance})


def _port(number: int, enabled: bool) -> dict[str, Any]:
    return {"$": number, "@enabled": str(enabled).lower()}


class Presence:
    """The duty to keep the instance registered, UP while the gateway serves, DOWN while it drains.

    It is taken out when the gateway stops, not when only this worker ends: another then goes on.
    DOWN is how Eureka's own client says it; OUT_OF_SERVICE would be an override that outlives the
    instance. What it remembers is this worker's own, for one term of office.
    """

    def __init__(
        self,
        me: GatewayInstance,
        servers: EurekaServers,
        *,
        phase: Callable[[], int] = lifecycle.phase,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._me = me
        self._servers = servers
        self._phase = phase
        self._clock = clock
        self._now = now
        self._status = ""  # that was told last, or tried to
        self._stamp = 0  # when it became so; 0: not registered
        self._due = 0.0
        self._failing = False

    def __call__(self, over: threading.Event) -> None:
        """Serve for one term."""
        self._status, self._stamp, self._due, self._failing = "", 0, 0.0, False
        while not over.is_set() and (phase := self._phase()) != lifecycle.STOPPING:
            self.beat("UP" if phase == lifecycle.SERVING else "DOWN", over)
            over.wait(_GLANCE)
        if self._phase() == lifecycle.STOPPING:
            self._leave()

    def beat(self, status: str, over: threading.Event) -> None:
        """Tell Eureka, if the status is a new one or it is time to."""
        if status == self._status and self._clock() < self._due:
            return
        if status != self._status:
            self._status, self._stamp = status, 0
        try:
            self._renew(over)
        except DiscoveryError as error:
            self._due = self._clock() + min(RETRY, self._me.interval)
            if not (self._failing or over.is_set()):
                log.warning("eureka: this gateway cannot be registered or kept so: %s", error)
            self._failing = True
            return
        self._due = self._clock() + self._me.interval
        if self._failing:
            log.warning("eureka: this gateway is registered again")
        self._failing = False

    def _renew(self, over: threading.Event) -> None:
        if self._stamp:
            query = f"status={self._status}&lastDirtyTimestamp={self._stamp}"
            answer = self._servers.call("PUT", f"{self._me.path}?{query}", over=over)
            if answer.status == 200:
                return
            if answer.status != 404:
                raise DiscoveryError(f"{answer.server} answers a heartbeat with {answer.status}")
        # Not known there, or no longer, as after a restart of the server.
        stamp = int(self._now() * 1000)
        body = self._me.document(self._status, stamp, _own_address(self._servers, self._me))
        app = self._me.path.rpartition("/")[0]
        answer = self._servers.call("POST", app, over=over, body=body)
        if answer.status not in (200, 204):
            raise DiscoveryError(f"{answer.server} answers a registration with {answer.status}")
        self._stamp = stamp
        log.info("eureka: this gateway is registered as %s, %s", self._me.id, self._status)

    def _leave(self) -> None:
        try:
            answer = self._servers.call("DELETE", self._me.path, within=LEAVE)
        except DiscoveryError as error:
            log.warning("eureka: this gateway stays registered until its lease ends: %s", error)
            return
        log.info("eureka: this gateway is taken out (%d)", answer.status)


def _own_address(servers: EurekaServers, me: GatewayInstance) -> str:
    """The address this machine has towards Eureka, unless the instance goes by one itself."""
    with contextlib.suppress(ValueError):
        return str(ip_address(me.origin.host))
    server = servers.current.origin
    try:
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)
        family, _, _, _, address = found[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)  # sends nothing
            return str(probe.getsockname()[0])
    except (OSError, UnicodeError):
        return "127.0.0.1"
