"""The gateway of the cache tests with all that stands around caches: a service with versions, for
all callers but for what a transform says of them, and a page made of it."""

from __future__ import annotations

import os

from flask import Response

from gateway import Cache, Frontend, Service, Version, Versions, create_app, gather, public, require
from gateway.transforms import RequestHeaders, StandardHeaders

kept = Cache(shared=True, collapse=20)
users = Service(
    "users",
    __name__,
    url_prefix="/users",
    policies=[StandardHeaders(), RequestHeaders(set={"X-Own": "{identity.subject}"}), kept],
    versions=Versions(Version("v1"), Version("v2"), default="v1", path="/{version}/users"),
    identity="none",
    hide_credentials=True,
)
pages = Frontend("pages", __name__, url_prefix="/pages", uses=[users])
worker = Service("worker", __name__, url_prefix="/worker", upstream="")
require()(users)
require()(pages)
public(worker)


@pages.get("/<name>")
def page(name: str) -> Response:
    """The same of both versions."""
    return gather(
        old=users.fetch(f"/{name}"), new=users.fetch(f"/{name}", version="v2", cache=kept)
    ).respond()


@worker.get("/pid")
def pid() -> str:
    """Who answers on this connection."""
    return str(os.getpid())


app = create_app(services=[users, pages, worker])
