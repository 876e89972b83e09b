"""The gateway of the tests over the wire: a service with three versions, the third of them down."""

from __future__ import annotations

from typing import Any

from gateway import (
    Cache,
    CircuitBreaker,
    Service,
    Version,
    Versions,
    create_app,
    limiter,
    public,
    require,
)
from gateway.transforms import RequestJSON, ResponseJSON

users = Service(
    "users",
    __name__,
    url_prefix="/api/users",
    policies=[Cache(shared=True), CircuitBreaker(failures=2, recovery=60)],
    versions=Versions(
        Version(
            "v1",
            policies=[
                RequestJSON(rename={"client_id": "clientId"}),
                ResponseJSON(rename={"clientId": "client_id"}),
            ],
            deprecated="2023-06-30T23:59:59Z",
            sunset="2035-06-30",
            link="https://docs.example/migration",
        ),
        Version("v2", prefix="/v2/users"),
        Version("v3"),
        default="v1",
        path="/api/{version}/users",
        media_type=True,
        query="version",
    ),
)
public(users)


@users.get("/limited")
@limiter.limit("2/hour")
def limited() -> Any:
    """Two an hour, whatever the version."""
    return users.forward()


@users.delete("/<int:user_id>/keys")
@require("user:delete")
def drop_keys(user_id: int) -> Any:
    """Guarded, whatever the version."""
    return users.forward()


app = create_app(services=[users])
