"""Outlined requests and answers, for tests of rooms 4 and 5 without an application."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gateway import Handler, PolicyContext, StaticBody, Timeouts, UpstreamRequest, UpstreamResponse
from gateway.exchange import BodySource, Exchange, Headers
from gateway.pulse import Pulse
from gateway.state import MemoryState, SharedState
from tests.support.wsgi import make_settings


def outline(
    method: str = "GET",
    target: str = "/things/7",
    *,
    headers: Headers | None = None,
    body: BodySource | None = None,
    seconds: float = 5.0,
    service: str = "things",
    user: str = "",
    client: str = "192.0.2.1",
    abandoned: Callable[[], bool] = lambda: False,
) -> UpstreamRequest:
    """A request that has `seconds` left."""
    now = time.monotonic()
    return UpstreamRequest(
        service=service,
        method=method,
        target=target,
        headers=headers or [],
        body=body,
        host=None,
        timeouts=Timeouts(1.0, 2.0, seconds),
        deadline=now + seconds,
        abandoned=abandoned,
        exchange=Exchange("a-request-id", now, service=service, user=user, client=client),
    )


def answer(
    status: int = 200,
    body: bytes = b"ok",
    *,
    headers: Headers | None = None,
    target: str = "things.internal",
) -> UpstreamResponse:
    """A response that is there already."""
    return UpstreamResponse(status, "", headers or [], StaticBody(body), target=target)


def make_context(
    service: str = "things",
    *,
    state: SharedState | None = None,
    others: dict[str, Handler] | None = None,
    **settings: Any,
) -> PolicyContext:
    """A policy's surroundings; `others` are the chains of further services. Its pulse is never
    begun: a test calls what it needs."""
    shared = MemoryState() if state is None else state
    handlers = others or {}
    return PolicyContext(
        service=service,
        services=frozenset({service, *handlers}),
        settings=make_settings(**settings),
        state=shared,
        pulse=Pulse(shared),
        handler_of=lambda name: handlers[name],
    )
