"""The gateway of the tests of health: one service that probes its instances, one that does not."""

from __future__ import annotations

import os

from gateway import CircuitBreaker, Ejection, HealthCheck, Service, create_app, public

probed = Service(
    "probed",
    __name__,
    url_prefix="/probed",
    health_check=HealthCheck(interval=0.5, timeout=0.4, healthy=2, unhealthy=2),
    ejection=None,
)
plain = Service(
    "plain", __name__, url_prefix="/plain", ejection=Ejection(failures=3, seconds=6, longest=12)
)
guarded = Service(
    "guarded",
    __name__,
    url_prefix="/guarded",
    ejection=None,
    policies=[CircuitBreaker(failures=2, recovery=60)],
)


@plain.get("/pid")
def pid() -> str:
    """Which worker answers."""
    return str(os.getpid())


for service in (probed, plain, guarded):
    public(service)

app = create_app(services=[probed, plain, guarded])
