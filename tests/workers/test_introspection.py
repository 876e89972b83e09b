"""Tokens of a real authorisation server that is asked about them, revokes them, dies and hangs."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.testing import ScriptedUpstream
from tests.support.client import Reply, exchange
from tests.support.gunicorn import Gateway, start_gateway, wait_for
from tests.support.node import needs_node
from tests.support.oidc_provider import (
    Client,
    Config,
    OidcProvider,
    start_oidc_provider,
)

pytestmark = needs_node

#: As whom the gateway asks; both have to be encoded.
GATEWAY = Client("gate:way", "s&c:r=t +%/")
CONFIG = Config(clients=(Client("caller"), GATEWAY, Client("poster", auth="post")))


@pytest.fixture(scope="module")
def shared() -> Iterator[OidcProvider]:
    """A server that goes on."""
    with start_oidc_provider(CONFIG) as running:
        yield running


@pytest.fixture
def own() -> Iterator[OidcProvider]:
    """A server of the test's own, to be stopped."""
    with start_oidc_provider(CONFIG) as running:
        yield running


@contextlib.contextmanager
def gateway(
    provider: OidcProvider, worker_class: str, upstream: ScriptedUpstream, **env: str
) -> Iterator[Gateway]:
    """A gateway of one worker, so that what is cached is there, that asks this server."""
    with start_gateway(
        "tests.workers.introspection_app:app",
        worker_class=worker_class,
        env={
            "JWT_SECRET": "",
            "GUARDED_URL": upstream.url,
            "PLAIN_URL": upstream.url,
            "INTROSPECTION_URL": provider.introspection_url,
            "INTROSPECTION_CLIENT_ID": GATEWAY.client_id,
            "INTROSPECTION_CLIENT_SECRET": GATEWAY.client_secret,
            **env,
        },
    ) as running:
        yield running


def get(running: Gateway, token: str = "", path: str = "/guarded/x") -> Reply:
    """One request, on a connection of its own."""
    field = f"Authorization: Bearer {token}\r\n" if token else ""
    head = f"GET {path} HTTP/1.1\r\nHost: things\r\nConnection: close\r\n{field}\r\n"
    return exchange(running.address, head.encode(), timeout=30)


def code(reply: Reply) -> tuple[int, str]:
    """Status and error code."""
    return reply.status, json.loads(reply.body)["code"] if reply.status >= 400 else ""


UNAVAILABLE = (503, "authority_unavailable")
REFUSED = (401, "token_invalid")


def test_what_the_server_says_reaches_the_backend(
    shared: OidcProvider, worker_class: str, upstream: ScriptedUpstream
) -> None:
    with gateway(shared, worker_class, upstream) as running:
        tokens = [
            shared.token(scope="read write"),
            shared.issue(account="alice", scope="read"),
            shared.issue(account="alice", scope="write"),
            "guessed",
        ]
        found = [code(get(running, token)) for token in tokens]
        assert found == [(200, ""), (200, ""), (403, "insufficient_scope"), REFUSED]
        told = [
            (one.header(b"X-Token-Subject"), one.header(b"X-Token-Scopes"))
            for one in upstream.requests
        ]
        assert told == [([b"caller"], [b"read write"]), ([b"alice"], [b"read"])]


# How the gateway proves who it is has nothing to do with how it serves.
@pytest.mark.parametrize("worker_class", ["gevent"], indirect=True)
def test_the_credentials_in_the_form(
    shared: OidcProvider, worker_class: str, upstream: ScriptedUpstream
) -> None:
    poster = {
        "INTROSPECTION_AUTH": "post",
        "INTROSPECTION_CLIENT_ID": "poster",
        "INTROSPECTION_CLIENT_SECRET": "a secret of tests",
    }
    with gateway(shared, worker_class, upstream, **poster) as running:
        assert code(get(running, shared.token(scope="read"))) == (200, "")


