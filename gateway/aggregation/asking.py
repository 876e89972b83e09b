"""A leg on its way: sent through its service's chain, and its answer read as JSON."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson

from gateway.aggregation.leg import LegFailed
from gateway.content_codings import ContentError, TooLarge, decoded
from gateway.errors import ClientGone, Refusal, UpstreamError
from gateway.exchange import Handler, UpstreamRequest, UpstreamResponse
from gateway.json_depth import too_deep

#: Statuses that a client is told where a part that is needed has them; others are a 502.
_TOLD = frozenset({403, 404, 410, 429})
#: The reason of a failure that is nobody's but the gateway's.
BUG = "bug"
_LATE = "http_response_timeout"
_LARGE = "answer_too_large"


class Call:
    """One leg under way: everything it needs on whichever thread it runs, and what came of it."""

    __slots__ = ("_handler", "_most", "_request", "attempts", "end", "failed", "fallback", "value")

    def __init__(self, handler: Handler, request: UpstreamRequest, most: int) -> None:
        self._handler = handler
        self._request = request
        self._most = most
        #: The monotonic time by which it is over.
        self.end = request.deadline
        #: The tries of this leg.
        self.attempts = request.exchange.attempts
        self.value: Any = None
        self.failed: LegFailed | None = None
        #: What its service's `Fallback` answered with, as `X-Fallback` says it; mostly empty.
        self.fallback = ""

    def run(self, done: Callable[[Call], object]) -> None:
        """Ask, once, and tell `done`, whatever comes of it."""
        request = self._request
        del self._request  # it leads to the gathering, which may never take this call: a cycle
        try:
            self.value = self._answer(request)
        except LegFailed as failed:
            failed.__context__ = None  # it has a traceback, too
            self.failed = failed.with_traceback(None)
        except BaseException as error:  # noqa: BLE001  a bug: raised again where it is seen
            self.failed = LegFailed(BUG, 500, error)
        finally:
            done(self)

    def _answer(self, request: UpstreamRequest) -> Any:
        try:
            response = self._handler(request)
            data = self._read(response, request.deadline)
        except UpstreamError as error:
            # Without its traceback, which would lead back to all of the request.
            raise LegFailed(error.reason, error.status, error.with_traceback(None)) from None
        except Refusal as refusal:
            raise LegFailed(
                refusal.slug, refusal.code or 502, refusal.with_traceback(None)
            ) from None
        except ClientGone:
            raise LegFailed(_LATE, 504) from None
        finally:
            for body in request.exchange.bodies:
                body.close()
            request.exchange.bodies.clear()
            request.exchange.end()
        for name, value in response.headers:
            if name == "X-Fallback":
                self.fallback = value[:20]
        return _value(response, data, self._most)

    def _read(self, response: UpstreamResponse, end: float) -> bytes:
        pieces: list[bytes] = []
        size = 0
        for piece in response.body:
            size += len(piece)
            if size > self._most:
                raise LegFailed(_LARGE)
            pieces.append(piece)
            if time.monotonic() > end:
                raise LegFailed(_LATE, 504)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _value(response: UpstreamResponse, data: bytes, most: int) -> Any:
    status = response.status
    if not 200 <= status < 300:
        raise LegFailed(f"status_{status}", status if status in _TOLD else 502)
    data = data and _plain(response, data, most)
    if not data:
        return None
    try:
        value = orjson.loads(data)
    except ValueError:
        raise LegFailed("no_json") from None
    if too_deep(data, value):
        raise LegFailed("no_json")
    return value


def _plain(response: UpstreamResponse, data: bytes, most: int) -> bytes:
    """A body without its content codings: some backends use one although none is asked for."""
    fields = response.headers
    codings = [value for name, value in fields if name.lower() == "content-encoding"]
    if not codings:
        return data
    try:
        return decoded(data, ",".join(codings), most)
    except TooLarge:
        raise LegFailed(_LARGE) from None
    except ContentError as error:
        raise LegFailed(error.reason) from None
