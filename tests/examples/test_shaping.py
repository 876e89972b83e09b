"""Versions and transforms, end to end: a real gateway, and the example backends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.examples.test_backends import backend
from tests.support.client import Reply, exchange
from tests.support.gunicorn import Gateway, start_gateway
from tests.support.messages import request

JSON = b"Content-Type: application/json"


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with (
        backend("users") as first,
        backend("users") as second,
        backend("orders") as orders,
        start_gateway(
            "tests.examples.shaping_app:app",
            env={
                "USERS_V1_URL": first.origin,
                "USERS_V2_URL": second.origin,
                "ORDERS_URL": orders.origin,
            },
        ) as running,
    ):
        yield running


def ask(gateway: Gateway, path: bytes, *headers: bytes, **more: Any) -> Reply:
    return exchange(gateway.address, request(path, *headers, **more))


def json_of(reply: Reply) -> Any:
    return orjson.loads(reply.body)


def test_a_version_is_its_backend(gateway: Gateway) -> None:
    body = orjson.dumps({"name": "Ada", "email": "ada@example.com"})
    made = ask(gateway, b"/api/v2/users", JSON, method=b"POST", body=body)
    assert made.status == 201
    where = b"/%d" % json_of(made)["id"]
    named = [
        ask(gateway, b"/api/v2/users" + where),
        ask(gateway, b"/api/users" + where, b"API-Version: v2"),
        ask(gateway, b"/api/users" + where, b"Accept-Version: 2"),
        ask(gateway, b"/api/users" + where, b"Accept: application/vnd.shop.v2+json"),
        ask(gateway, b"/api/users" + where + b"?version=v2"),
    ]
    assert [one.status for one in named] == [200] * 5
    assert all("createdAt" in json_of(one) for one in named)
    assert {one.header(b"API-Version")[0] for one in named} == {b"v2"}
    assert made.header(b"Location")[0].endswith(b"/api/v2/users" + where)
    others = [ask(gateway, path + where) for path in (b"/api/v1/users", b"/api/users")]
    assert [one.status for one in others] == [404, 404]  # the other backend has no such user


def test_a_version_says_that_it_is_old(gateway: Gateway) -> None:
    reply = ask(gateway, b"/api/users/1")
    assert (reply.status, reply.header(b"API-Version")) == (200, [b"v1"])
    assert reply.header(b"Deprecation") == [b"@1767225600"]
    assert reply.header(b"Link") == [b'</migrate>; rel="deprecation"']
    assert "created_at" in json_of(reply)


def test_a_version_that_there_is_not(gateway: Gateway) -> None:
    for reply in (
        ask(gateway, b"/api/v9/users/1"),
        ask(gateway, b"/api/users/1", b"API-Version: v9"),
        ask(gateway, b"/api/users/1?version=v9"),
    ):
        assert (reply.status, json_of(reply)["supported"]) == (404, ["v1", "v2"])


def test_a_user_is_sent_as_its_backend_knows_it(gateway: Gateway) -> None:
    body = b'{"clientId": 12, "name": "Ada", "email": "ada@example.com"}'
    reply = ask(gateway, b"/api/users", JSON, method=b"POST", body=body)
    user = json_of(reply)
    assert (reply.status, user["client_id"], "clientId" in user) == (201, 12, False)
    assert reply.header(b"X-Service") == [b"users"]
    assert reply.header(b"X-Response-Time")[0].endswith(b"ms")
    assert len(reply.header(b"X-Request-ID")) == 1


def test_an_order_is_shown_as_clients_know_it(gateway: Gateway) -> None:
    reply = ask(gateway, b"/api/v1/orders/1001")
    order = json_of(reply)["order"]
    assert order["payment"] == {"total": "129.00", "currency": "EUR"}
    assert order["lines"][0]["unitPrice"] == "129.00"
    assert {"requested_by", "total", "currency"}.isdisjoint(order)
    assert int(reply.header(b"Content-Length")[0]) == len(reply.body)
    assert ask(gateway, b"/api/v1/orders/9").status == 404
