"""Asking an instance how it is, beside the requests of clients."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import requests

from gateway.errors import UpstreamError
from gateway.exchange import Exchange, Headers, ResponseBody, Timeouts, UpstreamRequest
from gateway.transport.handler import SessionTransport, connections_of
from gateway.transport.session import make_session
from gateway.upstreams import Target, UpstreamPool
from gateway.upstreams.health_checks import HealthCheck
from gateway.upstreams.probing import Ask

#: Bytes of a body that are read, so that an instance that sends few is not cut off.
_LITTLE = 64 * 1024


def make_ask(
    pool: UpstreamPool, check: HealthCheck, *, ca_file: str, session: requests.Session | None
) -> Ask:
    """What asks the instances of a service. session: the service's own, if it brought one: what is
    mounted there may be the only way to reach them; None for one that serves no requests."""
    fields = _fields(check)
    if session is not None:
        shared = SessionTransport(session, pool)
        return lambda target, over: _asked(
            shared, _root(target), _outline(pool.service, check, fields, over)
        )
    # More than one: an instance may be in the list several times, with different paths.
    session = make_session(16, 0, ca_file)
    transport = SessionTransport(session, pool)
    retire = connections_of(session).retire

    def ask(target: Target, over: threading.Event) -> int:
        place = _root(target)
        try:
            return _asked(transport, place, _outline(pool.service, check, fields, over))
        finally:
            retire(place)  # the next probe makes a connection of its own

    return ask


def _root(target: Target) -> Target:
    """The instance without the path that requests are sent below."""
    return replace(target, origin=replace(target.origin, base_path=""))


def _fields(check: HealthCheck) -> Headers:
    given = {name.lower() for name in check.headers}
    ours = [("User-Agent", "gatehouse-health"), ("Accept", "*/*")]
    fields = [field for field in ours if field[0].lower() not in given]
    return [*fields, *check.headers.items(), ("Connection", "close")]


def _outline(
    service: str, check: HealthCheck, fields: Headers, over: threading.Event
) -> UpstreamRequest:
    now = time.monotonic()
    return UpstreamRequest(
        service=service,
        method="GET",
        target=check.path,
        headers=fields,
        body=None,
        host=check.host,
        timeouts=Timeouts(check.timeout, check.timeout, check.timeout),
        deadline=now + check.timeout,
        abandoned=over.is_set,
        exchange=Exchange("", now),
    )


def _asked(transport: SessionTransport, target: Target, request: UpstreamRequest) -> int:
    response = transport.send_to(target, request)
    try:
        _read_a_little(response.body, request.deadline)
    finally:
        response.body.close()
    return response.status


def _read_a_little(body: ResponseBody, deadline: float) -> None:
    size = 0
    try:
        for piece in body:
            size += len(piece)
            if size > _LITTLE or time.monotonic() > deadline:
                return
    except UpstreamError:
        return  # the head has told
