"""One JSON line for every request, written when its body closes.

time, request_id, client, method, path, route (the template), service, target, status, party (who
failed: client, gateway or upstream; empty if nobody), reason, user, bytes_in, bytes_out,
duration_ms (arrival to the last byte), queue_ms (of it in front of the gateway, as far as a trusted
X-Request-Start told), upstream_ms (until the upstream's response head), gateway_ms (until the
client's response head, less the two before), attempts, dry_run (the limits on trial that would have
refused it), cache (what a cache did: hit, stale, revalidated, miss or bypass; left out where there
is none), degraded (the parts that an aggregated answer had to do without, and why; left out where
it had them all), version (that of the service which it was for; left out where the service has
none). The query is left out: it may hold secrets.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import orjson

from gateway.exchange import Exchange
from gateway.urls import raw_target


class AccessLog:
    """Writes lines with `write`, one call each, so that lines of several workers do not mix."""

    def __init__(self, write: Callable[[bytes], object] | None = None) -> None:
        self._write = write or to_stdout

    def write(self, exchange: Exchange, environ: dict[str, Any], status: int, sent: int) -> None:
        """Account for one request. Never raises: a full disk must not fail requests."""
        now = time.monotonic()
        head_at = exchange.head_at or now
        arrived = exchange.started + exchange.queued  # here, not in front of us
        body = environ.get("gateway.body")
        attempts = exchange.attempts
        line = {
            "time": round(time.time(), 3),
            "request_id": exchange.request_id,
            "client": exchange.client,
            "method": environ["REQUEST_METHOD"],
            "path": path_of(environ),
            "route": exchange.route,
            "service": exchange.service,
            "target": attempts[-1].target if attempts else "",
            "status": 499 if exchange.reason == "client_gone" else status,
            "party": exchange.party,
            "reason": exchange.reason,
            "user": exchange.user,
            "bytes_in": body.received if body is not None else 0,
            "bytes_out": sent,
            "duration_ms": round((now - exchange.started) * 1000, 3),
            "queue_ms": round(exchange.queued * 1000, 3),
            "upstream_ms": round(exchange.upstream_seconds * 1000, 3),
            "gateway_ms": round((head_at - arrived - exchange.upstream_seconds) * 1000, 3),
            "attempts": len(attempts),
            "dry_run": exchange.dry_run,
        }
        if exchange.version:
            line["version"] = exchange.version
        if exchange.degraded:
            line["degraded"] = exchange.degraded
        if exchange.cache:
            line["cache"] = exchange.cache
        write_line(self._write, line, "access log")


def write_line(write: Callable[[bytes], object], line: dict[str, Any], log: str) -> None:
    """Write a line as JSON. Never raises: where that fails, stderr hears of it. log: its name."""
    try:
        write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    except (OSError, orjson.JSONEncodeError) as error:
        sys.stderr.write(f"{log}: {type(error).__name__}\n")


def path_of(environ: dict[str, Any]) -> str:
    """The path as it was sent, in ASCII and without the query, which may hold secrets."""
    path = raw_target(environ)[0]  # an absolute-form target may hold a password
    return path if path.isascii() else ascii(path)


def to_stdout(line: bytes) -> None:
    """Write a line in one call, so that those of several workers do not mix."""
    os.write(1, line)
