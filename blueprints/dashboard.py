"""Dashboard: what the services know of one user, in one answer."""

from typing import Any

from flask import Response

from blueprints.notifications import notifications
from blueprints.orders import orders
from blueprints.products import products
from blueprints.users import users
from gateway import Frontend, Leg, Service, Timeouts, gather, limiter, require

dashboard = Frontend(
    "dashboard",
    __name__,
    url_prefix="/api/v1/dashboard",
    uses=[users, orders, notifications, products],
    timeouts=Timeouts(total=5),
)

limiter.limit("60/minute")(dashboard)
require()(dashboard)  # each service says itself who may ask it


@dashboard.get("/<int:user_id>")
def whole(user_id: int) -> Response:
    """The user, and what can be had of the rest."""
    found = gather(
        user=users.fetch(f"/{user_id}", required=True),
        recent_orders=_listed(orders, user_id, limit=5),
        notifications=_listed(notifications, user_id, unread="true"),
        recommendations=_listed(products, user_id, "/recommendations", limit=4),
    )
    lists = {name: found[name]["items"] for name in found if name != "user"}
    return found.respond({"user": found["user"], **lists})


@dashboard.get("/<int:user_id>/overview")
def overview(user_id: int) -> Response:
    """Three parts, none of which the answer depends on: one that is missing says so."""
    found = gather(
        profile=users.fetch(f"/{user_id}", default={"error": "Profile service unavailable"}),
        orders=_listed(orders, user_id, default={"error": "Order service unavailable"}),
        recommendations=_listed(products, user_id, "/recommendations", limit=4),
    )
    made = {
        "profile": found["profile"],
        "orders": found["orders"].get("items", found["orders"]),
        "recommendations": found["recommendations"]["items"],
    }
    return found.respond(made)


def _listed(
    service: Service, user_id: int, path: str = "", default: Any = None, **query: Any
) -> Leg:
    """What a service lists of a user; the page does not wait for it for long."""
    query = {"user_id": user_id, **query}
    return service.fetch(path, query=query, timeout=2, default=default or {"items": []})
