"""The concurrency limits of an application put together: what is limited, the store, the beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flask import Flask

from gateway.admission import Step
from gateway.rate_limiting import stores
from gateway.rate_limiting.concurrency.limits import compile_concurrency
from gateway.rate_limiting.concurrency.slots import Held, LocalStore, MemorySlots, SlotStore
from gateway.routes import Route
from gateway.state import EmbeddedStore
from settings import Settings

if TYPE_CHECKING:
    from gateway.application import Gateway
    from gateway.rate_limiting.context import LimitContext


def limit_concurrency(
    app: Flask, routes: Mapping[str, Route], gateway: Gateway, context: LimitContext
) -> tuple[Step | None, list[str]]:
    """The step that takes a request's slots, None where nothing limits how many there are at the
    same time; and the faults. It comes after all that may refuse a request. Opens nothing."""
    dry = gateway.settings.RATE_LIMIT_DRY_RUN
    limits, faults = compile_concurrency(app, routes, dry=dry)
    app.extensions["gateway_concurrency"] = limits
    app.extensions["gateway_slots"] = None  # what decides them
    # Nobody has a plan, or limits of its own, unless one of these gives it.
    plans = context.plans if gateway.settings.PLANS or gateway.records or _own(routes) else None
    if faults or not (any(limits.values()) or plans):
        return None, faults
    from gateway.rate_limiting.concurrency.deciding import Concurrency  # only if used

    held = Held()
    store = _store(gateway.settings, gateway.store, held)
    concurrency = Concurrency(limits, plans, store, held, context.exempt, dry=dry)
    app.extensions["gateway_slots"] = concurrency
    if not isinstance(store, MemorySlots):
        # Leases in Redis are short. The dead of this machine may wait for the slower beat.
        gateway.pulse.at_beat(concurrency.keep, urgent=bool(gateway.settings.REDIS_URL))
    return concurrency.enter, faults


def _own(routes: Mapping[str, Route]) -> bool:
    """Whether a service has a scheme of its own, which may say what it likes of an identity."""
    services = {route.service for route in routes.values() if route.service is not None}
    return any(
        not isinstance(one, str) for service in services for one in service.authentication or ()
    )


def _store(settings: Settings, embedded: EmbeddedStore | None, held: Held) -> SlotStore:
    """Redis falls back to the embedded store, that one to this worker's memory."""
    from gateway.rate_limiting.concurrency.embedded import EmbeddedSlots  # only if used
    from gateway.rate_limiting.concurrency.fallback import FallbackSlots, LocalFallback

    memory = MemorySlots(held)
    local: LocalStore = memory
    if embedded is not None:
        local = LocalFallback(EmbeddedSlots(embedded, held), memory, name="lmdb")
    if not settings.REDIS_URL or stores.faults(settings):  # with a fault nothing will run
        return local
    from gateway.rate_limiting.concurrency.redis_slots import RedisSlots

    redis = RedisSlots(settings.REDIS_URL, settings.REDIS_TIMEOUT, held)
    return FallbackSlots(redis, local, name="redis")
