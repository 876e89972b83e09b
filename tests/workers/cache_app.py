"""The gateway of the cache tests: services that keep answers, for all and for each caller alone."""

from __future__ import annotations

import os

from gateway import Cache, CircuitBreaker, Service, create_app, public, require

kept = Service("kept", __name__, url_prefix="/kept", policies=[Cache(collapse=20.0)])
hasty = Service("hasty", __name__, url_prefix="/hasty", policies=[Cache(collapse=0.5)])
own = Service("own", __name__, url_prefix="/own", policies=[Cache(ttl=0.05)])
doomed = Service(
    "doomed",
    __name__,
    url_prefix="/doomed",
    policies=[Cache(), CircuitBreaker(failures=2, recovery=60)],
)
worker = Service("worker", __name__, url_prefix="/worker", upstream="")
for service in (kept, hasty, doomed, worker):
    public(service)
require()(own)


@worker.get("/pid")
def pid() -> str:
    """Who answers on this connection."""
    return str(os.getpid())


app = create_app(services=[kept, hasty, own, doomed, worker])
