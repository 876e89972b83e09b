"""The rival: a FastAPI + httpx gateway with the same duties, written with care.

Where FastAPI's users have a choice, the faster one is taken: asynchronous dependencies, a plain
ASGI middleware for the access log, a cache of verified tokens, a limit counted in memory, the
body streamed raw, no proxy settings read from the environment.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import orjson
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from fastapi_guard import Caller, RawHeaders, caller, limited
from starlette.background import BackgroundTask
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UPSTREAM = httpx.URL(os.environ["ORDERS_URL"])
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer"
    b" transfer-encoding upgrade".split()
)
SET_BY_US = frozenset(
    b"host x-forwarded-for x-forwarded-proto x-forwarded-host x-user-id x-request-id".split()
)
log = logging.getLogger("access")


def end_to_end(headers: RawHeaders, also: frozenset[bytes] = frozenset()) -> RawHeaders:
    """The headers a proxy may pass on (RFC 9110, section 7.6.1)."""
    dropped = HOP_BY_HOP | also
    for name, value in headers:
        if name.lower() == b"connection":
            dropped |= {part.strip().lower() for part in value.split(b",")}
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def outgoing_headers(request: Request, user_id: str) -> RawHeaders:
    """The client's own headers, then what the gateway vouches for."""
    client = request.client.host if request.client else "unknown"
    return [
        *end_to_end(request.headers.raw, SET_BY_US),
        (b"x-forwarded-for", client.encode()),
        (b"x-forwarded-proto", request.url.scheme.encode()),
        (b"x-forwarded-host", request.headers.get("host", "").encode()),
        (b"x-user-id", user_id.encode()),
        (b"x-request-id", request.scope["request_id"].encode()),
    ]


class AccessLog:
    """One JSON line per request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and write the line when the body is sent."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begin, status = time.perf_counter(), 500
        scope["request_id"] = uuid.uuid4().hex

        async def noting(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            log.info(orjson.dumps(_line(scope, status, time.perf_counter() - begin)).decode())


def _line(scope: Scope, status: int, seconds: float) -> dict[str, Any]:
    return {
        "time": time.time(),
        "request_id": scope["request_id"],
        "client": scope["client"][0] if scope["client"] else None,
        "user": scope.get("state", {}).get("user_id"),
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "milliseconds": round(seconds * 1000, 3),
    }


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the pool with the server and close it with it."""
    log.addHandler(logging.StreamHandler(sys.stdout))
    log.setLevel(logging.INFO)
    # httpx's own pool limits: its work per request grows with the connections it keeps.
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan, openapi_url=None)
app.add_middleware(AccessLog)


@app.api_route("/api/v1/orders/{path:path}", methods=METHODS, response_model=None)
async def forward(
    request: Request,
    known: Annotated[Caller, Depends(caller)],
    limit_headers: Annotated[RawHeaders, Depends(limited)],
) -> StreamingResponse:
    """Send the request to the upstream and stream its answer back."""
    client: httpx.AsyncClient = request.app.state.client
    target = request.scope["raw_path"]
    if query := request.scope["query_string"]:
        target += b"?" + query
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    outgoing = client.build_request(
        request.method,
        UPSTREAM.copy_with(raw_path=target),
        headers=outgoing_headers(request, known.user_id),
        content=request.stream() if has_body else None,
    )
    try:
        upstream = await client.send(outgoing, stream=True)
    except httpx.HTTPError as error:
        raise HTTPException(502, "the upstream cannot be reached") from error
    answer = StreamingResponse(
        upstream.aiter_raw(), upstream.status_code, background=BackgroundTask(upstream.aclose)
    )
    answer.raw_headers = end_to_end(upstream.headers.raw) + limit_headers
    return answer
