"""Options of which services there are."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.kinds import CommaList
from gateway.settings.room import Room


class ServiceSettings(Room):
    """Which services this gateway is for, and what is done with all their requests."""

    DOMAINS: CommaList = Field(
        (),
        description="Domains whose services this gateway is for, comma-separated, such as"
        " `commerce` (docs/domains.md). Empty: all services.",
    )
    FILTERS_OFF: CommaList = Field(
        (),
        description="Filters that are off, comma-separated names (docs/filters.md); they can be"
        " switched while the gateway runs. Empty: all are on.",
    )
