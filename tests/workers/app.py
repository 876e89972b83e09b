"""The gateway of the worker tests: one service, open to everybody, that only forwards."""

from __future__ import annotations

from gateway import Service, create_app, public

plain = Service("plain", __name__, url_prefix="/plain", max_body=None)
public(plain)

app = create_app(services=[plain])
