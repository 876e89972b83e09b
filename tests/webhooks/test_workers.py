"""Webhooks over the workers of a real gateway: nothing is lost when one is killed, when partners or
the database are away, and over a restart."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import orjson

from gateway.database.engine import Database
from gateway.database.schema import upgrade
from gateway.webhooks.queue import WebhookQueue
from tests.support.client import Reply, exchange
from tests.support.gunicorn import Gateway, free_port, start_gateway, wait_for
from tests.support.postgresql import needs_postgresql, start_postgresql
from tests.support.wsgi import bearer_line
from tests.webhooks.receiver import OTHER, SECRET, receiving, webhooks
from tests.webhooks.receiver import Reply as Told

# A second after each failure, for as long as a test needs.
RETRIES = ",".join(["1"] * 30)


@contextlib.contextmanager
def gateway(
    worker_class: str, database_url: str, partner_url: str, secret: Any = SECRET
) -> Iterator[Gateway]:
    """The gateway of the webhook tests with two workers."""
    settings = {
        "DATABASE_URL": database_url,
        "WEBHOOKS": json.dumps(webhooks(("acme", partner_url), secret=secret)),
        "WEBHOOK_RETRIES": RETRIES,
        "WEBHOOK_TIMEOUT": "1",
    }
    with start_gateway(
        "tests.webhooks.events_app:app", worker_class=worker_class, workers=2, env=settings
    ) as running:
        yield running


def ask(running: Gateway, line: str, body: bytes = b"") -> Reply:
    """One request on a connection of its own."""
    head = f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    fields = head.encode() + bearer_line("backend", "webhook:send") + b"\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    return exchange(running.address, fields + length + body, timeout=30)


def send(running: Gateway, identifier: str) -> int:
    """Hand in an event; the status of the answer."""
    said = {"type": "order.shipped", "data": {"id": 7}, "id": identifier}
    return ask(running, "POST /events", orjson.dumps(said)).status


def elected(running: Gateway) -> int | None:
    """The elected worker, if it is the one that answers."""
    found = orjson.loads(ask(running, "GET /events/worker").body)
    return int(found["pid"]) if found["elected"] else None


def states(url: str) -> dict[str, str]:
    """The states of all deliveries by event."""
    database = Database(url)
    found = {row["event"]: row["state"] for row in WebhookQueue(database).listed()}
    database.close()
    return found


def test_nothing_is_lost(sqlite_url: str) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/hooks"
    hold = threading.Event()
    with gateway("gevent", sqlite_url, url) as running:
        with receiving(port) as partner:
            partner.always = Told(wait=hold)
            sent = [f"killed-{number}" for number in range(6)]
            assert {send(running, one) for one in sent} == {202}
            assert wait_for(lambda: len(partner.received) >= 4)
            found: list[int | None] = []
            assert wait_for(lambda: found.append(elected(running)) or found[-1])  # type: ignore[func-returns-value]
            os.kill(found[-1] or 0, signal.SIGKILL)
            partner.always = None
            hold.set()
            assert wait_for(lambda: set(states(sqlite_url).values()) == {"delivered"}, 30)
            assert set(partner.ids) == set(sent)
            assert all(one.signed_by(SECRET) for one in partner.received)
        assert send(running, "down") == 202
        assert wait_for(lambda: "acme takes no delivery" in running.stderr_text())
        with receiving(port) as partner:
            assert wait_for(lambda: states(sqlite_url)["down"] == "delivered")
            assert set(partner.ids) == {"down"}
        assert send(running, "restart") == 202
    # Nobody asks the new one for anything: it sends by itself, with both secrets.
    with receiving(port) as partner, gateway("gevent", sqlite_url, url, [OTHER, SECRET]):
        assert wait_for(lambda: states(sqlite_url)["restart"] == "delivered")
        assert set(partner.ids) == {"restart"}
        assert partner.received[0].signed_by(SECRET)
        assert partner.received[0].signed_by(OTHER)


@needs_postgresql
def test_the_database_is_away() -> None:
    with start_postgresql() as server, receiving() as partner:
        url = server.new_database()
        upgrade(url)
        with gateway("gthread", url, partner.url) as running:
            partner.replies = [Told(500)]
            assert send(running, "first") == 202
            assert wait_for(lambda: states(url) == {"first": "delivered"})
            assert partner.ids.count("first") >= 2
            server.stop()
            assert send(running, "second") == 503
            server.start()
            assert wait_for(lambda: send(running, "second") == 202)
            assert wait_for(lambda: states(url)["second"] == "delivered")
            assert set(partner.ids) == {"first", "second"}
