"""The Eureka servers that are asked: several that know the same, tried in turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from gateway.upstreams.discovery.provider import DiscoveryError
from gateway.upstreams.discovery.registry_client import Answer, RegistryClient, Server

#: Seconds for one server's answer, before the next is asked.
ANSWER = 5.0


def parse_servers(urls: str) -> tuple[Server, ...]:
    """Read comma-separated `http(s)://[user:password@]host[:port][/path]`. ValueError names the
    faulty one, without its password."""
    servers = []
    for part in filter(None, map(str.strip, urls.split(","))):
        try:
            servers.append(Server.parse(part))
        except ValueError as error:
            raise ValueError(f"{part.rpartition('@')[2]!r} {error}") from None
    return tuple(servers)


class EurekaServers:
    """Calls the one that answered last, or else the next. Which one that is, is this worker's own.

    A server fails when it does not answer, or with 500 or more.
    """

    def __init__(self, servers: Sequence[Server], ca_file: str = "") -> None:
        self._clients = [RegistryClient(server, ca_file=ca_file) for server in servers]
        self._at = 0

    @property
    def current(self) -> Server:
        """The server that is asked first."""
        return self._clients[self._at].server

    def call(
        self,
        method: str,
        path: str,
        *,
        over: threading.Event | None = None,
        body: bytes | None = None,
        within: float = 60.0,
    ) -> Answer:
        """The first answer. within: seconds for all servers together. Raises DiscoveryError when
        none of them gives one."""
        end = time.monotonic() + within
        faults = []
        for _ in self._clients:
            client = self._clients[self._at]
            seconds = min(ANSWER, max(end - time.monotonic(), 0.001))
            try:
                answer = client.call(method, path, seconds=seconds, over=over, body=body)
                if answer.status < 500:
                    return answer
                faults.append(f"{answer.server} answers {answer.status}")
            except DiscoveryError as error:
                faults.append(str(error))
            self._at = (self._at + 1) % len(self._clients)
            if over is not None and over.is_set():
                break
        raise DiscoveryError("; ".join(faults))
