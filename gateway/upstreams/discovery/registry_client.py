"""Calls to the HTTP API of a registry: bounded in time and size, and easy to break off."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import orjson
import requests

from gateway.errors import ClientGone, UpstreamError
from gateway.transport.messages import converted
from gateway.transport.session import make_session
from gateway.upstreams.discovery.provider import DiscoveryError
from gateway.urls import Origin

#: The largest answer that is read, in bytes.
LARGEST = 8 * 1024 * 1024
CONNECT = 1.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server with a registry. authorization: sent along with every request; empty for none."""

    origin: Origin
    authorization: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> Server:
        """Read `http(s)://[user:password@]host[:port][/path]`. ValueError, without the password."""
        scheme, mark, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        user, at, host = authority.rpartition("@")
        if "@" in path:
            raise ValueError("has a / in its user or password: write it as %2F")
        origin = Origin.parse(f"{scheme}{mark}{host}{slash}{path}")
        if not at:
            return cls(origin)
        credentials = base64.b64encode(unquote(user).encode()).decode()
        return cls(origin, f"Basic {credentials}")

    @property
    def name(self) -> str:
        """What logs call it."""
        return self.origin.authority


@dataclass(frozen=True, slots=True)
class Answer:
    """What a registry answered. server: its name."""

    server: str
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes = field(repr=False)

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
        self._headers = {"Accept": "application/json", "Connection": "close", **dict(headers)}
        if server.authorization:
            self._headers["Authorization"] = server.authorization
        self._session = make_session(1, ca_file=ca_file)

    def call(
        self,
        method: str,
        target: str,
        *,
        seconds: float,
        over: threading.Event | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """One exchange; `target` follows the server's own path.

        seconds: for all of it. over: breaks off within half a second. Raises DiscoveryError when
        there is no answer, or one that is larger than 8 MiB; its text names no secret.
        """
        try:
            return self._exchange(method, target, time.monotonic() + seconds, over, body)
        except ClientGone:
            raise DiscoveryError(f"{self.server.name}: not waited for any longer") from None
        except UpstreamError as error:
            raise DiscoveryError(f"{self.server.name}: {error.reason} ({error})") from None
        except requests.RequestException as error:  # an address that it takes for none
            raise DiscoveryError(f"{self.server.name}: {type(error).__name__}") from None
        finally:
            self._session.close()

    def _exchange(
        self,
        method: str,
        target: str,
        deadline: float,
        over: threading.Event | None,
        body: bytes | None,
    ) -> Answer:
        origin = self.server.origin
        url = f"{origin.url}{origin.base_path}{target}"
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        wire = converted(requests.Request(method, url, headers=headers, data=body).prepare())
        wire.deadline = deadline
        if over is not None:
            wire.abandoned = over.is_set
        left = max(deadline - time.monotonic(), 0.001)
        options: dict[str, Any] = {"stream": True, "timeout": (min(CONNECT, left), left)}
        response = self._session.get_adapter(url).send(wire, **options)
        with response:
            received = self._read(response, deadline, wire.abandoned)
        names = {name.lower(): value for name, value in response.raw.headers.items()}
        return Answer(self.server.name, response.status_code, names, received)

    def _read(
        self, response: requests.Response, deadline: float, abandoned: Callable[[], bool]
    ) -> bytes:
        pieces: list[bytes] = []
        size = 0
        for piece in response.raw:
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST:
                raise DiscoveryError(f"{self.server.name} answers with more than {LARGEST} bytes")
            if abandoned():
                raise ClientGone
            if time.monotonic() > deadline:
                raise DiscoveryError(f"{self.server.name} takes too long to send its answer")
        return b"".join(pieces)
