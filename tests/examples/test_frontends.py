"""The gateway as it is shipped, with its frontends, in front of the example backends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.examples.test_backends import SERVICES, Running, backend
from tests.support.client import Reply, exchange
from tests.support.gunicorn import Gateway, start_gateway
from tests.support.messages import request
from tests.support.wsgi import bearer_line

READER = bearer_line("ada", "user:read", "order:read", "notification:read")


@contextlib.contextmanager
def shipped(workers: int) -> Iterator[tuple[Gateway, dict[str, Running]]]:
    """The gateway, and its backends by name."""
    with contextlib.ExitStack() as stack:
        backends = {name: stack.enter_context(backend(name)) for name in SERVICES}
        env = {f"{name.upper()}_URL": one.origin for name, one in backends.items()}
        yield stack.enter_context(start_gateway("app:app", workers=workers, env=env)), backends


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with shipped(workers=2) as (running, _):
        yield running


def ask(gateway: Gateway, path: bytes, *headers: bytes) -> Reply:
    return exchange(gateway.address, request(path, *headers))


def got(gateway: Gateway, path: bytes, *headers: bytes) -> Any:
    """The answer of a view that has all of its parts."""
    reply = ask(gateway, path, *headers)
    assert (reply.status, reply.header(b"X-Gateway-Completed")) == (200, [b"true"]), reply.body
    body = orjson.loads(reply.body)
    assert body.pop("_degraded") is False
    return body


def stop(backend: Running) -> None:
    backend.process.kill()
    backend.process.wait(10)


def test_the_dashboard_of_four(gateway: Gateway) -> None:
    body = got(gateway, b"/api/v1/dashboard/1", READER)
    assert list(body) == ["user", "recent_orders", "notifications", "recommendations"]
    assert body["user"]["name"] == "Amara Okafor"
    assert [one["id"] for one in body["recent_orders"]] == [1001, 1003]
    assert [one["id"] for one in body["notifications"]] == [4]  # the unread one
    assert len(body["recommendations"]) == 4


def test_the_dashboard_of_three(gateway: Gateway) -> None:
    body = got(gateway, b"/api/v1/dashboard/2/overview", READER)
    assert list(body) == ["profile", "orders", "recommendations"]
    assert (body["profile"]["id"], body["orders"][0]["id"]) == (2, 1002)


def test_a_dashboard_shows_nobody_more_than_the_services_do(gateway: Gateway) -> None:
    assert ask(gateway, b"/api/v1/dashboard/1").status == 401
    reply = ask(gateway, b"/api/v1/dashboard/1", bearer_line("ada", "user:read"))
    body = orjson.loads(reply.body)
    assert (body["recent_orders"], body["notifications"]) == ([], [])
    assert body["_degraded_parts"] == ["recent_orders", "notifications"]
    assert len(body["recommendations"]) == 4  # of products, which are public
    assert ask(gateway, b"/api/v1/dashboard/1", bearer_line("ada", "order:read")).status == 403
    assert ask(gateway, b"/api/v1/dashboard/99", READER).status == 404


def test_the_product_page_of_the_web(gateway: Gateway) -> None:
    page = got(gateway, b"/web/v1/products/2")
    assert (page["name"], len(page["reviews"]), len(page["related_products"])) == (
        "Mechanical keyboard",
        10,
        8,
    )
    assert page["review_summary"]["count"] > 10
    assert 1 <= page["review_summary"]["average"] <= 5
    assert all(url.endswith("-1600.jpg") for url in page["images"])
    assert page["description"].startswith("A compact keyboard")
    assert page["specifications"] == {"layout": "ISO", "keys": "84"}
    assert ask(gateway, b"/web/v1/products/99").status == 404


def test_the_product_of_a_phone(gateway: Gateway) -> None:
    product = got(gateway, b"/mobile/v1/products/2")
    assert product == {
        "id": 2,
        "name": "Mechanical keyboard",
        "price": "249.00",
        "thumbnail": "https://images.example.com/mechanical-keyboard-front-160.jpg",
    }
    assert got(gateway, b"/mobile/v1/products/2?fields=name,id") == {
        "id": 2,
        "name": "Mechanical keyboard",
    }
    refused = ask(gateway, b"/mobile/v1/products/2?fields=secret")
    assert (refused.status, orjson.loads(refused.body)["code"]) == (400, "unknown_field")
    assert len(got(gateway, b"/mobile/v1/products?limit=3")["items"]) == 3


def test_a_phone_does_not_load_what_it_has(gateway: Gateway) -> None:
    (tag,) = ask(gateway, b"/mobile/v1/products/2").header(b"ETag")
    reply = ask(gateway, b"/mobile/v1/products/2", b"If-None-Match: " + tag)
    assert (reply.status, reply.body) == (304, b"")


def test_an_order_of_a_phone_has_pictures(gateway: Gateway) -> None:
    order = got(gateway, b"/mobile/v1/orders/1002", READER)
    assert [line["quantity"] for line in order["lines"]] == [1, 1]
    assert all(line["thumbnail"].endswith("-160.jpg") for line in order["lines"])
    assert ask(gateway, b"/mobile/v1/orders/1002").status == 401


def test_what_is_down_is_left_out() -> None:
    with shipped(workers=1) as (gateway, backends):
        for name in ("notifications", "products", "orders"):
            stop(backends[name])
        reply = ask(gateway, b"/api/v1/dashboard/1", READER)
        body = orjson.loads(reply.body)
        assert (reply.status, body["_degraded"]) == (200, True)
        assert body["user"]["id"] == 1
        assert body["_degraded_parts"] == ["recent_orders", "notifications", "recommendations"]
        assert body["recommendations"] == []
        overview = orjson.loads(ask(gateway, b"/api/v1/dashboard/1/overview", READER).body)
        assert overview["orders"] == {"error": "Order service unavailable"}
        assert overview["recommendations"] == []
        page = ask(gateway, b"/web/v1/products/2")
        assert page.status in (502, 503)
        assert page.header(b"X-Gateway-Completed") == [b"false"]
        stop(backends["users"])
        assert ask(gateway, b"/api/v1/dashboard/1", READER).status in (502, 503)
        overview = orjson.loads(ask(gateway, b"/api/v1/dashboard/1/overview", READER).body)
        assert overview["profile"] == {"error": "Profile service unavailable"}
