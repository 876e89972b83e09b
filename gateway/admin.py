"""What operators look at and change over HTTP, below ADMIN_PREFIX; not there while that is empty.

    GET  {prefix}/cache          how much is kept             permission cache:read
    POST {prefix}/cache/purge    drop what is named           permission cache:purge

and what gateway.filters.admin has, where there are filters.
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
_SLUG = "purge_unclear"
_KINDS = ("url", "path", "prefix", "tag")


def add_admin(app: Flask, gateway: Gateway, services: Sequence[Service]) -> list[str]:
    """Register the routes; returns what is wrong: services with paths where they are to be."""
    prefix = gateway.settings.ADMIN_PREFIX
    faults = [
        f"ADMIN_PREFIX: {prefix} is among the paths of service {service.name!r}"
        f" ({service.declared_at})"
        for service in services
        if any(own and _meet(own, prefix) for own in service.prefixes)
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
        return answer({"entries": entries, "bytes": size})

    @admin.post("/cache/purge")
    @require("cache:purge")
    def purge() -> Response:
        purges = _purges(json_body(gateway.settings.CLIENT_TIMEOUT, _SLUG))
        try:
            return answer({"purged": purge_all(responses(), purges)})
        except StoreFault:
            raise _unavailable() from None

    if gateway.filters is not None:
        from gateway.filters.admin import add_filter_routes  # only if used

        add_filter_routes(admin, gateway.filters, gateway.settings.CLIENT_TIMEOUT)
    return admin


def json_body(idle: float, slug: str) -> dict[str, Any]:
    """The object that a request's body is. idle: seconds to wait for the next byte. slug: what a
    refusal is called. Raises Refusal, 400."""
    try:
        return strict_object(_body(idle, slug))
    except (ValueError, RecursionError):
        detail = "The body must be a JSON object in which no member is twice."
        raise Refusal(detail, slug=slug) from None


def _body(idle: float, slug: str) -> bytes:
    environ = request.environ
    # What a form of another site's page can send is of other types.
    if request.mimetype != "application/json":
        raise Refusal("The Content-Type must be application/json.", slug=slug)
    body = request_body(environ, environ["gateway.client"], limit=None, idle=idle)
    if body is None:
        raise Refusal("The body is missing.", slug=slug)
    data = b""
    while (body.length or 0) <= _LONGEST and (piece := body.next_piece()):
        data += piece
        if len(data) > _LONGEST:
            break
    if not body.finished:
        raise Refusal(f"The body is longer than {_LONGEST} bytes.", slug=slug)
    return data


def _purges(asked: dict[str, Any]) -> list[Purge]:
    """What a body names."""
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
    return Refusal(detail, slug=_SLUG)


def _unavailable() -> Refusal:
    return Refusal(
        "The store of kept answers cannot be used at the moment.",
        status=503,
        slug="cache_unavailable",
        headers=[("Retry-After", "1")],
    )


def answer(body: dict[str, Any]) -> Response:
    """JSON that nobody keeps."""
    response = Response(orjson.dumps(body), content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
