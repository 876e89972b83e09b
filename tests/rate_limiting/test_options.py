"""The options of a declared limit."""

from __future__ import annotations

from flask import request

from gateway import limiter
from tests.rate_limiting.apps import numbers, passed, service, view
from tests.rate_limiting.conftest import MakeClient


def test_methods(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("2/hour", methods=["post", "PUT"])(orders)
    limiter.limit("2/hour", methods=["DELETE"])(orders)
    client = make_client(orders)
    assert passed(client, "/orders/x", 5) == 5
    assert passed(client, "/orders/x", 1, method="POST") == 1
    assert passed(client, "/orders/x", 5, method="PUT") == 1
    assert passed(client, "/orders/x", 5, method="DELETE") == 2


def test_per_method(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("2/hour", per_method=True)(orders)
    client = make_client(orders)
    assert passed(client, "/orders/x", 4) == 2
    assert passed(client, "/orders/x", 4, method="POST") == 2


def test_cost(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("10/hour", cost=4)(orders)
    users = service("users")
    limiter.limit("10/hour", cost=lambda: int(request.args["n"]))(users)
    client = make_client(orders, users)
    assert numbers(client.get("/orders/x"))[:2] == (10, 6)
    assert passed(client, "/orders/x", 4) == 1
    assert [numbers(client.get(f"/users/x?n={n}"))[1] for n in (7, 0, -5, 3)] == [3, 3, 3, 0]
    assert client.get("/users/x?n=11").status_code == 429
    assert client.get("/users/x?n=0").status_code == 503


def test_a_cost_that_fails_is_no_failure_of_the_store(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("10/hour", cost=lambda: int("?"))(orders)
    client = make_client(orders)
    assert client.get("/orders/x").status_code == 500
    assert client.get("/readyz").json["limits"]["store"] == "shared"  # type: ignore[index]


def test_key_function(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("2/hour", key_func=lambda: request.headers.get("X-Tenant", ""))(orders)
    client = make_client(orders)
    for tenant in ("a", "b"):
        assert passed(client, "/orders/x", 4, headers={"X-Tenant": tenant}) == 2


def test_exempt_when(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("1/hour", exempt_when=lambda: "free" in request.args)(orders)
    client = make_client(orders)
    assert passed(client, "/orders/x?free", 3) == 3
    assert passed(client, "/orders/x", 3) == 1


def test_error_message(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("1/hour", error_message="Come back later.")(orders)
    client = make_client(orders)
    assert passed(client, "/orders/x", 1) == 1
    assert client.get("/orders/x").json["detail"] == "Come back later."  # type: ignore[index]


def test_shared_limit(make_client: MakeClient) -> None:
    orders, users = service("orders"), service("users")
    limiter.shared_limit("3/hour", "uploads")(orders)
    view(users, "/view", limiter.shared_limit("3/hour", "uploads"))
    client = make_client(orders, users)
    assert passed(client, "/orders/x", 2) == 2
    assert passed(client, "/users/view", 4) == 1
    assert passed(client, "/users/x", 4) == 4


def test_scope_parts_a_service(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("2/hour", scope="a", exempt_when=lambda: request.path.endswith("/b"))(orders)
    limiter.limit("2/hour", scope="b", exempt_when=lambda: request.path.endswith("/a"))(orders)
    client = make_client(orders)
    assert [passed(client, f"/orders/{part}", 4) for part in "ab"] == [2, 2]


def test_exempt(make_client: MakeClient) -> None:
    orders, users = service("orders"), service("users")
    limiter.limit("1/hour")(orders)
    view(orders, "/view", limiter.exempt)
    limiter.exempt(users)
    client = make_client(orders, users, RATE_LIMIT_DEFAULT="1/hour")
    for path in ("/orders/view", "/users/x"):
        response = client.get(path)
        assert "RateLimit" not in response.headers
        assert passed(client, path, 3) == 3
    assert passed(client, "/orders/x", 3) == 1
