"""Partner: orders for the programs of partners, in two versions, and what partners are told of.

Who may: API keys alone (docs/api_keys.md); without API_KEYS, nobody. Webhooks: docs/webhooks.md.
"""

from flask import Request, Response

from gateway import (
    READ,
    Bulkhead,
    CircuitBreaker,
    Frontend,
    Identity,
    Retry,
    Service,
    Version,
    Versions,
    limiter,
    require,
)
from gateway.transforms import Query, ResponseJSON
from gateway.webhooks import take_event

#: What the first version calls the members of an order.
_OLD = {
    "id": "order_id",
    "user_id": "customer_id",
    "placed_at": "ordered_at",
    "lines": "positions",
}
_OLD_SHAPE = [
    Query(rename={"customer_id": "user_id"}),
    ResponseJSON(
        # An order alone, and those of a list.
        deny=["requested_by"],
        rename={**_OLD, **{f"items.*.{name}": old for name, old in _OLD.items()}},
    ),
]

partner = Service(
    "partner",
    __name__,
    url_prefix="/partner",
    variable="ORDERS_URL",
    methods=READ,
    policies=[Bulkhead(), Retry(), CircuitBreaker()],
    versions=Versions(
        Version(
            "v1",
            prefix="/api/v1",
            policies=_OLD_SHAPE,
            deprecated="2026-01-31",
            sunset="2027-06-30",
        ),
        Version("v2", prefix="/api/v1"),
        path="/partner/{version}",
    ),
)


def by_api_key(identity: Identity, request: Request) -> bool:
    """Whether a program of a partner asks: a user's token is no partner's."""
    return identity.kind == "key"


limiter.limit("60/minute")(partner)
limiter.concurrency(5)(partner)
require("order:read", by_api_key)(partner)


events = Frontend("events", __name__, url_prefix="/events", uses=[])

limiter.limit("6000/minute")(events)
require("webhook:send")(events)


@events.post("")
def hand_in() -> Response:
    """Backends tell of what happened; partners who subscribed are told."""
    return take_event()
