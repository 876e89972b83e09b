"""Whether a gateway has a database at all, by its settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.pulse import Pulse
from settings import Settings

if TYPE_CHECKING:
    from gateway.database.engine import Database
    from gateway.database.usage import UsageLedger


@dataclass(frozen=True, slots=True)
class Records:
    """What a gateway keeps for good: its database, and what is counted into it."""

    database: Database
    usage: UsageLedger
    _endings: list[Callable[[], None]] = field(default_factory=list)

    def at_end(self, action: Callable[[], None]) -> None:
        """Have `action` run when the worker ends, while the database is still open."""
        self._endings.append(action)

    def close(self) -> None:
        """Write what is left, end what runs beside requests, and close the connections."""
        for action in self._endings:
            action()
        self.usage.close()
        self.database.close()


def needs_database(settings: Settings) -> bool:
    """Whether something is set up that keeps records."""
    quotas = any(plan.quota for plan in settings.PLANS.values())
    return settings.API_KEYS or settings.API_KEY_BASIC or bool(settings.WEBHOOKS) or quotas


def open_records(settings: Settings, pulse: Pulse) -> Records | None:
    """The database of one application, opened in the worker by its pulse; None if nothing needs
    one: then no library of it is loaded either."""
    if not needs_database(settings):
        return None
    from gateway.database.engine import Database
    from gateway.database.usage import UsageLedger
    from gateway.database.usage_sweep import UsageSweep

    # With a fault nothing will run.
    database = Database("" if database_faults(settings) else settings.DATABASE_URL)
    days = settings.USAGE_DAYS
    ledger = UsageLedger(database, sweep=UsageSweep(database, days) if days else None)
    pulse.at_beat(ledger.begin, urgent=False)
    return Records(database, ledger)


def database_faults(settings: Settings) -> list[str]:
    """What is wrong with the settings of the database, if there is one."""
    if not needs_database(settings):
        return []
    from gateway.database.address import parse_url

    try:
        parse_url(settings.DATABASE_URL)
    except ValueError as error:
        return [f"DATABASE_URL: {error}"]
    return []
