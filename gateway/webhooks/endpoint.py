"""The view by which backends hand in events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from flask import Response, current_app, request

from gateway.database.errors import DatabaseError
from gateway.errors import Refusal
from gateway.forwarding import request_body
from gateway.webhooks.event import LONGEST, Event, IdTaken, read_event

if TYPE_CHECKING:
    from gateway.application import Gateway
    from gateway.webhooks.opening import Webhooks


def answer() -> Response:
    """See gateway.webhooks.take_event."""
    gateway: Gateway = current_app.extensions["gateway"]
    event = read_event(_body(gateway.settings.CLIENT_TIMEOUT))
    found: dict[str, object] = {"id": event.id, "deliveries": [], "duplicate": False}
    webhooks = gateway.webhooks
    if webhooks is not None:
        told = [
            name
            for name, one in webhooks.subscriptions.items()
            if event.partner in ("", name) and one.wants(event.type)
        ]
        found |= _stored(webhooks, event, told)
    response = Response(orjson.dumps(found), 202, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _stored(webhooks: Webhooks, event: Event, partners: list[str]) -> dict[str, object]:
    try:
        stored = webhooks.queue.add(event, partners)
    except IdTaken:
        raise Refusal("Another event has this id.", status=409, slug="event_id_taken") from None
    except DatabaseError:
        raise Refusal(
            "The event cannot be stored at the moment.",
            status=503,
            slug="events_unavailable",
            headers=[("Retry-After", "1")],
        ) from None
    return {"deliveries": stored.deliveries, "duplicate": stored.known}


def _body(idle: float) -> bytes:
    """The request's body. idle: seconds to wait for the next byte. Raises Refusal."""
    # What a form of another site's page can send is of other types.
    if request.mimetype != "application/json":
        raise Refusal(
            "The Content-Type must be application/json.", status=415, slug="unsupported_media_type"
        )
    environ = request.environ
    body = request_body(environ, environ["gateway.client"], limit=LONGEST, idle=idle)
    pieces: list[bytes] = []
    while body is not None and (piece := body.next_piece()):
        pieces.append(piece)
    return b"".join(pieces)
