"""What is asked of the gateway itself: does it live, may it be sent requests, which are its keys.

None of the answers needs a token, counts against a limit, or is logged.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson
from flask import Blueprint, Response

from gateway import lifecycle
from gateway.authorization import public
from gateway.rate_limiting.stores import FALLBACKS

if TYPE_CHECKING:
    from gateway.application import Gateway

log = logging.getLogger("gateway")


def make_ops(gateway: Gateway) -> Blueprint:
    """`/healthz`: the process serves. `/readyz`: it wants requests; 503 while it drains.

    With keys for internal tokens, `/.well-known/jwks.json`: their public halves.
    """
    ops = Blueprint("gateway_ops", __name__)

    @ops.get("/healthz")
    @public
    def healthz() -> Response:
        return _answer({"status": "ok"}, 200)

    @ops.get("/readyz")
    @public
    def readyz() -> Response:
        if lifecycle.draining():
            return _answer({"status": "draining"}, 503)
        found = {"status": "ready", "limits": _limits(gateway)}
        if gateway.records is not None:
            # Not a reason to be unready: whoever needs no record of it is served.
            found["database"] = gateway.records.database.status
        return _answer(found, 200)

    if gateway.tokens is not None:
        _add_key_set(ops, gateway.tokens.key_set)
    return ops


def _add_key_set(ops: Blueprint, key_set: bytes) -> None:
    @ops.get("/.well-known/jwks.json")
    @public
    def jwks() -> Response:
        response = Response(key_set, content_type="application/json")
        # Backends look again by then: for so long a new key has to be known before it signs.
        response.headers["Cache-Control"] = "public, max-age=300"
        return response


def _limits(gateway: Gateway) -> dict[str, Any]:
    """Where limits are counted. A store that fails does not make the gateway unready: it goes on
    with local limits, and taking it out would be worse."""
    degraded = getattr(gateway.windows, "degraded", False)
    found: dict[str, Any] = {"store": "local" if degraded else "shared"}
    if gateway.store is not None:
        try:
            found["fallbacks"] = gateway.store.count(FALLBACKS, 0)
        except Exception as error:  # noqa: BLE001  readiness must not depend on it
            log.warning("embedded store: %s", type(error).__name__)
            found["store"] = "local"
    return found


def _answer(body: dict[str, Any], status: int) -> Response:
    response = Response(orjson.dumps(body), status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
