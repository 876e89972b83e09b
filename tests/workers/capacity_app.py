"""The gateway of the capacity and fallback tests: services with all of a worker, with a bulkhead,
and with fallbacks."""

from __future__ import annotations

from gateway import Bulkhead, Fallback, Service, Timeouts, create_app, public

plain = Service("plain", __name__, url_prefix="/plain", timeouts=Timeouts(read=20, total=20))
bounded = Service(
    "bounded",
    __name__,
    url_prefix="/bounded",
    timeouts=Timeouts(read=20, total=20),
    policies=[Bulkhead(limit=2, wait=0.05)],
)
kept = Service("kept", __name__, url_prefix="/kept", policies=[Fallback(stale=True)])
replaced = Service(
    "replaced", __name__, url_prefix="/replaced", policies=[Fallback(service="backup")]
)
backup = Service("backup", __name__, url_prefix=None)

app = create_app(services=[*map(public, (plain, bounded, kept, replaced)), backup])
