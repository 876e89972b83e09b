"""Notifications: what users are told; only an administrator deletes."""

from gateway import Bulkhead, CircuitBreaker, Retry, Service, limiter, require, role

notifications = Service(
    "notifications",
    __name__,
    url_prefix="/api/v1/notifications",
    policies=[Bulkhead(), Retry(), CircuitBreaker()],
)

limiter.limit("100/minute")(notifications)
require("notification:read")(notifications)
require(role("admin"), methods=["DELETE"])(notifications)
