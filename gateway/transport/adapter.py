"""The adapter mounted on a service's Session: one HTTP/1.1 exchange over a pooled connection.

It keeps `requests`' own seam (`BaseAdapter.send`), and leaves out what a gateway must not do:
no URL is requoted, no header invented or merged, no body decoded, nothing followed or kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import BaseAdapter

from gateway.transport.connection import Connection, connect
from gateway.transport.messages import WireRequest, WireResponse, converted
from gateway.transport.pool import ConnectionPool
from gateway.transport.response import PooledBody
from gateway.transport.wire import StaleConnection, WireExchange
from gateway.urls import Origin

#: Seconds for which an instance that was taken away is remembered: longer than it takes from
#: choosing one for a request to looking for a connection.
_REMEMBERED = 60.0


class PooledAdapter(BaseAdapter):
    """Sends requests over pooled connections, one pool for each upstream instance.

    size: most connections to one instance. idle_seconds: how long an idle one is kept. ca_file:
    trusted authorities for https, empty for certifi's. Pools are this worker's own.
    """

    def __init__(self, size: int = 10, idle_seconds: float = 30, ca_file: str = "") -> None:
        super().__init__()
        self._size = size
        self._idle_seconds = idle_seconds
        self._ca_file = ca_file
        self._pools: dict[tuple[str, str], ConnectionPool] = {}
        self._gone: dict[tuple[str, str], float] = {}

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """One exchange. Raises UpstreamError, ClientBodyError or ClientGone.

        `timeout` is (connect, read) in seconds. A reused connection that turns out to be closed
        is replaced once, where sending again cannot do the work twice.
        """
        wire = request if isinstance(request, WireRequest) else converted(request)
        connect_seconds, idle = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        exchange = WireExchange(wire, idle or 60.0)
        deadline = wire.deadline or time.monotonic() + (idle or 60.0)
        # Before anything is waited for: if the instance is taken away meanwhile, this is its old
        # pool, which keeps no connection.
        pool = self._pool(wire.origin, wire.address)
        # Before a connection is taken: a client that is slow to begin holds none.
        exchange.take_first_piece(deadline)
        fresh = False
        while True:
            connection = pool.checkout(
                connect_seconds or 60.0, deadline, fresh=fresh, abandoned=wire.abandoned
            )
            try:
                head, rest = exchange.run(connection, deadline)
                if exchange.interrupted:
                    head.keep_alive = False
                body = PooledBody(connection, pool, head, rest, idle or 60.0, wire.abandoned)
            except StaleConnection:
                pool.discard(connection)
                fresh = True
                continue
            except BaseException:
                pool.discard(connection)
                raise
            return WireResponse(head, body, wire)

    def _pool(self, url: str, address: str) -> ConnectionPool:
        key = (url, address)
        pool = self._pools.get(key)
        if pool is None:
            origin = Origin.parse(url)

            def dial(seconds: float) -> Connection:
                return connect(origin, seconds, self._ca_file, address)

            made = ConnectionPool(dial, self._size, self._idle_seconds)
            pool = self._pools.setdefault(key, made)
            # The request may have been meant for it before it was taken away.
            if self._gone.get(key, 0.0) > time.monotonic():
                self._pools.pop(key, None)
                pool.retire()
        return pool

    def expect(self, url: str, address: str = "") -> Callable[[], int]:
        """Take requests for an instance, also for one that was taken away before. What is returned
        tells how many requests of this worker it has not wholly answered, or wait for a connection
        to it."""
        key = (url, address)
        self._gone.pop(key, None)
        pools = self._pools

        def in_flight() -> int:
            pool = pools.get(key)
            return 0 if pool is None else pool.in_flight

        return in_flight

    def retire(self, url: str, address: str = "") -> None:
        """Drain the connections to an instance that was taken away: what is under way ends in its
        own time, and nothing stays open afterwards, also if a late request comes for it."""
        now = time.monotonic()
        for key, until in list(self._gone.items()):
            if until < now:
                self._gone.pop(key, None)
        self._gone[url, address] = now + _REMEMBERED
        pool = self._pools.pop((url, address), None)
        if pool is not None:
            pool.retire()

    def close(self) -> None:
        """Close all idle connections."""
        for pool in list(self._pools.values()):
            pool.close()
