"""The gateway of the chaos tests: services that meet trouble with what is made for it."""

from __future__ import annotations

import gc
import os
import threading
from typing import Any

from flask import current_app
from greenlet import greenlet

from gateway import (
    Bulkhead,
    CircuitBreaker,
    HealthCheck,
    Retry,
    Service,
    Timeouts,
    create_app,
    public,
)

probes = HealthCheck(path="/health", interval=1, timeout=0.5, healthy=1, unhealthy=2)

shop = Service(
    "shop",
    __name__,
    url_prefix="/shop",
    timeouts=Timeouts(connect=0.5, read=2, total=8),
    health_check=probes,
    policies=[Retry(attempts=3)],
)
hung = Service(
    "hung",
    __name__,
    url_prefix="/hung",
    timeouts=Timeouts(connect=0.5, read=60, total=3),
    policies=[Bulkhead()],
)
calm = Service("calm", __name__, url_prefix="/calm")
outage = Service(
    "outage",
    __name__,
    url_prefix="/outage",
    timeouts=Timeouts(connect=0.5, read=0.3, total=5),
    policies=[Retry(attempts=3)],
)
mixed = Service(
    "mixed",
    __name__,
    url_prefix="/mixed",
    timeouts=Timeouts(connect=0.5, read=1, total=4),
    health_check=probes,
    policies=[
        Bulkhead(),
        Retry(attempts=3, try_seconds=1.5),
        CircuitBreaker(failures=20, recovery=1, scope="target"),
    ],
)


def _inside() -> dict[str, Any]:
    """What this worker holds at the moment."""
    gc.collect()
    runtimes = current_app.extensions["gateway"].runtimes.values()
    return {
        "pid": os.getpid(),
        "threads": threading.active_count(),
        "greenlets": sum(isinstance(one, greenlet) for one in gc.get_objects()),
        "in_flight": sum(node.in_flight() for r in runtimes for node in r.pool.nodes),
    }


@calm.get("/inside")
@public
def inside() -> dict[str, Any]:
    """A view of the tests' own."""
    return _inside()


SERVICES = [shop, hung, calm, outage, mixed]
for service in SERVICES:
    public(service)

app = create_app(services=SERVICES)
