"""The sketches of a version router and of transforms, in front of the example backends."""

from __future__ import annotations

from gateway import Service, Version, Versions, create_app, public
from gateway.transforms import RequestHeaders, RequestJSON, ResponseJSON, StandardHeaders

users = Service(
    "users",
    __name__,
    url_prefix="/api/users",
    policies=[StandardHeaders(), RequestJSON(rename={"clientId": "client_id"})],
    versions=Versions(
        Version("v1", prefix="/api/v1/users", deprecated="2026-01-01", link="/migrate"),
        Version(
            "v2",
            prefix="/api/v1/users",
            policies=[ResponseJSON(rename={"created_at": "createdAt"}, statuses={200, 201})],
        ),
        default="v1",
        path="/api/{version}/users",
        media_type=True,
        query="version",
    ),
)
orders = Service(
    "orders",
    __name__,
    url_prefix="/api/v1/orders",
    policies=[
        RequestHeaders(
            set={"X-User-Agent-Was": "{header.user-agent}"}, add={"X-Service": "order-service"}
        ),
        ResponseJSON(
            group={"payment": ["total", "currency"]},
            rename={"lines.*.unit_price": "unitPrice"},
            deny=["requested_by"],
            wrap="order",
            statuses={200},
        ),
    ],
)

app = create_app(services=[public(users), public(orders)])
