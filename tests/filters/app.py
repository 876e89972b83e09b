"""The gateway of the filter tests: a service of which every phase can be seen and switched."""

from __future__ import annotations

import os

from flask import Flask, Request, Response
from flask.typing import ResponseReturnValue

from gateway import (
    Handler,
    Service,
    StaticBody,
    UpstreamRequest,
    UpstreamResponse,
    create_app,
    public,
)
from gateway.filters import error, post, pre, route

things = public(Service("things", __name__, url_prefix="/things", upstream=""))
worker = public(Service("worker", __name__, url_prefix="/worker", upstream=""))


@worker.get("/pid")
def pid() -> str:
    """Who answers on this connection."""
    return str(os.getpid())


@pre(only=lambda request: "closed" in request.args)
def closed(_request: Request) -> ResponseReturnValue:
    """Closes what is asked to be."""
    return "closed", 503


@route(only=lambda request: "own" in request.target)
def own_answer(_request: UpstreamRequest, _following: Handler) -> UpstreamResponse:
    """Answers instead of a backend."""
    return UpstreamResponse(200, "", [("Content-Length", "3")], StaticBody(b"own"))


@post()
def stamped(response: Response) -> None:
    """Marks every answer."""
    response.headers["X-Stamp"] = "1"


@error()
def apology(_failure: Exception) -> ResponseReturnValue:
    """A failure as this house tells it."""
    return "sorry", 503


def make() -> Flask:
    """The application, by the environment."""
    return create_app(services=[things, worker], filters=[closed, own_answer, stamped, apology])
