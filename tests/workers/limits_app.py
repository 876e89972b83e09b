"""The gateway of the limit tests: views that answer themselves, so that only limits decide."""

from __future__ import annotations

import os

from gateway import Service, create_app, limiter, public

limited = Service("limited", __name__, url_prefix="/limited", upstream="")
public(limited)


@limited.get("/view")
@limiter.limit("100/minute")
@limiter.limit("5000/hour")
def view() -> str:
    """May be had a hundred times."""
    return str(os.getpid())


@limited.get("/plenty")
@limiter.limit("1000000/minute")
def plenty() -> str:
    """May be had as often as the tests want."""
    return str(os.getpid())


app = create_app(services=[limited])
