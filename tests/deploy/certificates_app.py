"""The gateway of the tests with client certificates: one service for all, one for who is known."""

from __future__ import annotations

from gateway import Service, create_app, public, require

plain = Service("plain", __name__, url_prefix="/plain")
guarded = Service("guarded", __name__, url_prefix="/guarded")
public(plain)
require()(guarded)

app = create_app(services=[plain, guarded])
