"""A gateway that is explained: services of every kind, in the order of their rules."""

from __future__ import annotations

import os
from typing import Any

import requests
from flask import Flask, Request, Response

from gateway import (
    READ,
    Cache,
    CircuitBreaker,
    Deadline,
    Fallback,
    Identity,
    Retry,
    Service,
    any_of,
    create_app,
    limiter,
    public,
    require,
    role,
    with_policies,
)
from tests.support.wsgi import make_settings

LIMIT = 5


def owns_order(identity: Identity, request: Request) -> bool:
    """Asked by requests alone."""
    raise AssertionError("somebody was asked")


def make(
    upstream: str, state: str, session: requests.Session | None = None, **changes: Any
) -> Flask:
    """The application, whose backend is one server, and whose workers meet in a store. session:
    what its services forward through."""
    second = Service(
        "second",
        __name__,
        url_prefix="/orders",
        upstream=f"{upstream}/v2",
        headers={"API-Version": "2"},
    )
    orders = Service(
        "orders",
        __name__,
        url_prefix="/orders",
        upstream=upstream,
        strip_prefix=True,
        hide_credentials=True,
        policies=[Deadline(seconds=2), Fallback(), Retry(), CircuitBreaker(failures=2, ratio=None)],
    )
    things = Service(
        "things",
        __name__,
        url_prefix="/things",
        upstream=upstream,
        policies=[Cache(shared=True, ttl=60, vary=["X-Tenant"], query=["page"])],
        session=session,
    )
    several = Service(
        "several",
        __name__,
        url_prefix="/several",
        upstream=f"{upstream},http://127.0.0.2:1",
        policies=[CircuitBreaker(scope="target", failures=1)],
    )
    empty = Service("empty", __name__, url_prefix="/empty", upstream="", policies=[Fallback()])
    require("order:read", methods=READ)(orders)
    require("order:write", methods=["POST", "PUT", "PATCH", "DELETE"])(orders)
    require(any_of("order:read", role("admin")))(second)
    public(things, methods=READ)
    require("thing:write", methods=["POST", "PUT", "PATCH", "DELETE"])(things)
    public(several)
    public(empty)
    limiter.limit(f"{LIMIT}/minute")(things)
    limiter.concurrency(3)(things)

    @orders.post("/<int:order_id>/refunds")
    @limiter.limit("10/minute", burst=2, nodelay=False)
    @require("order:refund")
    @with_policies(Retry(attempts=3))
    def refund(order_id: int) -> Response:
        raise AssertionError("a view was called")

    @orders.get("/<int:order_id>/owned")
    @require(owns_order)
    def owned(order_id: int) -> Response:
        raise AssertionError("a view was called")

    settings = make_settings(
        STATE_URL=state, RATE_LIMIT_FAILED_LOGINS="100/minute", ALLOW_MEMORY_STATE=True, **changes
    )
    return create_app(settings, services=[second, orders, things, several, empty])


if "EXPLAINED_UPSTREAM" in os.environ:  # served by gunicorn
    app = make(os.environ["EXPLAINED_UPSTREAM"], os.environ["STATE_URL"])
