"""What its answer means: for the client, for the backend, and for who the caller is."""

from __future__ import annotations

import pytest
from flask import Response

from gateway import current_identity
from gateway.testing import Close, Hang, ScriptedUpstream, Send
from tests.authentication.forward_auth.support import (
    ALLOWED,
    DENIED,
    FORBIDDEN,
    build,
    identity_told,
)
from tests.support.gunicorn import free_port
from tests.support.messages import response
from tests.support.wsgi import bearer


@pytest.mark.parametrize("status", [b"200 OK", b"204 No Content", b"299 Fine"])
def test_any_2xx_allows(upstream: ScriptedUpstream, status: bytes) -> None:
    upstream.respond(response(status, b"X-User-ID: u7"))
    house = build(upstream)
    assert house.ask().status == 200
    assert identity_told(house.told) == {
        "x-user-id": "u7",
        "x-user-roles": "",
        "x-user-permissions": "",
    }


def test_what_it_returns_replaces_what_the_client_said(upstream: ScriptedUpstream) -> None:
    upstream.respond(ALLOWED)
    house = build(upstream)
    forged = [(name, "root") for name in ("X-User-ID", "X-User-Roles", "X-User-Permissions")]
    assert house.ask("/users/7", "GET", *forged).status == 200
    assert identity_told(house.told) == {
        "x-user-id": "u7",
        "x-user-roles": "buyer, seller",  # as it was returned
        "x-user-permissions": "",
    }


def test_returned_names_are_removed_even_if_none_comes(upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"200 OK", b"Remote-Groups: a"))
    house = build(upstream, returns=["Remote-User", "Remote-Groups"], subject="Remote-User")
    fields = [("Remote-User", "root"), ("remote-groups", "root"), ("X-User-ID", "root")]
    assert house.ask("/users/7", "GET", *fields).status == 200
    assert house.told.headers["Remote-Groups"] == "a"
    assert "root" not in str(house.told.headers)
    assert house.ask("/open/7", "GET", *fields).status == 200  # and where nobody is asked
    assert "root" not in str(house.told.headers)


def test_a_returned_authorization_replaces_the_clients_there_only(
    upstream: ScriptedUpstream,
) -> None:
    upstream.respond(response(b"200 OK", b"Authorization: Bearer internal"))
    house = build(upstream, returns=["Authorization"])
    sent = ("Authorization", "Bearer of-the-client")
    assert house.ask("/users/7", "GET", sent).status == 200
    assert house.asked.header(b"Authorization") == [b"Bearer of-the-client"]
    assert house.told.headers["Authorization"] == "Bearer internal"
    house.ask("/open/7", "GET", sent)
    assert house.told.headers["Authorization"] == "Bearer of-the-client"


@pytest.mark.parametrize(
    ("needed", "status"),
    [(["order:read"], 200), (["order:read", "order:write"], 200), (["admin:all"], 403)],
)
def test_permissions_come_with_it(
    upstream: ScriptedUpstream, needed: list[str], status: int
) -> None:
    upstream.respond(
        response(
            b"200 OK", b"X-User-ID: u7", b"X-User-Permissions: order:read,", b"X-Other: 1"
        ).replace(b"X-Other: 1", b"x-user-permissions: order:write")
    )
    assert build(upstream, *needed).ask().status == status


def test_whoever_is_not_named_is_nobody(upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"200 OK", b"X-User-ID:  ", b"X-User-Roles: staff"))
    house = build(upstream)

    @house.app.after_request
    def note(answer: Response) -> Response:
        identity = current_identity()
        assert identity is not None
        answer.headers["X-Seen"] = f"{identity.kind}/{identity.subject}/{identity.roles}"
        return answer

    answer = house.ask()
    assert answer.status == 200
    assert answer.header("X-Seen") == ["anonymous//('staff',)"]
    assert identity_told(house.told) == {"x-user-roles": "staff"}


def test_nobodies_are_limited_by_their_addresses(upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"200 OK"))
    house = build(upstream, settings={"RATE_LIMIT_DEFAULT": "1/hour"})
    from tests.support.wsgi import call

    statuses = [
        call(house.app, "/users/7", REMOTE_ADDR=address).status
        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1")
    ]
    assert statuses == [200, 200, 429]


def test_two_subjects_are_none(upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"200 OK", b"X-User-ID: u7", b"X-User-ID: root"))
    answer = build(upstream, fail_open=True).ask()
    assert (answer.status, answer.code) == (503, "authority_unavailable")


