"""Calls of the gateway's own, such as to an authorisation server: bounded in time and size."""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

import requests

from gateway.bodies import BytesBody
from gateway.errors import BodyFailed, ClientGone, UpstreamError
from gateway.transport.messages import WireRequest
from gateway.transport.session import make_session
from gateway.urls import Origin

#: The largest answer that is read, in bytes.
LARGEST = 8 * 1024 * 1024
CONNECT = 1.0
# Seconds for the body of an answer that nobody wants.
_SOON = 0.5

# What may stand in a request target: `quote` encodes the rest.
_AS_IT_IS = "!#$%&'()*+,/:;=?@[]~"


class CallFailed(Exception):
    """There was no answer. The text is for the log; it names the server, but no secret."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is called. authorization: sent along with every request; empty for none."""

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
    """What a server answered. server: its name."""

    server: str
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes = field(repr=False)
    fields: tuple[tuple[str, str], ...] = ()  # as they came, repeated ones apart


class Caller:
    """Calls one server. Made by the worker that uses it, or before the fork: it connects when
    called.

    headers: sent with every request. ca_file: authorities trusted for https, empty for certifi's.
    connections: how many are kept and used at once at most, more calls wait for one; 0: each call
    has a new one, of which there is one at a time, and none is kept. largest: bytes of an answer.
    connect: seconds to connect. bodies: False if nobody wants what answers hold: so much of it is
    read as comes soon, and what goes wrong with it is no failure.
    """

    def __init__(
        self,
        server: Server,
        headers: Iterable[tuple[str, str]] = (),
        *,
        ca_file: str = "",
        connections: int = 0,
        largest: int = LARGEST,
        connect: float = CONNECT,
        bodies: bool = True,
    ) -> None:
        self.server = server
        self._headers = {"Accept": "application/json", **dict(headers)}
        self._keep = connections > 0
        self._largest = largest
        self._connect = connect
        self._bodies = bodies
        if not self._keep:
            self._headers["Connection"] = "close"
        if server.authorization:
            self._headers["Authorization"] = server.authorization
        self._session = make_session(connections or 1, ca_file=ca_file)

    def call(
        self,
        method: str,
        target: str = "",
        *,
        seconds: float,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        media_type: str = "application/json",
        over: threading.Event | None = None,
    ) -> Answer:
        """One exchange; `target` follows the server's own path. No redirect is followed.

        seconds: for all of it. headers: over those of every request. media_type: of the body.
        over: breaks off within half a second. Raises CallFailed when there is no answer, or one
        that is too large; whether the server was reached then is not known.
        """
        name = self.server.name
        fields = {**self._headers, **dict(headers)}
        if body is not None:
            fields["Content-Type"] = media_type
        deadline = time.monotonic() + seconds
        try:
            return self._exchange(method, target, fields, body, deadline, over)
        except ClientGone:
            raise CallFailed(f"{name}: not waited for any longer") from None
        except BodyFailed as error:
            if time.monotonic() >= deadline:  # what came last came in time, and nothing since
                raise self._too_slow() from None
            raise CallFailed(f"{name}: {error.reason} ({error})") from None
        except UpstreamError as error:
            raise CallFailed(f"{name}: {error.reason} ({error})") from None
        finally:
            if not self._keep:
                self._session.close()

    def close(self) -> None:
        """Close the connections that are kept; a later call opens new ones."""
        self._session.close()

    def _exchange(
        self,
        method: str,
        target: str,
        fields: dict[str, str],
        body: bytes | None,
        deadline: float,
        over: threading.Event | None,
    ) -> Answer:
        origin = self.server.origin
        path = quote(origin.base_path + target, safe=_AS_IT_IS)
        if path[:1] != "/":
            path = "/" + path
        wire = WireRequest(method, origin.url, path, origin.authority, list(fields.items()))
        if body:
            wire.stream = BytesBody(body)
        wire.deadline = deadline
        if over is not None:
            wire.abandoned = over.is_set
        left = max(deadline - time.monotonic(), 0.001)
        options: dict[str, Any] = {"stream": True, "timeout": (min(self._connect, left), left)}
        response = self._session.get_adapter(origin.url).send(wire, **options)
        with response:
            if self._bodies:
                received = self._read(response, deadline, wire.abandoned)
            else:
                received = self._skipped(response, deadline)
        told = tuple(response.raw.headers.items())
        names = {name.lower(): value for name, value in told}
        return Answer(self.server.name, response.status_code, names, received, told)

    def _read(
        self, response: requests.Response, deadline: float, abandoned: Callable[[], bool]
    ) -> bytes:
        pieces: list[bytes] = []
        size = 0
        body: Any = response.raw
        body.idle = max(deadline - time.monotonic(), 0.001)
        for piece in body:
            pieces.append(piece)
            size += len(piece)
            if size > self._largest:
                name = self.server.name
                raise CallFailed(f"{name} answers with more than {self._largest} bytes")
            if abandoned():
                raise ClientGone
            body.idle = deadline - time.monotonic()
            if body.idle <= 0:
                raise self._too_slow()
        return b"".join(pieces)

    def _skipped(self, response: requests.Response, deadline: float) -> bytes:
        """Read a body that nobody wants, if it is short and comes soon: so that its connection can
        be used again."""
        body: Any = response.raw
        end = min(deadline, time.monotonic() + _SOON)
        size = 0
        body.idle = _SOON
        with contextlib.suppress(UpstreamError):
            for piece in body:
                size += len(piece)
                if size > self._largest or time.monotonic() > end:
                    break
        return b""

    def _too_slow(self) -> CallFailed:
        return CallFailed(f"{self.server.name} takes too long to send its answer")
