"""Outgoing webhooks: backends hand in events, partners are told of them, signed and again if need
be.

subscriptions   who is told of what, where: the setting WEBHOOKS
signing         the fields that let a partner know who sent it
event           what a backend hands in, and the body that is made of it
endpoint        the view that takes it
queue           events and deliveries in the database
schedule        when a failed one is sent again
courier         one delivery to one partner, and what came of it
sender          the elected worker's loop: what is due is sent, side by side
opening         all of that for one application, if WEBHOOKS says anything

Importing this loads none of it: nothing is loaded or opened while nobody is to be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Response

__all__ = ["take_event"]


def take_event() -> Response:
    """Store the event in the body of the current request for the partners who subscribed.

    For a view that backends alone may call. 202 with the ids when it is stored; see
    docs/webhooks.md for the body. Raises Refusal: 503 if the database cannot be used; an event
    that has an id can be handed in again after that.
    """
    from gateway.webhooks.endpoint import answer  # only if used

    return answer()
