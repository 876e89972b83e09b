"""Users: accounts, profiles, and the stream of what happens to them."""

from flask import Response

from gateway import (
    READ,
    WRITE,
    Bulkhead,
    CircuitBreaker,
    Retry,
    Service,
    Timeouts,
    limiter,
    require,
)

users = Service(
    "users",
    __name__,
    url_prefix="/api/v1/users",
    policies=[Bulkhead(), Retry(), CircuitBreaker()],
)

limiter.limit("100/minute")(users)
require("user:read", methods=READ)(users)
require("user:write", methods=WRITE)(users)


@users.get("/<int:user_id>/events")
def events(user_id: int) -> Response:
    """Server-sent events: silence between two of them is no failure."""
    return users.forward(timeouts=Timeouts(read=60))
