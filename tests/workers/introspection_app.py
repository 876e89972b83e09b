"""The gateway of the introspection tests: a service for whoever may read, and one for everybody."""

from __future__ import annotations

from gateway import Service, create_app, public, require

guarded = Service("guarded", __name__, url_prefix="/guarded")
require("read")(guarded)

plain = Service("plain", __name__, url_prefix="/plain")
public(plain)

app = create_app(services=[guarded, plain])