@pytest.mark.parametrize("worker_class", ["gthread"], indirect=True)
def test_wrong_credentials_of_the_gateway_refuse_nobody(
    shared: OidcProvider, worker_class: str, upstream: ScriptedUpstream
) -> None:
    wrong = {"INTROSPECTION_CLIENT_SECRET": "not the secret of the gateway"}
    with gateway(shared, worker_class, upstream, **wrong) as running:
        for _ in range(3):
            assert code(get(running, shared.token(scope="read"))) == UNAVAILABLE
        said = running.stderr_text()
        assert said.count("INTROSPECTION_CLIENT_ID and its secret are not accepted") == 1
        assert "not the secret" not in said


def test_a_revoked_token_stops_within_the_cache_time(
    shared: OidcProvider, worker_class: str, upstream: ScriptedUpstream
) -> None:
    kept = 1.5

    def times(began: float) -> int:
        """How often a busy machine may have let pass what is kept."""
        return int((time.monotonic() - began) / kept)

    with gateway(shared, worker_class, upstream, INTROSPECTION_CACHE_SECONDS=str(kept)) as running:
        token = shared.token(scope="read")
        calls, began = shared.calls(), time.monotonic()
        assert [code(get(running, token)) for _ in range(3)] == [(200, "")] * 3
        assert 1 <= shared.calls() - calls <= 1 + times(began)
        shared.revoke(token)
        revoked = time.monotonic()
        assert wait_for(lambda: code(get(running, token)) == REFUSED)
        assert time.monotonic() - revoked < kept + 3
        calls, began = shared.calls(), time.monotonic()
        assert code(get(running, token)) == REFUSED
        assert shared.calls() - calls <= times(began)  # remembered, too


def test_a_hundred_with_one_new_token_ask_once(
    shared: OidcProvider, worker_class: str, upstream: ScriptedUpstream
) -> None:
    with gateway(shared, worker_class, upstream) as running:
        token = shared.token(scope="read")
        calls = shared.calls()
        together = threading.Barrier(100)

        def client(_number: int) -> int:
            together.wait(30)
            return get(running, token).status

        with ThreadPoolExecutor(100) as clients:
            assert Counter(clients.map(client, range(100))) == {200: 100}
        assert shared.calls() == calls + 1


def test_a_server_that_died_refuses_nobody(
    own: OidcProvider, worker_class: str, upstream: ScriptedUpstream
) -> None:
    with gateway(own, worker_class, upstream) as running:
        known, unknown = own.token(scope="read"), own.token(scope="read")
        assert code(get(running, known)) == (200, "")
        own.stop()
        for _ in range(2):
            reply = get(running, unknown)
            assert code(reply) == UNAVAILABLE
            assert reply.header(b"Retry-After") == [b"1"]
            assert code(get(running, known)) == (200, "")
        own.start()
        # It has forgotten what it issued before.
        token = own.token(scope="read")
        assert wait_for(lambda: code(get(running, token)) == (200, ""))
        assert wait_for(lambda: code(get(running, unknown)) == REFUSED)


def test_a_server_that_hangs_holds_up_nobody_else(
    own: OidcProvider, worker_class: str, upstream: ScriptedUpstream
) -> None:
    """More clients than the worker has threads wait for the verdicts on new tokens."""
    few = {"WORKER_THREADS": "4", "INTROSPECTION_TIMEOUT": "2"}
    with gateway(own, worker_class, upstream, **few) as running:
        known = own.token(scope="read")
        assert code(get(running, known)) == (200, "")
        own.hang()
        begun = time.monotonic()
        with ThreadPoolExecutor(60) as clients:
            waiting = [clients.submit(get, running, f"new{number}") for number in range(60)]
            others = []
            for _ in range(5):
                others += [get(running, path="/plain/x"), get(running, known)]
            took = time.monotonic() - begun
            assert {reply.status for reply in others} == {200}
            assert {code(one.result()) for one in waiting} == {UNAVAILABLE}
        assert took < 10
        # By now it is known to hang: nobody waits for it any more.
        begun = time.monotonic()
        assert {code(get(running, f"late{number}")) for number in range(20)} == {UNAVAILABLE}
        assert time.monotonic() - begun < 15
        own.go_on()
        token = own.token(scope="read")
        assert wait_for(lambda: code(get(running, token)) == (200, ""))
