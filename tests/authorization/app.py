"""The gateway of the decision point's tests: services that ask one, each in a way of its own.

Run under gunicorn as `tests.authorization.app:app`. `EXAMPLE_PDP` is where the example listens,
`SCRIPTED_PDP` one whose every byte a test decides; the backends are at `BACKEND`.
"""

from __future__ import annotations

import os

from gateway import READ, WRITE, PolicyDecisionPoint, Service, create_app, require

_RULE = "/v1/data/orders/allow"
_BACKEND = os.environ["BACKEND"]
_SCRIPTED = os.environ["SCRIPTED_PDP"] + _RULE

orders = Service("orders", __name__, url_prefix="/api/v1/orders", upstream=_BACKEND)
require(PolicyDecisionPoint(os.environ["EXAMPLE_PDP"] + _RULE))(orders)

closed = Service("closed", __name__, url_prefix="/closed", upstream=_BACKEND)
require(PolicyDecisionPoint(_SCRIPTED))(closed)

writing = Service("writing", __name__, url_prefix="/writing", upstream=_BACKEND)
require(methods=READ)(writing)
require(PolicyDecisionPoint(_SCRIPTED, cache=60), methods=WRITE)(writing)

opening = Service("opening", __name__, url_prefix="/opening", upstream=_BACKEND)
require(PolicyDecisionPoint(_SCRIPTED, timeout=0.5, fail_open=True))(opening)

app = create_app(services=[orders, closed, writing, opening])
