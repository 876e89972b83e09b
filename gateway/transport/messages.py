"""Requests and responses in `requests`' shape, without what `requests` would do to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.structures import CaseInsensitiveDict

from gateway.bodies import BytesBody
from gateway.exchange import BodySource, Headers
from gateway.transport.framing import Head
from gateway.transport.response import PooledBody
from gateway.urls import Origin


def _never() -> bool:
    return False


class WireRequest(requests.PreparedRequest):
    """A prepared request filled by hand: the target and the fields go out as they stand.

    `fields` are the pairs to send, `stream` is the client's body. `headers` and `body` show the
    same in `requests`' shape, made when another adapter asks for them.
    """

    def __init__(
        self,
        method: str,
        origin: str,
        target: str,
        host: str,
        headers: Headers,
        address: str = "",
    ) -> None:
        self.method = method
        self.url = origin + target
        self.origin = origin
        self.address = address  # to connect to, instead of what the origin's name resolves to
        self.target = target
        self.host = host
        self.fields = headers
        self.hooks = {}
        self.stream: BodySource | None = None
        self.deadline = 0.0
        self.abandoned: Callable[[], bool] = _never
        self._headers: CaseInsensitiveDict[str] | None = None

    @property
    def headers(self) -> CaseInsensitiveDict[str]:  # type: ignore[override]
        """The fields with repeated ones joined, `Content-Length`, and `Host` if it is not the
        URL's own."""
        if self._headers is None:
            self._headers = _joined(self.fields)
            if self.stream is not None and self.stream.length is not None:
                self._headers["Content-Length"] = str(self.stream.length)
            if not self.origin.endswith("//" + self.host):
                self._headers["Host"] = self.host
        return self._headers

    @property
    def body(self) -> Iterator[bytes] | None:  # type: ignore[override]
        """The client's body, piece by piece; None for none."""
        return None if self.stream is None else iter(self.stream.next_piece, b"")


class WireResponse(requests.Response):
    """A response that builds its dictionary of headers and its cookie jar only when asked."""

    def __init__(self, head: Head, body: PooledBody, request: WireRequest) -> None:
        self._content: Any = False  # requests' own mark for a body not yet read
        self._content_consumed = False
        self._next = None
        self.status_code = head.status
        self.reason = head.reason
        self.raw = body
        self.url = request.url or ""
        self.encoding = None
        self.history = []
        self.request = request
        self.version = head.version

    @property
    def headers(self) -> CaseInsensitiveDict[str]:  # type: ignore[override]
        """The fields with repeated ones joined; `raw.headers` has them apart."""
        return _joined(self.raw.headers.items())

    @property
    def cookies(self) -> requests.cookies.RequestsCookieJar:  # type: ignore[override]
        """Always empty: cookies belong to the client."""
        return requests.cookies.RequestsCookieJar()


def _joined(fields: Iterable[tuple[str, str]]) -> CaseInsensitiveDict[str]:
    joined: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for name, value in fields:
        mark = "; " if name.lower() == "cookie" else ", "
        joined[name] = f"{joined[name]}{mark}{value}" if name in joined else value
    return joined


def converted(request: requests.PreparedRequest) -> WireRequest:
    """What `Session.request` prepared, for calls that a view makes by itself."""
    parts = urlsplit(request.url or "")
    origin = Origin.parse(f"{parts.scheme}://{parts.netloc}")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    given: dict[str, Any] = dict(request.headers or {})
    fields = [
        (name, str(value))
        for name, value in given.items()
        if name.lower() not in ("content-length", "transfer-encoding", "host")
    ]
    host = given.get("Host") or origin.authority
    wire = WireRequest(request.method or "GET", origin.url, target, str(host), fields)
    body = request.body
    if isinstance(body, str):
        body = body.encode()
    if isinstance(body, bytes):
        wire.stream = BytesBody(body)
    elif body is not None:
        raise TypeError("the gateway's Session sends bodies of bytes or str")
    return wire
