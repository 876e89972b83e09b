"""Outlined requests and answers, for tests of rooms 4 and 5 without an application."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gateway import Handler, PolicyContext, StaticBody, Timeouts, UpstreamRequest, UpstreamResponse
from gateway.authentication import Identity
from gateway.edge.origin import Edge
from gateway.exchange import BodySource, Exchange, Headers
from gateway.headers import environ_name
from gateway.pulse import Pulse
from gateway.requester import Requester
from gateway.state import MemoryState, SharedState
from tests.support.wsgi import make_settings


def requester(
    target: str = "/things/7",
    headers: Headers | None = None,
    *,
    host: str = "gateway.example",
    scheme: str = "http",
    identity: Identity | None = None,
) -> Requester:
    """Who asks, with these fields; three of them may hold a credential."""
    environ: dict[str, Any] = {
        "RAW_URI": target,
        "gateway.edge": Edge("192.0.2.1", False, "192.0.2.1", scheme, host),
    }
    environ |= {environ_name(name): value for name, value in headers or []}
    return Requester(environ, identity, ("HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_X_API_KEY"))


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
    asker: Requester | None = None,
) -> UpstreamRequest:
    """A request that has `seconds` left. asker: who asks, by default whoever sends these fields."""
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
        requester=asker or requester(target, headers),
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
