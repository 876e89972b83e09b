"""The gateway of the plan tests: a view for whoever is known, so that only plans decide."""

from __future__ import annotations

import os

from gateway import Service, create_app, limiter, require

planned = Service("planned", __name__, url_prefix="/planned", upstream="")
require()(planned)


@planned.get("/view")
@limiter.limit("100000/minute")
def view() -> str:
    """May be had as often as a plan permits."""
    return str(os.getpid())


app = create_app(services=[planned])
