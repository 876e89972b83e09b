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


def forged(gateway: Gateway, *fields: bytes, body: bytes = b"") -> tuple[int, list[str]]:
    """The status of a request with these fields, and the forged names that were noticed."""
    method = b"POST" if body else b"GET"
    reply = exchange(gateway.port, request(b"/plain/x", *fields, method=method, body=body))
    if not reply.header(b"X-Request-ID"):
        return reply.status, []  # the server refused it
    events = gateway.events(reply.header(b"X-Request-ID")[0].decode())
    assert {event["event"] for event in events} <= {"identity_forged"}
    assert "root" not in str(events)
    return reply.status, [name for event in events for name in event["fields"]]


@pytest.mark.parametrize(
    "fields",
    [
        [b"X-User-ID: root"],
        [b"x-user-id: root"],
        [b"X-USER-ID: root"],
        [b"X-uSeR-iD:root"],
        [b"X-User-ID: \t root \t "],
        [b"X-User-ID:"],
        [b"X-User-ID: root", b"x-user-id: root"],
        [b"Connection: X-User-ID", b"X-User-ID: root"],
        [b"Connection: x-USER-id"],
        [b"Connection: keep-alive", b"Connection: other, X-User-ID"],
        [b"X_User_Id: root", b"X-User-ID: root"],
    ],
)
def test_a_forged_name_that_the_server_lets_through_is_noticed(
    gateway: Gateway, upstream: ScriptedUpstream, fields: list[bytes]
) -> None:
    assert forged(gateway, *fields) == (200, ["x-user-id"])
    (received,) = upstream.requests
    assert b"root" not in received.head
    assert received.header(b"X-User-ID") == []


@pytest.mark.parametrize(
    "field",
    [
        b"X_User_Id: root",
        b"X-User_ID: root",
        b"x_user-id: root",
        b"HTTP_X_USER_ID: root",
        b"HTTP-X-User-ID: root",
        b"X-User--ID: root",
    ],
)
def test_other_names_are_not_it(gateway: Gateway, upstream: ScriptedUpstream, field: bytes) -> None:
    assert forged(gateway, field) == (200, [])
    (received,) = upstream.requests
    assert received.header(b"X-User-ID") == []
    named = {name.lower().replace(b"_", b"-") for name, _ in received.headers}
    assert b"x-user-id" not in named


@pytest.mark.parametrize(
    "field",
    [
        b"X-User-ID : root",
        b"X-User-ID\t: root",
        b" X-User-ID: root",
        b"X-Other: a\r\n X-User-ID: root",
        b"X-Other: a\r\n\tX-User-ID: root",
        b"X-Other: a\nX-User-ID: root",
        b"X-Other: a\rX-User-ID: root",
        b"X-User-ID\x00: root",
        b"X-User-ID\xc2\xa0: root",
        b"X-User\xe2\x80\x90ID: root",
    ],
)
def test_a_name_that_some_server_would_repair_is_refused(
    gateway: Gateway, upstream: ScriptedUpstream, field: bytes
) -> None:
    assert forged(gateway, b"X-First: 1", field) == (400, [])
    assert upstream.requests == []


@pytest.mark.parametrize("trailer", [b"X-User-ID: root", b"x_user_id: root"])
def test_a_trailer_is_no_field(
    gateway: Gateway, upstream: ScriptedUpstream, trailer: bytes
) -> None:
    fields = [b"Transfer-Encoding: chunked", b"Trailer: X-User-ID"]
    body = b"4\r\nbody\r\n0\r\n" + trailer + b"\r\n\r\n"
    assert forged(gateway, *fields, body=body)[0] == 200
    (received,) = upstream.requests
    assert received.body == b"body"
    assert b"root" not in received.raw
    assert received.header(b"Trailer") == []
