"""Orders: order history, checkout and refunds."""

from flask import Response

from gateway import READ, WRITE, Bulkhead, CircuitBreaker, Retry, Service, limiter, require

orders = Service(
    "orders",
    __name__,
    url_prefix="/api/v1/orders",
    policies=[Bulkhead(), Retry(), CircuitBreaker()],
)

limiter.limit("100/minute")(orders)
require("order:read", methods=READ)(orders)
require("order:write", methods=WRITE)(orders)


@orders.post("/<int:order_id>/refunds")
@limiter.limit("10/minute")
@require("order:refund")
def refund(order_id: int) -> Response:
    """Paying back takes a permission of its own."""
    return orders.forward()
