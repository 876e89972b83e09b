"""The gateway of the bench of caching: kept answers for everybody, and for one user alone."""

from __future__ import annotations

from gateway import Cache, Service, create_app, public, require

anonymous = Service("anonymous", __name__, url_prefix="/anonymous", policies=[Cache()])
guarded = Service("guarded", __name__, url_prefix="/guarded", policies=[Cache()])

public(anonymous)
require("order:read")(guarded)

app = create_app(services=[anonymous, guarded])
