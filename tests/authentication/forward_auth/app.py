"""The gateway of these tests under gunicorn: what an nginx with `auth_request` was before.

location /api/v1/users  { auth_request /auth; auth_request_set $user_id ...; }
location /api/v1/orders { auth_request /auth; }
"""

from __future__ import annotations

import os

from gateway import ForwardAuth, Service, create_app, public, require

AUTH = os.environ["AUTH_URL"] + "/validate"

users = Service("users", __name__, url_prefix="/api/v1/users", authentication=[ForwardAuth(AUTH)])
orders = Service(
    "orders", __name__, url_prefix="/api/v1/orders", authentication=[ForwardAuth(AUTH)]
)
cached = Service(
    "cached", __name__, url_prefix="/api/v1/cached", authentication=[ForwardAuth(AUTH, cache=60)]
)
lenient = Service(
    "lenient",
    __name__,
    url_prefix="/api/v1/lenient",
    authentication=[ForwardAuth(AUTH, fail_open=True)],
)
products = Service("products", __name__, url_prefix="/api/v1/products")

for service in (users, orders, cached, lenient):
    require()(service)
public(products)

app = create_app(services=[users, orders, cached, lenient, products])
