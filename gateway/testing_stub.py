"""A transport without a network: answers come from a function, for tests of your own services.

    def backend(method, url, headers, body):
        return 200, {"Content-Type": "text/plain"}, b"hello"

    stub = StubTransport(backend)
    orders = Service("orders", __name__, url_prefix="/orders",
                     upstream="http://orders", session=stub.session())
    ...
    assert stub.requests[0].url == "http://orders/orders/7"

It stands where the gateway's own adapter stands, so everything before it is the real thing.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPHeaderDict, HTTPResponse

Fields = Mapping[str, str] | Iterable[tuple[str, str]]
Answer = tuple[int, Fields, bytes]
Backend = Callable[[str, str, CaseInsensitiveDict[str], bytes], Answer]


@dataclass(frozen=True, slots=True)
class StubRequest:
    """A request as the backend would have been sent it; repeated fields are joined."""

    method: str
    url: str
    headers: CaseInsensitiveDict[str]
    body: bytes


class StubTransport(BaseAdapter):
    """A `requests` adapter that asks `backend(method, url, headers, body)` for each answer.

    backend: returns status, fields (a mapping, or pairs where one is repeated) and body. What it
    raises is raised here: an `UpstreamError` or a `requests` exception plays a failure.
    `requests` lists what was asked, oldest first.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self._backend = backend
        self.requests: list[StubRequest] = []

    def session(self) -> requests.Session:
        """A Session that sends everything here; for `Service(session=...)`."""
        session = requests.Session()
        session.trust_env = False
        for scheme in list(session.adapters):
            session.mount(scheme, self)
        return session

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Take the whole request, body included, and give the backend's answer."""
        asked = StubRequest(
            request.method or "", request.url or "", request.headers, _whole(request.body)
        )
        self.requests.append(asked)
        status, fields, body = self._backend(asked.method, asked.url, asked.headers, asked.body)
        response = requests.Response()
        response.status_code = status
        response.url = asked.url
        response.request = request
        response.raw = HTTPResponse(
            io.BytesIO(body),
            headers=HTTPHeaderDict(fields),
            status=status,
            preload_content=False,
            request_method=asked.method,
        )
        response.headers.update(response.raw.headers)
        return response

    def close(self) -> None:
        """Nothing is open."""


def _whole(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes) else b"".join(body)
