"""The gateway of the balancing tests: one service as usual, one with sticky sessions."""

from __future__ import annotations

import os

from flask import Response

from gateway import Service, StickySessions, create_app, public

plain = Service("plain", __name__, url_prefix="/plain")
sticky = Service("sticky", __name__, url_prefix="/sticky", load_balancing=StickySessions())


@sticky.after_request
def tell_worker(response: Response) -> Response:
    """Say which process answered."""
    response.headers["X-Worker"] = str(os.getpid())
    return response


app = create_app(services=[public(plain), public(sticky)])
