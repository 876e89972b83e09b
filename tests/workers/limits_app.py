"""The gateway of the limit tests: views that answer themselves, so that only limits decide."""

from __future__ import annotations

import os
from typing import Any

from flask import current_app

from gateway import Service, create_app, limiter, public
from gateway.errors import Refusal
from gateway.rate_limiting.windows import Hit

limited = Service("limited", __name__, url_prefix="/limited", upstream="")
public(limited)


@limited.get("/view")
@limiter.limit("100/minute")
@limiter.limit("5000/hour")
def view() -> str:
    """May be had a hundred times."""
    return str(os.getpid())


@limited.get("/bucket")
@limiter.limit("1/day", burst=99)
@limiter.limit("5000/hour")
def bucket() -> str:
    """May be had a hundred times, and then once a day."""
    return str(os.getpid())


@limited.get("/period")
def period() -> str:
    """May be had a hundred times in a period that does not end while anybody looks."""
    gateway: Any = current_app.extensions["gateway"]
    if not gateway.windows.acquire([Hit("all", 100, 86400, ends=4e9), Hit("all", 5000, 3600)])[0]:
        raise Refusal("The period is used up.", status=429)
    return str(os.getpid())


@limited.get("/nginx")
@limiter.limit("10/second", burst=20)
def nginx() -> str:
    """limit_req_zone ... rate=10r/s; limit_req ... burst=20 nodelay."""
    return str(os.getpid())


@limited.get("/nginx-delay")
@limiter.limit("10/second", burst=20, nodelay=False)
def nginx_delay() -> str:
    """The same without nodelay."""
    return str(os.getpid())


@limited.get("/slow")
@limiter.limit("1/second", burst=20, nodelay=False)
def slow() -> str:
    """Waits for a second after the one before."""
    return str(os.getpid())


@limited.get("/open")
@limiter.limit("3/hour", on_failure="open")
def passes_then() -> str:
    """May be had as often as anybody likes while the store is away."""
    return str(os.getpid())


@limited.get("/closed")
@limiter.limit("1000000/hour", on_failure="closed")
def refused_then() -> str:
    """Not to be had while the store is away."""
    return str(os.getpid())


@limited.get("/plenty")
@limiter.limit("1000000/minute")
def plenty() -> str:
    """May be had as often as the tests want."""
    return str(os.getpid())


app = create_app(services=[limited])
