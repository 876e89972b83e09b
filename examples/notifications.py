"""Notifications: what customers were told, by which channel, and whether they have read it."""

from examples.backend import Backend, Record
from examples.collection import Collection, now
from examples.serving import main


def _notification(
    number: int, user_id: int, channel: str, subject: str, sent_at: str, unread: bool = False
) -> Record:
    return {
        "id": number,
        "user_id": user_id,
        "channel": channel,
        "subject": subject,
        "status": "sent",
        "unread": unread,
        "created_at": sent_at,
    }


notifications = Collection(
    "/api/v1/notifications",
    "notification",
    [
        _notification(1, 1, "email", "Your order 1001 has arrived", "2025-03-06T14:00:00Z"),
        _notification(2, 2, "email", "Your order 1002 is on its way", "2025-04-12T09:30:00Z"),
        _notification(
            3, 2, "sms", "Delivery today from 14:00 to 16:00", "2025-04-14T07:15:00Z", True
        ),
        _notification(4, 1, "push", "We received your payment", "2025-05-19T12:48:00Z", True),
        _notification(5, 5, "email", "Your basket is waiting", "2025-05-28T08:00:00Z", True),
    ],
    required=("user_id", "subject"),
    fresh=lambda: {"channel": "email", "status": "queued", "unread": True, "created_at": now()},
)

backend = Backend("notifications")
backend.get("/api/v1/notifications")(notifications.many)
backend.post("/api/v1/notifications")(notifications.create)
backend.get("/api/v1/notifications/{id}")(notifications.one)
backend.delete("/api/v1/notifications/{id}")(notifications.remove)


if __name__ == "__main__":
    main(backend)
