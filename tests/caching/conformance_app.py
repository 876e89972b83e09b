"""The gateway in front of the conformance tests: one cache, and what is to pass it."""

from __future__ import annotations

import json
import os

from gateway import Cache, Service, create_app, public

options = json.loads(os.environ.get("CONFORMANCE_OPTIONS", "{}"))
tested = Service("test", __name__, url_prefix="/test", policies=[Cache(**options)])
# By these, the clients tell the backend what to answer, and ask what it was sent.
told = Service("told", __name__, url_prefix="/config", variable="TEST_URL")
asked = Service("asked", __name__, url_prefix="/state", variable="TEST_URL")
services = [tested, told, asked]
for service in services:
    public(service)

app = create_app(services=services)
