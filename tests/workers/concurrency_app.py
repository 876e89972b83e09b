"""The gateway of the concurrency tests: services that let few requests in at the same time."""

from __future__ import annotations

from gateway import Service, Timeouts, create_app, limiter, public, require

_TIMEOUTS = Timeouts(read=20, total=20)

counted = Service("counted", __name__, url_prefix="/counted", timeouts=_TIMEOUTS)
limiter.concurrency(10)(counted)

own = Service("own", __name__, url_prefix="/own", timeouts=_TIMEOUTS)
limiter.concurrency(2, per="identity")(own)

app = create_app(services=[public(counted), require()(own)])
