"""The gateway of the webhook tests: backends hand in events; says which worker sends."""

from __future__ import annotations

import os

from flask import Response, current_app

from gateway import Service, create_app, require
from gateway.webhooks import sender, take_event

# Short, as the tests kill whoever has a claim.
sender._MARGIN = 1

events = Service("events", __name__, url_prefix="/events", upstream="")
require("webhook:send")(events)


@events.post("")
def hand_in() -> Response:
    """Take an event."""
    return take_event()


@events.get("/worker")
def worker() -> dict[str, object]:
    """The worker that answers, and whether it is the elected one."""
    return {"pid": os.getpid(), "elected": current_app.extensions["gateway"].pulse.elected}


app = create_app(services=[events])
