"""Webhooks of one application, by its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.database.opening import Records, database_faults
from gateway.pulse import Pulse
from settings import Settings

if TYPE_CHECKING:
    from gateway.webhooks.queue import WebhookQueue
    from gateway.webhooks.subscriptions import Subscription


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Who is told of events, and where those are stored."""

    subscriptions: Mapping[str, Subscription]
    queue: WebhookQueue = field(repr=False)


def open_webhooks(settings: Settings, records: Records | None, pulse: Pulse) -> Webhooks | None:
    """What an application tells its partners by; None if it has none to tell: nothing of it is
    loaded then. The database is opened by the worker that uses it."""
    if not settings.WEBHOOKS or records is None:
        return None
    from gateway.database.engine import Database
    from gateway.webhooks.courier import Courier
    from gateway.webhooks.queue import WebhookQueue
    from gateway.webhooks.schedule import Schedule
    from gateway.webhooks.sender import Sender
    from gateway.webhooks.subscriptions import read_subscriptions

    subscriptions, faults = read_subscriptions(settings)
    if faults or database_faults(settings):
        return None  # nothing will run
    # One of its own: an event is on the disk before it counts as stored.
    database = Database(settings.DATABASE_URL, durable=True)
    records.at_end(database.close)
    queue = WebhookQueue(database)
    schedule = Schedule(settings.WEBHOOK_RETRIES)
    seconds, ca_file = settings.WEBHOOK_TIMEOUT, settings.UPSTREAM_CA_FILE
    couriers = {
        name: Courier(one, schedule, seconds=seconds, ca_file=ca_file)
        for name, one in subscriptions.items()
    }
    for courier in couriers.values():
        records.at_end(courier.close)
    sender = Sender(queue, couriers, seconds=seconds, days=settings.WEBHOOK_DAYS)
    pulse.when_elected("webhooks", sender.run, awaited=True)
    return Webhooks(subscriptions, queue)


def webhook_faults(settings: Settings) -> list[str]:
    """What is wrong with WEBHOOKS beyond its form."""
    if not settings.WEBHOOKS:
        return []
    from gateway.webhooks.subscriptions import read_subscriptions

    return read_subscriptions(settings)[1]
