"""The gateway of the key tests: a view that says which worker answers, for whoever has a key."""

from __future__ import annotations

import os

from gateway import Service, create_app, require

own = Service("own", __name__, url_prefix="/own", upstream="")
require()(own)


@own.get("/pid")
def pid() -> str:
    """The worker's process id."""
    return str(os.getpid())


app = create_app(services=[own])
