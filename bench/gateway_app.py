"""The gateway under test: a token, one limit, one permission, one forward."""

from __future__ import annotations

from gateway import Service, create_app, limiter, require

orders = Service("orders", __name__, url_prefix="/api/v1/orders")

# Never reached: the cost of counting is measured, not that of refusing.
limiter.limit("1000000/minute")(orders)
require("order:read")(orders)

app = create_app(services=[orders])