def test_401_comes_with_its_challenges(upstream: ScriptedUpstream) -> None:
    challenges = [b'WWW-Authenticate: Basic realm="a"', b"www-authenticate: Negotiate"]
    upstream.respond(response(b"401 No", *challenges, b"X-Secret: 1", body=b"<html>"))
    house = build(upstream)
    answer = house.ask("/users/7", "GET", ("Authorization", "Basic dTpw"))
    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert answer.header("WWW-Authenticate") == ['Basic realm="a"', "Negotiate"]
    assert answer.header("Content-Type") == ["application/problem+json"]
    assert answer.header("X-Secret") == []
    assert house.backend.requests == []
    assert house.ask().code == "missing_credential"


def test_403_comes_with_its_challenges_too(upstream: ScriptedUpstream) -> None:
    upstream.respond(FORBIDDEN, response(b"403 No", b"WWW-Authenticate: Bearer scope=x"))
    house = build(upstream)
    answer = house.ask()
    assert (answer.status, answer.code) == (403, "forbidden")
    assert answer.header("WWW-Authenticate") == []
    assert house.ask().header("WWW-Authenticate") == ["Bearer scope=x"]


@pytest.mark.parametrize("value", [b"Bearer \xff", b"Basic r\xc3\xa9alm", b"x" * 5000, b""])
def test_a_challenge_that_no_client_could_read_is_left_out(
    upstream: ScriptedUpstream, value: bytes
) -> None:
    upstream.respond(response(b"401 No", b"WWW-Authenticate: " + value))
    answer = build(upstream).ask()
    assert answer.status == 401
    assert answer.header("WWW-Authenticate") == ['Bearer realm="gateway"']


def test_so_many_challenges_and_no_more(upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"401 No", *[b"WWW-Authenticate: A%d" % n for n in range(20)]))
    assert len(build(upstream).ask().header("WWW-Authenticate")) == 8


@pytest.mark.parametrize(
    "status",
    [b"302 Found", b"304 Not Modified", b"400 Bad", b"404 Not Found", b"429 Slow", b"431 Big"],
)
@pytest.mark.parametrize("fail_open", [False, True])
def test_anything_else_decides_nothing_and_opens_nothing(
    upstream: ScriptedUpstream, status: bytes, fail_open: bool
) -> None:
    """A client may bring these about, such as 431 by a long cookie."""
    upstream.respond(response(status, b"X-User-ID: root", b"Location: /login"))
    house = build(upstream, fail_open=fail_open)
    answer = house.ask()
    assert (answer.status, answer.code) == (503, "authority_unavailable")
    assert answer.header("Retry-After") == ["1"]
    assert answer.header("Location") == []
    assert house.backend.requests == []


@pytest.mark.parametrize("status", [b"500 Oops", b"503 Busy"])
@pytest.mark.parametrize(("fail_open", "expected"), [(False, 503), (True, 200)])
def test_a_service_that_fails(
    upstream: ScriptedUpstream, status: bytes, fail_open: bool, expected: int
) -> None:
    upstream.respond(response(status, b"X-User-ID: root"))
    house = build(upstream, fail_open=fail_open)
    assert house.ask("/users/7", "GET", ("X-User-ID", "root")).status == expected
    if fail_open:
        assert identity_told(house.told) == {}


def test_fail_open_gives_no_permission(upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"500 Oops"))
    assert build(upstream, "order:read", fail_open=True).ask().status == 403


@pytest.mark.parametrize(("fail_open", "expected"), [(False, 503), (True, 200)])
def test_a_service_that_is_silent_or_away(
    upstream: ScriptedUpstream, fail_open: bool, expected: int
) -> None:
    upstream.script([Hang()])
    assert build(upstream, timeout=0.1, fail_open=fail_open).ask().status == expected
    upstream.script([Send(b"HTTP/1.1 200 OK\r\nX-User-ID: ro"), Close()])
    assert build(upstream, fail_open=fail_open).ask().status == expected
    upstream.script([Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 300_000)])
    assert build(upstream, timeout=0.5, fail_open=fail_open).ask().status == expected
    upstream.url = f"http://127.0.0.1:{free_port()}"
    try:
        assert build(upstream, fail_open=fail_open).ask().status == expected
    finally:
        upstream.url = f"http://127.0.0.1:{upstream.port}"


def test_a_token_goes_before_it(upstream: ScriptedUpstream) -> None:
    upstream.respond(ALLOWED)
    house = build(upstream, beside=["jwt"])
    assert house.ask("/users/7", "GET", bearer()).status == 200
    assert house.told.headers["X-User-ID"] == "ada"
    assert house.ask("/users/7", "GET", ("Authorization", "Bearer wrong")).status == 401
    assert upstream.requests == []
    assert house.ask().status == 200
    assert house.told.headers["X-User-ID"] == "u7"


def test_its_answers_are_no_bodies_for_clients(upstream: ScriptedUpstream) -> None:
    upstream.respond(DENIED)
    assert b"users" not in build(upstream).ask().body
