"""Filters for operators over HTTP, below ADMIN_PREFIX.

GET  {prefix}/filters           all of them                     permission filters:read
PUT  {prefix}/filters/{name}    switch one: `{"on": false}`     permission filters:write
"""

from __future__ import annotations

from flask import Blueprint, Response

from gateway.admin import answer, json_body
from gateway.authorization import require
from gateway.errors import Refusal
from gateway.filters.opening import Filters
from gateway.filters.switches import SwitchFault
from gateway.filters.telling import listed


def add_filter_routes(admin: Blueprint, filters: Filters, idle: float) -> None:
    """Add them to the routes for operators. idle: seconds to wait for the next byte of a body."""
    names = {one.noted.name for one in filters.listed}

    @admin.get("/filters")
    @require("filters:read")
    def show() -> Response:
        _look(filters)
        return answer({"filters": listed(filters)})

    @admin.put("/filters/<name>")
    @require("filters:write")
    def switch(name: str) -> Response:
        asked = json_body(idle, "switch_unclear")
        if asked.keys() != {"on"} or not isinstance(asked["on"], bool):
            raise Refusal("The body must be on: true or false.", slug="switch_unclear")
        if name not in names:
            raise Refusal("There is no filter of this name.", status=404, slug="no_such_filter")
        try:
            filters.switches.switch(name, asked["on"])
        except SwitchFault:
            raise _unavailable() from None
        return answer({"name": name, "on": asked["on"]})


def _look(filters: Filters) -> None:
    try:
        filters.switches.look()
    except SwitchFault:
        raise _unavailable() from None


def _unavailable() -> Refusal:
    return Refusal(
        "What the workers share cannot be used at the moment.",
        status=503,
        slug="state_unavailable",
        headers=[("Retry-After", "1")],
    )
