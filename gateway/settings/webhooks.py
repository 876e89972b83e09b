"""Options of webhooks."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.kinds import Delays, WebhooksAsJson
from gateway.settings.room import Room


class WebhookSettings(Room):
    """What partners are told, and how often it is tried."""

    WEBHOOKS: WebhooksAsJson = Field(
        {},
        repr=False,
        description='Where partners are told of events, as JSON: `{"acme": {"url": "https://...",'
        ' "secret": "env:ACME_WEBHOOK_SECRET", "events": ["order.*"]}}` (docs/webhooks.md). Empty:'
        " nobody is told, and no database is needed for it.",
    )
    WEBHOOK_TIMEOUT: float = Field(
        15, gt=0, le=300, description="Seconds a partner has to answer a webhook, connecting too."
    )
    WEBHOOK_RETRIES: Delays = Field(
        (5, 30, 120, 600, 3600, 10_800, 21_600, 43_200),
        description="Seconds until a webhook that failed is sent again, one for each further try,"
        " comma-separated; up to a fifth is added at random. Empty: it is not sent again.",
    )
    WEBHOOK_DAYS: int = Field(
        14,
        ge=1,
        le=3650,
        description="Days for which events and their deliveries are kept once nothing is left to"
        " be sent, and for which the id of an event is known again.",
    )
