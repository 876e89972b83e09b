"""Holding a request back until its time has come, as a paced bucket wants it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from flask import current_app

from gateway.capacity import Capacity
from gateway.errors import ClientGone, deadline_exceeded

#: A shorter wait, in seconds, is none.
SHORTEST = 0.001
# The client is looked at after each piece.
_SLICE = 0.25


def pace(seconds: float, environ: dict[str, Any]) -> None:
    """Wait, in one of the worker's places for that; no backend is asked meanwhile.

    Raises NotSent: at once, if the time would come after the service's total timeout (504) or
    enough requests wait (503). ClientGone if the client left. It has been counted in any case.
    """
    gateway = current_app.extensions["gateway"]
    route = environ.get("gateway.route")
    service = None if route is None else route.service
    runtime = None if service is None else gateway.runtimes.get(service.name)
    total = gateway.settings.TOTAL_TIMEOUT if runtime is None else runtime.timeouts.total
    end = time.monotonic() + seconds
    if end > environ["gateway.exchange"].started + total:
        raise deadline_exceeded()
    hold(gateway.capacity, end, environ["gateway.client"].abandoned)


def hold(
    capacity: Capacity,
    end: float,
    abandoned: Callable[[], bool],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until `end`, a time of `clock`. Raises as `pace` does."""
    with capacity.held_back():
        while (left := end - clock()) > 0:
            sleep(min(left, _SLICE))
            if abandoned():
                raise ClientGone
