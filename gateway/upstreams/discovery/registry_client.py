"""Calls to the HTTP API of a registry: what fails there is a DiscoveryError."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.transport import calls
from gateway.transport.calls import Caller, CallFailed, Server
from gateway.upstreams.discovery.provider import DiscoveryError

__all__ = ["Answer", "RegistryClient", "Server"]


@dataclass(frozen=True, slots=True)
class Answer(calls.Answer):
    """What a registry answered."""

    def json(self) -> Any:
        """The body, parsed. Raises DiscoveryError."""
        if self.status != 200:
            raise DiscoveryError(f"{self.server} answers {self.status}")
        try:
            return orjson.loads(self.body)
        except ValueError:
            raise DiscoveryError(f"{self.server} answers with something that is not JSON") from None


class RegistryClient:
    """Calls one server, over a new connection each time: calls are seconds apart.

    headers: sent with every request. ca_file: authorities trusted for https, empty for certifi's.
    """

    def __init__(
        self, server: Server, headers: Sequence[tuple[str, str]] = (), ca_file: str = ""
    ) -> None:
        self.server = server
        self._caller = Caller(server, headers, ca_file=ca_file)

    def call(
        self,
        method: str,
        target: str,
        *,
        seconds: float,
        over: threading.Event | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """One exchange; see Caller.call. Raises DiscoveryError when there is no answer."""
        try:
            told = self._caller.call(method, target, seconds=seconds, body=body, over=over)
        except CallFailed as error:
            raise DiscoveryError(str(error)) from None
        return Answer(told.server, told.status, told.headers, told.body)
