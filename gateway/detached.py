"""Requests that go on beside the one they were made of: nobody waits for them, nobody sees them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from gateway.exchange import Exchange, UpstreamRequest, UpstreamResponse, derived


def detached(
    request: UpstreamRequest,
    seconds: float,
    record: Callable[..., Exchange] = Exchange,
    service: str = "",
) -> UpstreamRequest:
    """A copy with a record of its own, which no client can abandon. Whoever sends it calls
    `closed` at its end.

    seconds: for its response head, from now. record: makes the record. service: whose it is;
    empty: that of the request.
    """
    now = time.monotonic()
    usual = request.timeouts
    return replace(
        request,
        timeouts=replace(usual, read=min(usual.read or seconds, seconds), total=seconds),
        deadline=now + seconds,
        abandoned=_never,
        tried=None,
        admit=None,
        exchange=derived(request.exchange, now, service, record),
    )


def read_over(response: UpstreamResponse, end: float, most: int) -> None:
    """Read an answer, so that its connection can be used again. One of more than `most` bytes, or
    not over at the monotonic time `end`, is broken off. Raises BodyFailed."""
    size = 0
    try:
        for piece in response.body:
            size += len(piece)
            if size > most or time.monotonic() > end:
                break
    finally:
        response.body.close()


def closed(request: UpstreamRequest) -> None:
    """End what is still open of a detached request."""
    for body in request.exchange.bodies:
        body.close()
    request.exchange.end()


def _never() -> bool:
    return False
