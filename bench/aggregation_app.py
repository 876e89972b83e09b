"""The gateway of the bench of aggregation: a service, and a view that asks it four times."""

from __future__ import annotations

from flask import Response

from gateway import Frontend, Service, create_app, gather, limiter, require

orders = Service("orders", __name__, url_prefix="/api/v1/orders")
four = Frontend("four", __name__, url_prefix="/four", uses=[orders])

# Never reached: the cost of counting is measured, not that of refusing.
for one in (orders, four):
    limiter.limit("1000000/minute")(one)
    require("order:read")(one)


@four.get("")
def view() -> Response:
    """Four legs, and an answer made of all of them."""
    return gather(
        first=orders.fetch("/1"),
        second=orders.fetch("/2"),
        third=orders.fetch("/3"),
        fourth=orders.fetch("/4"),
    ).respond()


app = create_app(services=[orders, four])
