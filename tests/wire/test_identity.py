"""Who asks: told to the upstream by the gateway, and never by the client itself."""

from __future__ import annotations

import time

import jwt
import pytest

from gateway.testing import Received, ScriptedUpstream
from tests.support.client import exchange
from tests.support.gunicorn import SECRET, Gateway
from tests.support.messages import request, request_head


def forwarded(gateway: Gateway, upstream: ScriptedUpstream, message: bytes) -> Received:
    """What reached the upstream of a request that the gateway answers with 200."""
    assert exchange(gateway.port, message).status == 200
    assert len(upstream.requests) == 1
    return upstream.requests[0]


@pytest.mark.parametrize(
    "header",
    [
        b"X-User-ID: root",
        b"x-user-id: root",
        b"X-USER-ROLES: root",
        b"X-User-Permissions: root",
        b"X_User_Id: root",
        b"X_User-Id: root",
        b"x_user_roles: root",
    ],
)
def test_identity_is_never_taken_from_a_client(
    gateway: Gateway, upstream: ScriptedUpstream, header: bytes
) -> None:
    received = forwarded(gateway, upstream, request(b"/plain/x", header, header))
    assert b"root" not in received.head


@pytest.mark.parametrize("name", [b"Content_Length", b"X_Forwarded_For", b"x_any", b"X-Any_Thing"])
def test_underscore_twin_never_arrives(
    gateway: Gateway, upstream: ScriptedUpstream, name: bytes
) -> None:
    received = forwarded(gateway, upstream, request(b"/plain/x", name + b": twin"))
    assert b"twin" not in received.head
    assert name.lower() not in received.head.lower()


@pytest.mark.parametrize("connection", [b"close", b"X-User-ID", b"x-user-id, X-User-Roles"])
def test_identity_is_what_the_token_says(
    gateway: Gateway, upstream: ScriptedUpstream, connection: bytes
) -> None:
    claims = {"sub": "u7", "roles": ["buyer"], "exp": time.time() + 60}
    token = jwt.encode(claims, SECRET, "HS256").encode()
    message = request_head(
        b"/guarded/x",
        b"Connection: " + connection,
        b"Authorization: Bearer " + token,
        b"X-User-ID: root",
        b"X_User_ID: root",
        b"X-User-Roles: root",
    )
    received = forwarded(gateway, upstream, message)
    assert received.header(b"X-User-ID") == [b"u7"]
    assert received.header(b"X-User-Roles") == [b"buyer"]
    assert b"root" not in received.head
