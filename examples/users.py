"""Users: who the customers are, and a live stream of what one of them does."""

import json
import time
from collections.abc import Iterator

from examples.backend import Backend, Record, Reply, Request
from examples.collection import Collection, now
from examples.serving import main

PAUSE = 0.3
"""Seconds between two events of the stream."""


def _user(number: int, name: str, email: str, city: str, country: str, day: str) -> Record:
    return {
        "id": number,
        "name": name,
        "email": f"{email}@example.com",
        "city": city,
        "country": country,
        "status": "active",
        "created_at": f"{day}T09:12:00Z",
    }


users = Collection(
    "/api/v1/users",
    "user",
    [
        _user(1, "Amara Okafor", "amara.okafor", "Lagos", "NG", "2023-02-14"),
        _user(2, "Lukas Brandt", "lukas.brandt", "Leipzig", "DE", "2023-05-03"),
        _user(3, "Mei Tanaka", "mei.tanaka", "Osaka", "JP", "2023-09-21"),
        _user(4, "Sofía Herrera", "sofia.herrera", "Sevilla", "ES", "2024-01-08"),
        _user(5, "Daniel Whitfield", "d.whitfield", "Leeds", "GB", "2024-03-17"),
        _user(6, "Priya Raman", "priya.raman", "Chennai", "IN", "2024-07-29"),
    ],
    required=("name", "email"),
    fresh=lambda: {"status": "active", "created_at": now()},
)

backend = Backend("users")
backend.get("/api/v1/users")(users.many)
backend.post("/api/v1/users")(users.create)
backend.get("/api/v1/users/{id}")(users.one)


@backend.get("/api/v1/users/{id}/events")
def events(request: Request, number: int) -> Reply:
    """A short server-sent-event stream."""
    users.find(number)
    return Reply(events=_activity(number))


def _activity(number: int) -> Iterator[bytes]:
    steps: list[tuple[str, Record]] = [
        ("signed_in", {"user_id": number, "device": "laptop"}),
        ("product_viewed", {"user_id": number, "product_id": 3}),
        ("basket_updated", {"user_id": number, "product_id": 3, "quantity": 1}),
    ]
    for index, (kind, data) in enumerate(steps, start=1):
        if index > 1:
            time.sleep(PAUSE)
        yield f"id: {index}\nevent: {kind}\ndata: {json.dumps({**data, 'at': now()})}\n\n".encode()


if __name__ == "__main__":
    main(backend)
