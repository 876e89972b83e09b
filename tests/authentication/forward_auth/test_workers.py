"""Forward authentication under gunicorn: an authorisation service that decides, fails and hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from gateway.testing import Hang, Received, Script, ScriptedUpstream, Send
from tests.support.client import Reply, exchange
from tests.support.gunicorn import Gateway, free_port, start_gateway
from tests.support.messages import request, response

NAMES = ("users", "orders", "cached", "lenient", "products")


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def worker_class(request: pytest.FixtureRequest) -> str:
    """The gunicorn worker under test."""
    return str(request.param)


@pytest.fixture(scope="module")
def authority() -> Iterator[ScriptedUpstream]:
    """The authorisation service."""
    with ScriptedUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def running(
    worker_class: str, scripted: ScriptedUpstream, authority: ScriptedUpstream
) -> Iterator[Gateway]:
    """A gateway whose backends are the scripted upstream."""
    env = {"AUTH_URL": authority.url, **{f"{name.upper()}_URL": scripted.url for name in NAMES}}
    app = "tests.authentication.forward_auth.app:app"
    with start_gateway(app, worker_class=worker_class, env=env) as gateway:
        yield gateway
        assert "Traceback" not in gateway.stderr_text()


@pytest.fixture
def gateway(running: Gateway, authority: ScriptedUpstream, upstream: ScriptedUpstream) -> Gateway:
    """The same, whose authority knows whoever brings the session `good`."""
    authority.reset()
    authority.answer(decide)
    return running


def decide(received: Received) -> Script:
    """What an authorisation service does: who has a session is named, and others are not."""
    if received.header(b"Cookie") == [b"session=good"]:
        return [Send(response(b"200 OK", b"X-User-ID: u7", b"X-User-Roles: buyer", body=b"ok"))]
    if received.header(b"Cookie") == [b"session=banned"]:
        return [Send(response(b"403 Forbidden"))]
    return [Send(response(b"401 Unauthorized", b'WWW-Authenticate: Cookie realm="shop"'))]


def ask(gateway: Gateway, name: str, *fields: bytes, cookie: bytes = b"good") -> Reply:
    """The answer to a GET of a service, with a session."""
    target = f"/api/v1/{name}/7?a=%2F".encode()
    return exchange(gateway.port, request(target, b"Cookie: session=" + cookie, *fields))


FORGED = (b"X-User-ID: root", b"x-user-roles: root", b"Connection: X-User-Permissions")


def test_users_are_who_the_service_says(
    gateway: Gateway, authority: ScriptedUpstream, upstream: ScriptedUpstream
) -> None:
    for name in ("users", "orders"):
        assert ask(gateway, name, *FORGED).status == 200
    for received in upstream.requests:
        assert received.header(b"X-User-ID") == [b"u7"]
        assert received.header(b"X-User-Roles") == [b"buyer"]
        assert b"root" not in received.head
    asked = authority.requests[0]
    assert (asked.method, asked.target, asked.body) == (b"GET", b"/validate", b"")
    assert asked.header(b"X-Original-URI") == [b"/api/v1/users/7?a=%2F"]
    assert asked.header(b"Content-Length") == asked.header(b"Content-Type") == []
    assert b"root" not in asked.head
    assert authority.connections == 1


def test_the_body_goes_to_the_backend_alone(
    gateway: Gateway, authority: ScriptedUpstream, upstream: ScriptedUpstream
) -> None:
    fields = [b"Cookie: session=good", b"Content-Type: text/plain", b"Transfer-Encoding: chunked"]
    message = request(b"/api/v1/users/7", *fields, method=b"POST", body=b"4\r\nbody\r\n0\r\n\r\n")
    assert exchange(gateway.port, message).status == 200
    assert upstream.requests[0].body == b"body"
    assert authority.requests[0].raw == authority.requests[0].head


def test_others_are_refused(
    gateway: Gateway, authority: ScriptedUpstream, upstream: ScriptedUpstream
) -> None:
    reply = ask(gateway, "users", *FORGED, cookie=b"bad")
    assert reply.status == 401
    assert reply.header(b"WWW-Authenticate") == [b'Cookie realm="shop"']
    assert ask(gateway, "users", cookie=b"banned").status == 403
    assert upstream.requests == []
    names = [line["event"] for line in gateway.events(reply.header(b"X-Request-ID")[0].decode())]
    assert names == ["identity_forged", "login_failed"]


def test_where_nobody_is_asked_forged_fields_are_removed_too(
    gateway: Gateway, authority: ScriptedUpstream, upstream: ScriptedUpstream
) -> None:
    assert ask(gateway, "products", *FORGED).status == 200
    assert b"root" not in upstream.requests[0].head
    assert upstream.requests[0].header(b"X-User-ID") == []
    assert authority.requests == []


def test_decisions_are_kept(
    gateway: Gateway, authority: ScriptedUpstream, upstream: ScriptedUpstream
) -> None:
    statuses = [ask(gateway, "cached", cookie=cookie).status for cookie in (b"good", b"bad") * 3]
    assert statuses == [200, 401] * 3
    assert len(authority.requests) == 2
    assert {received.header(b"X-User-ID")[0] for received in upstream.requests} == {b"u7"}


def together(count: int, gateway: Gateway, name: str) -> tuple[list[threading.Thread], list[int]]:
    """Ask so many times at once; the statuses grow as answers come."""
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(ask(gateway, name).status), daemon=True)
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    return threads, found


def test_a_service_that_hangs_holds_up_nobody_else(
    gateway: Gateway, authority: ScriptedUpstream, upstream: ScriptedUpstream
) -> None:
    authority.script([Hang()])
    began = time.monotonic()
    threads, found = together(60, gateway, "users")
    assert authority.wait_until(lambda: len(authority.requests) > 2)
    other = time.monotonic()
    assert ask(gateway, "products").status == 200
    assert time.monotonic() - other < 1.5
    for thread in threads:
        thread.join(20)
    assert found == [503] * 60
    assert time.monotonic() - began < 8
    # It is left alone then: nobody waits for it.
    quick = time.monotonic()
    statuses = [ask(gateway, "users").status for _ in range(5)]
    assert statuses == [503] * 5
    assert time.monotonic() - quick < 4
    authority.answer(decide)
    _until_decided(gateway)


def _until_decided(gateway: Gateway) -> None:
    end = time.monotonic() + 15
    while ask(gateway, "users").status != 200:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_fail_open_lets_in_who_nobody_knows(
    gateway: Gateway, authority: ScriptedUpstream, upstream: ScriptedUpstream
) -> None:
    authority.respond(response(b"500 Oops", b"X-User-ID: root"))
    reply = ask(gateway, "lenient", *FORGED)
    assert reply.status == 200
    assert upstream.requests[0].header(b"X-User-ID") == []
    assert b"root" not in upstream.requests[0].head
    events = gateway.events(reply.header(b"X-Request-ID")[0].decode())
    assert [line["event"] for line in events] == ["identity_forged", "authority_unavailable"]
    assert events[1]["let_in"] is True
    assert ask(gateway, "users").status == 503


def test_a_service_that_is_away(worker_class: str, upstream: ScriptedUpstream) -> None:
    port = free_port()
    env = {
        "AUTH_URL": f"http://127.0.0.1:{port}",
        **{f"{name.upper()}_URL": upstream.url for name in NAMES},
    }
    app = "tests.authentication.forward_auth.app:app"
    with start_gateway(app, worker_class=worker_class, env=env) as alone:
        reply = ask(alone, "users")
        assert reply.status == 503
        assert b"authority_unavailable" in reply.body
        assert str(port).encode() not in reply.body
        (event,) = alone.events(reply.header(b"X-Request-ID")[0].decode())
        assert (event["event"], event["scheme"]) == ("authority_unavailable", "forward_auth")
        assert "connection_refused" in event["reason"]
        assert ask(alone, "products").status == 200
        with ScriptedUpstream(port=port) as authority:
            authority.answer(decide)
            _until_decided(alone)
        assert "decides again" in alone.stderr_text()
