"""The gateway under test: a token, one limit, one permission, one forward.

With BENCH_RESILIENT also what a service that may fail gets.
"""

from __future__ import annotations

import os

from gateway import Bulkhead, CircuitBreaker, Policy, Retry, Service, create_app, limiter, require

RESILIENT: list[Policy] = [Bulkhead(), Retry(), CircuitBreaker()]

orders = Service(
    "orders",
    __name__,
    url_prefix="/api/v1/orders",
    policies=RESILIENT if "BENCH_RESILIENT" in os.environ else [],
)

# Never reached: the cost of counting is measured, not that of refusing.
limiter.limit("1000000/minute")(orders)
require("order:read")(orders)

app = create_app(services=[orders])
