"""The gateway as it is shipped, for partners: keys alone, two versions, and webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from gateway.database.schema import upgrade
from tests.authentication.api_keys.support import made
from tests.examples.test_backends import SERVICES, backend
from tests.support.client import Reply, exchange
from tests.support.gunicorn import Gateway, start_gateway, wait_for
from tests.support.messages import request
from tests.support.wsgi import bearer_line
from tests.webhooks.receiver import SECRET, Receiver, receiving, webhooks

OLD = {"order_id", "customer_id", "ordered_at", "positions", "status", "currency", "total"}


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway with API keys, and a partner who subscribed to orders."""

    gateway: Gateway
    partner: Receiver
    database: str

    def ask(self, path: bytes, *fields: bytes) -> Reply:
        return exchange(self.gateway.address, request(path, *fields))

    def key(self, *scopes: str) -> bytes:
        """A line with a new key."""
        return b"X-API-Key: " + made(self.database, scopes=scopes).encode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    url = f"sqlite:///{tmp_path_factory.mktemp('partner') / 'records.db'}"
    upgrade(url)
    with backend("orders") as orders, receiving() as partner:
        said = webhooks(("acme", partner.url), events=["order.*"])
        env = {f"{name.upper()}_URL": "" for name in SERVICES} | {
            "ORDERS_URL": orders.origin,
            "API_KEYS": "true",
            "DATABASE_URL": url,
            "WEBHOOKS": json.dumps(said),
        }
        with start_gateway("app:app", workers=2, env=env) as gateway:
            yield Running(gateway, partner, url)


@pytest.fixture(scope="module")
def reader(running: Running) -> bytes:
    return running.key("order:read")


def body(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    return orjson.loads(reply.body)


def test_the_second_version_is_the_backends_own(running: Running, reader: bytes) -> None:
    reply = running.ask(b"/partner/v2/orders/1001", reader)
    order = body(reply)
    assert {"id", "user_id", "placed_at", "lines"} <= order.keys()
    assert order["requested_by"]
    assert reply.header(b"API-Version") == [b"v2"]
    assert reply.header(b"Deprecation") == []


def test_the_first_version_has_the_old_shape(running: Running, reader: bytes) -> None:
    reply = running.ask(b"/partner/v1/orders/1001", reader)
    assert body(reply).keys() == OLD
    assert reply.header(b"Deprecation")
    assert reply.header(b"Sunset") == [b"Wed, 30 Jun 2027 00:00:00 GMT"]
    listed = body(running.ask(b"/partner/v1/orders?customer_id=1&limit=5", reader))
    assert [order["order_id"] for order in listed["items"]] == [1001, 1003]
    assert all(order.keys() == OLD for order in listed["items"])
    assert listed["total"] == 2


def test_a_version_has_to_be_named_and_a_field_may_do_it(running: Running, reader: bytes) -> None:
    assert running.ask(b"/partner/orders/1001", reader).status == 400
    named = body(running.ask(b"/partner/orders/1001", reader, b"API-Version: 1"))
    assert named.keys() == OLD
    unknown = running.ask(b"/partner/v3/orders/1001", reader)
    assert unknown.status == 404
    assert orjson.loads(unknown.body)["supported"] == ["v1", "v2"]


def test_only_keys_may_and_only_read(running: Running, reader: bytes) -> None:
    token = bearer_line("ada", "order:read")
    assert running.ask(b"/partner/v2/orders/1001", token).status == 403
    assert running.ask(b"/api/v1/orders/1001", token).status == 200
    assert running.ask(b"/partner/v2/orders/1001").status == 401
    assert running.ask(b"/partner/v2/orders/1001", running.key("user:read")).status == 403
    refund = request(b"/partner/v2/orders/1001/refunds", reader, method=b"POST")
    assert exchange(running.gateway.address, refund).status == 405


def test_events_reach_the_partner(running: Running, reader: bytes) -> None:
    event = orjson.dumps({"type": "order.shipped", "data": {"id": 1001}, "id": "ship-1001"})

    def hand_in(key: bytes) -> int:
        kind = b"Content-Type: application/json"
        length = b"Content-Length: %d" % len(event)
        asked = request(b"/events", key, kind, length, method=b"POST") + event
        return exchange(running.gateway.address, asked).status

    assert hand_in(reader) == 403
    backend_key = running.key("webhook:send")
    assert [hand_in(backend_key), hand_in(backend_key)] == [202, 202]
    assert wait_for(lambda: running.partner.received)
    assert running.partner.ids == ["ship-1001"]
    assert running.partner.received[0].signed_by(SECRET)
    assert running.partner.received[0].json["data"] == {"id": 1001}
