"""Dashboard: what the services know of one user, in one answer."""

from flask import Response

from blueprints.notifications import notifications
from blueprints.orders import orders
from blueprints.products import products
from blueprints.users import users
from gateway import Frontend, Leg, Timeouts, gather, limiter, require

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
        recent_orders=orders.fetch(query={"user_id": user_id, "limit": 5}, default={"items": []}),
        notifications=notifications.fetch(
            query={"user_id": user_id, "unread": "true"}, default={"items": []}
        ),
        recommendations=_recommended(user_id),
    )
    lists = {name: found[name]["items"] for name in found if name != "user"}
    return found.respond({"user": found["user"], **lists})


@dashboard.get("/<int:user_id>/overview")
def overview(user_id: int) -> Response:
    """Three parts, none of which the answer depends on: one that is missing says so."""
    found = gather(
        profile=users.fetch(f"/{user_id}", default={"error": "Profile service unavailable"}),
        orders=orders.fetch(
            query={"user_id": user_id}, default={"error": "Order service unavailable"}
        ),
        recommendations=_recommended(user_id),
    )
    made = {
        "profile": found["profile"],
        "orders": found["orders"].get("items", found["orders"]),
        "recommendations": found["recommendations"]["items"],
    }
    return found.respond(made)


def _recommended(user_id: int) -> Leg:
    query = {"user_id": user_id, "limit": 4}
    return products.fetch("/recommendations", query=query, timeout=2, default={"items": []})
