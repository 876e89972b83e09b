"""What operators look at and change over HTTP, below ADMIN_PREFIX; not there while that is empty.

    GET  {prefix}/cache          how much is kept             permission cache:read
    POST {prefix}/cache/purge    drop what is named           permission cache:purge

Authenticated, limited and logged as any route. deploy/nginx.conf can keep the world away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson
from flask import Blueprint, Flask, Response, current_app, request

from gateway.authentication.strict_json import strict_object
from gateway.authorization import ALL_METHODS, require
from gateway.caching.opening import open_responses
from gateway.caching.purging import cache_options, purge_all, read_purge
from gateway.caching.store import Purge, StoreFault
from gateway.errors import Refusal
from gateway.forwarding import request_body
from gateway.paths import claim_paths
from gateway.service import Service

if TYPE_CHECKING:
    from gateway.application import Gateway
    from gateway.caching.tiers import TieredResponses

_NAME = "gateway_admin"
#: Longest body in bytes.
_LONGEST = 64 * 1024
_KINDS = ("url", "path", "prefix", "tag")


def add_admin(app: Flask, gateway: Gateway, services: Sequence[Service]) -> list[str]:
    """Register the routes; returns what is wrong: services with paths where they are to be."""
    prefix = gateway.settings.ADMIN_PREFIX
    faults = [
        f"ADMIN_PREFIX: {prefix} is among the paths of service {service.name!r}"
        f" ({service.declared_at})"
        for service in services
        if service.url_prefix and _meet(service.url_prefix, prefix)
    ]
    app.register_blueprint(make_admin(gateway), url_prefix=prefix)
    # Or a service at the root would be asked for these paths with other methods.
    claim_paths(app, _NAME, ALL_METHODS)
    return faults


def _meet(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def make_admin(gateway: Gateway) -> Blueprint:
    """The routes for operators."""
    admin = Blueprint(_NAME, __name__)

    def responses() -> TieredResponses:
        # Not before a request asks: settings with faults are told of first.
        return open_responses(gateway.settings, gateway.commons)

    @admin.get("/cache")
    @require("cache:read")
    def usage() -> Response:
        try:
            entries, size = responses().usage()
        except StoreFault:
            raise _unavailable() from None
        return _answer({"entries": entries, "bytes": size})

    @admin.post("/cache/purge")
    @require("cache:purge")
    def purge() -> Response:
        purges = _purges(_body(gateway.settings.CLIENT_TIMEOUT))
        try:
            return _answer({"purged": purge_all(responses(), purges)})
        except StoreFault:
            raise _unavailable() from None

    return admin


def _body(idle: float) -> bytes:
    """The request's body. idle: seconds to wait for the next byte."""
    environ = request.environ
    # What a form of another site's page can send is of other types.
    if request.mimetype != "application/json":
        raise _refused("The Content-Type must be application/json.")
    body = request_body(environ, environ["gateway.client"], limit=None, idle=idle)
    if body is None:
        raise _refused("The body is missing.")
    data = b""
    while (body.length or 0) <= _LONGEST and (piece := body.next_piece()):
        data += piece
        if len(data) > _LONGEST:
            break
    if not body.finished:
        raise _refused(f"The body is longer than {_LONGEST} bytes.")
    return data


def _purges(data: bytes) -> list[Purge]:
    """What a body names."""
    try:
        asked = strict_object(data)
    except (ValueError, RecursionError):
        raise _refused("The body must be a JSON object in which no member is twice.") from None
    if len(asked) != 1 or not asked.keys() <= {"all", *_KINDS}:
        raise _refused("The body must have one member: all, url, path, prefix or tag.")
    ((kind, value),) = asked.items()
    if kind == "all":
        if value is not True:
            raise _refused("all must be true.")
        return [Purge("all")]
    if not isinstance(value, str):
        raise _refused(f"{kind} must be text.")
    try:
        return read_purge(kind, value, cache_options(current_app))
    except ValueError as error:
        raise _refused(f"{error}.") from None


def _refused(detail: str) -> Refusal:
    return Refusal(detail, slug="purge_unclear")


def _unavailable() -> Refusal:
    return Refusal(
        "The store of kept answers cannot be used at the moment.",
        status=503,
        slug="cache_unavailable",
        headers=[("Retry-After", "1")],
    )


def _answer(body: dict[str, Any]) -> Response:
    response = Response(orjson.dumps(body), content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
