"""The end of a policy chain: choose a target, send, take the response head."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import requests

from gateway.errors import (
    BodyFailed,
    ClientGone,
    ConnectFailed,
    ConnectTimeout,
    HeadFailed,
    HeadTimeout,
    ProtocolViolation,
    UpstreamError,
    deadline_exceeded,
)
from gateway.exchange import UNAVAILABLE, Attempt, ResponseBody, UpstreamRequest, UpstreamResponse
from gateway.transport.adapter import PooledAdapter
from gateway.transport.messages import WireRequest
from gateway.transport.response import FieldPairs, PooledBody
from gateway.upstreams import Connections, Target, UpstreamPool
from gateway.upstreams.load_balancing.choice import Answered, Outgoing
from gateway.urls import join


class SessionTransport:
    """Sends requests to the targets of one service through its Session's mounted adapter.

    Any `requests` adapter may be mounted in place of the gateway's. Raises UpstreamError when no
    usable response came; every try is noted on the request's exchange. A request whose deadline
    has passed is sent to nobody.
    """

    def __init__(self, session: requests.Session, pool: UpstreamPool) -> None:
        self.session = session
        self.pool = pool
        self._outgoing: Outgoing | None = getattr(pool.chooser, "outgoing", None)
        self._answered: Answered | None = getattr(pool.chooser, "answered", None)

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send to one target and return once the response head is there."""
        started = time.monotonic()
        if started >= request.deadline:
            raise deadline_exceeded()
        pool = self.pool
        node = pool.choose(request)
        target = node.target
        if request.tried is not None:
            request.tried.append(target.name)
        attempt = Attempt(target.name, started)
        exchange = request.exchange
        exchange.attempts.append(attempt)
        try:
            outgoing = request if self._outgoing is None else self._outgoing(request)
            response = self.send_to(target, outgoing)
            body = response.body
            if response.status in UNAVAILABLE:
                pool.noted(node, False)
            elif isinstance(body, PooledBody) and not body.whole:
                body.on_end = partial(pool.noted, node)
            else:
                pool.noted(node, True)
            if self._answered is not None:
                self._answered(request, response, node)
            return response
        except UpstreamError as error:
            attempt.error = error.reason
            attempt.sent = not error.retry_safe
            error.target = target.name
            if error.party == "upstream":
                pool.noted(node, False)
            raise
        except ClientGone:
            attempt.error = "client_gone"
            raise
        finally:
            attempt.ended = time.monotonic()
            exchange.upstream_seconds += attempt.ended - started

    def send_to(self, target: Target, request: UpstreamRequest) -> UpstreamResponse:
        """Send to this target, and note nothing of how it went."""
        origin = target.origin
        url = origin.url
        wire = WireRequest(
            request.method,
            url,
            join(origin.base_path, request.target, None),
            request.host if request.host is not None else origin.authority,
            request.headers,
            target.address,
        )
        wire.stream = request.body
        wire.deadline = request.deadline
        wire.abandoned = request.abandoned
        session = self.session
        options: dict[str, Any] = {
            "stream": True,
            "timeout": (request.timeouts.connect, request.timeouts.read),
            "verify": session.verify,
            "cert": session.cert,
            "proxies": session.proxies,
        }
        try:
            response = session.get_adapter(url).send(wire, **options)
        except OSError as error:  # such as every requests.RequestException
            raise _translated(error) from None
        raw = response.raw
        body = raw if isinstance(raw, PooledBody) else _ForeignBody(response)
        # Noted here, so that a policy that drops a response does not keep its connection.
        request.exchange.bodies.append(body)
        return UpstreamResponse(
            response.status_code,
            response.reason or "",  # other adapters may have none
            list(body.headers.items()),
            body,
            url,
            origin.base_path,
            getattr(response, "version", "1.1"),
            target.name,
        )


class _ForeignBody:
    """The body of a response that came through another adapter than the gateway's."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self.headers = FieldPairs(list(response.raw.headers.items()))
        if any("\n" in value or "\r" in value for _, value in self.headers.items()):
            response.close()
            raise ProtocolViolation("a folded header field")
        self._pieces = response.raw.stream(65536, decode_content=False)

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._pieces
        except UpstreamError:
            raise
        except Exception as error:  # noqa: BLE001  urllib3's own errors, or others
            raise BodyFailed(type(error).__name__) from None

    def close(self) -> None:
        self._response.close()


def _translated(error: OSError) -> UpstreamError:
    """What another adapter's error means in ours."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, requests.ConnectTimeout):
        return ConnectTimeout(text)
    if isinstance(error, requests.Timeout | TimeoutError):
        return HeadTimeout(text)
    if isinstance(error, requests.ConnectionError):
        return ConnectFailed(text, retry_safe=False)
    return HeadFailed(text)


def connections_of(session: requests.Session) -> Connections:
    """The view of a Session's connections for its upstream pool. An adapter that is not the
    gateway's own tells nothing: its targets all look idle."""

    def expect(target: Target) -> Callable[[], int]:
        url = target.origin.url
        adapter = session.get_adapter(url)
        if not isinstance(adapter, PooledAdapter):
            return lambda: 0
        return adapter.expect(url, target.address)

    def retire(target: Target) -> None:
        url = target.origin.url
        adapter = session.get_adapter(url)
        if isinstance(adapter, PooledAdapter):
            adapter.retire(url, target.address)

    return Connections(expect, retire)


__all__ = ["ResponseBody", "SessionTransport", "connections_of"]
