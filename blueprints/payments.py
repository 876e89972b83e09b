"""Payments: charges and their state, for those who may write them."""

from gateway import Bulkhead, CircuitBreaker, Retry, Service, Timeouts, limiter, require

payments = Service(
    "payments",
    __name__,
    url_prefix="/api/v1/payments",
    timeouts=Timeouts(read=20),
    policies=[Bulkhead(), Retry(), CircuitBreaker()],
)

limiter.limit("30/minute")(payments)
require("payment:write")(payments)
