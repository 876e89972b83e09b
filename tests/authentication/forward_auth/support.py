"""A gateway whose services are guarded by an authorisation service that a test scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Flask

from gateway import ForwardAuth, public, require
from gateway.testing import Received, ScriptedUpstream
from gateway.testing_stub import StubRequest, StubTransport
from tests.support.messages import response
from tests.support.wsgi import Answer, call, make_app, stubbed

ALLOWED = response(b"204 No Content", b"X-User-ID: u7", b"X-User-Roles: buyer, seller")
DENIED = response(b"401 Unauthorized", b'WWW-Authenticate: Basic realm="users"')
FORBIDDEN = response(b"403 Forbidden", body=b"not you")


@dataclass(frozen=True, slots=True)
class House:
    """A gateway with `/users`, guarded, and `/open`, not; and who is behind both."""

    app: Flask
    service: ScriptedUpstream
    backend: StubTransport

    def ask(self, raw: str = "/users/7", method: str = "GET", *fields: tuple[str, str]) -> Answer:
        """The gateway's answer to a request with these fields."""
        return call(self.app, raw, method, fields)

    @property
    def asked(self) -> Received:
        """The only question to the authorisation service."""
        (only,) = self.service.requests
        return only

    @property
    def told(self) -> StubRequest:
        """The last request that the backend was sent."""
        return self.backend.requests[-1]


def build(
    service: ScriptedUpstream,
    *needed: str,
    beside: Sequence[str] = (),
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> House:
    """A gateway that asks `service` about `/users`. needed: permissions. beside: other schemes."""
    forward = ForwardAuth(service.url + "/validate", **options)
    users, backend = stubbed("users", "/users", authentication=[*beside, forward])
    opened, _ = stubbed("open", "/open")
    opened.session = backend.session()
    app = make_app(require(*needed)(users), public(opened), **(settings or {}))
    return House(app, service, backend)


def identity_told(request: StubRequest) -> dict[str, str]:
    """What a backend was told of the caller, by names in lower case."""
    pairs = ((name.lower(), value) for name, value in request.headers.items())
    return {name: value for name, value in pairs if name.startswith("x-user-")}
