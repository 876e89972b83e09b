"""The gateway of the bench of authentication: one backend, asked with and without a credential.

All schemes are set up, so every request passes all of them that look for a credential.
"""

from __future__ import annotations

import os

from gateway import ForwardAuth, Service, create_app, limiter, public, require, role

anonymous = Service("anonymous", __name__, url_prefix="/anonymous")
guarded = Service("guarded", __name__, url_prefix="/guarded")
certified = Service("certified", __name__, url_prefix="/certified")
forward = Service(
    "forward",
    __name__,
    url_prefix="/forward",
    authentication=[ForwardAuth(os.environ["BENCH_AUTHORITY"] + "/verify", cache=300)],
)

SERVICES = [anonymous, guarded, certified, forward]
for service in SERVICES:
    limiter.limit("1000000/minute")(service)
public(anonymous)
require("order:read")(guarded)
require(role("reader"))(certified)
require("order:read")(forward)

app = create_app(services=SERVICES)
