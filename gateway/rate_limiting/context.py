"""What all limits of an application work with."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.database.opening import Records
from gateway.rate_limiting.exemptions import Exemptions
from gateway.rate_limiting.plans import Plans
from gateway.rate_limiting.quotas import Quotas
from gateway.rate_limiting.windows import Windows
from settings import Settings


@dataclass(frozen=True, slots=True)
class LimitContext:
    """The gateway as its limits see it. windows: the store. exempt: who no limit applies to."""

    settings: Settings
    windows: Windows
    plans: Plans
    quotas: Quotas
    exempt: Exemptions


def open_limits(settings: Settings, windows: Windows, records: Records | None) -> LimitContext:
    """The limits' context, by the settings. Nothing is opened before it is used."""
    return LimitContext(
        settings,
        windows,
        Plans(settings.PLANS, settings.DEFAULT_PLAN),
        Quotas(windows, None if records is None else records.usage),
        Exemptions(settings.RATE_LIMIT_EXEMPT),
    )
