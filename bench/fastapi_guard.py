"""Who calls the FastAPI gateway, what they may do, and how often."""

from __future__ import annotations

import os
import time
from typing import Annotated, NamedTuple

import jwt
from cachetools import TTLCache
from fastapi import Depends, HTTPException, Request
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

RawHeaders = list[tuple[bytes, bytes]]

SECRET = os.environ["JWT_SECRET"]
LIMIT = RateLimitItemPerMinute(1_000_000)


class Caller(NamedTuple):
    """Who sent the request, what they may do, and until when that is known."""

    user_id: str
    permissions: frozenset[str]
    expires: float


limiter = FixedWindowRateLimiter(MemoryStorage())
tokens: TTLCache[str, Caller] = TTLCache(maxsize=10_000, ttl=60)


async def caller(request: Request) -> Caller:
    """The bearer of a valid token; 401 without one, 403 without the permission."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise HTTPException(401, "a bearer token is required")
    known = tokens.get(token)
    if known is None or known.expires <= time.time():
        known = tokens[token] = _verified(token)
    if "order:read" not in known.permissions:
        raise HTTPException(403, "order:read is required")
    request.state.user_id = known.user_id
    return known


def _verified(token: str) -> Caller:
    try:
        claims = jwt.decode(token, SECRET, ["HS256"], options={"require": ["exp", "sub"]})
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "the token is not valid") from error
    return Caller(claims["sub"], frozenset(claims.get("permissions", ())), claims["exp"])


async def limited(known: Annotated[Caller, Depends(caller)]) -> RawHeaders:
    """Count the request; the X-RateLimit headers, or 429."""
    allowed = await limiter.hit(LIMIT, known.user_id)
    stats = await limiter.get_window_stats(LIMIT, known.user_id)
    headers = [
        (b"x-ratelimit-limit", b"%d" % LIMIT.amount),
        (b"x-ratelimit-remaining", b"%d" % stats.remaining),
        (b"x-ratelimit-reset", b"%d" % stats.reset_time),
    ]
    if not allowed:
        raise HTTPException(429, headers={name.decode(): v.decode() for name, v in headers})
    return headers
