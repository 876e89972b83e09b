"""Sending through the gateway's adapter, one call each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.bodies import RequestBody
from gateway.transport.adapter import PooledAdapter
from gateway.transport.messages import WireRequest, WireResponse
from gateway.transport.response import PooledBody


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends requests through one adapter."""

    adapter: PooledAdapter

    def open(
        self,
        url: str,
        method: str = "GET",
        target: str = "/x",
        *,
        body: RequestBody | None = None,
        headers: list[tuple[str, str]] | None = None,
        read: float = 2.0,
        abandoned: Callable[[], bool] = lambda: False,
    ) -> WireResponse:
        """The response, its body still to be read."""
        request = WireRequest(method, url, target, url.partition("//")[2], headers or [])
        request.stream = body
        request.abandoned = abandoned
        request.deadline = time.monotonic() + read
        response = self.adapter.send(request, timeout=(1.0, read))
        assert isinstance(response, WireResponse)
        return response

    def body(self, url: str, method: str = "GET", **options: Any) -> PooledBody:
        """The response's body, still to be read."""
        body: Any = self.open(url, method, **options).raw
        assert isinstance(body, PooledBody)
        return body

    def __call__(self, url: str, method: str = "GET", **options: Any) -> bytes:
        return b"".join(self.open(url, method, **options).raw)


@pytest.fixture
def send() -> Iterator[Sender]:
    """A sender whose adapter keeps one connection to an instance."""
    adapter = PooledAdapter(size=1)
    yield Sender(adapter)
    adapter.close()
