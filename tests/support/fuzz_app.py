"""The gateway that is fuzzed: every kind of route, and a backend that is a function."""

from __future__ import annotations

from flask import Flask, Response

from gateway import READ, Service, Timeouts, create_app, limiter, public, require, role
from gateway.testing_stub import StubTransport
from settings import Settings
from tests.support.wsgi import answer_ok


def make_fuzzed(settings: Settings | None = None) -> tuple[Flask, StubTransport]:
    """The application, and what was sent to its backends."""
    stub = StubTransport(answer_ok)
    session = stub.session()

    def service(name: str, prefix: str, **options: object) -> Service:
        return Service(
            name,
            __name__,
            url_prefix=prefix,
            upstream=f"http://{name}.internal",
            session=session,
            timeouts=Timeouts(total=5),
            **options,  # type: ignore[arg-type]
        )

    things = public(service("things", "/things", max_body=1000))

    @things.get("/<int:number>/view")
    @require(role("viewer"))
    def view(number: int) -> Response:
        return things.forward()

    guarded = service("guarded", "/guarded", allow_encoded_slashes=True, preserve_host=True)
    public(require("a:b", methods=["POST", "PUT", "PATCH", "DELETE"])(guarded), methods=READ)
    limiter.limit("1000000/minute")(guarded)
    second = public(service("second", "/s", headers={"X-Version": "2"}, strip_prefix=True))
    first = require()(service("first", "/s", hide_credentials=True))
    return create_app(settings, services=[things, guarded, second, first]), stub
