"""The gateway of the circuit tests: a service whose circuit opens soon, and recovers soon."""

from __future__ import annotations

from gateway import CircuitBreaker, Service, create_app, public

breaker = CircuitBreaker(failures=5, ratio=None, recovery=3, longest=3)
fragile = Service("fragile", __name__, url_prefix="/fragile", policies=[breaker])
public(fragile)

app = create_app(services=[fragile])
