"""The gateway of the internal tokens' tests: a service that is told by token, and one by both.

Run under gunicorn as `tests.authentication.token_app:app`; the backends are at `BACKEND`.
"""

from __future__ import annotations

import os

from gateway import Service, create_app, require

_BACKEND = os.environ["BACKEND"]

orders = Service("orders", __name__, url_prefix="/orders", upstream=_BACKEND, identity="token")
users = Service("users", __name__, url_prefix="/users", upstream=_BACKEND, identity="both")

app = create_app(services=[require()(orders), require()(users)])
