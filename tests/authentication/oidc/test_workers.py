"""Four real workers and a real issuer: fetched once for all, rotated, kept through an outage."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.authentication.oidc.support import IssuerServer, claims, jwk, signed
from tests.rate_limiting.redis_server import BINARY, start_redis
from tests.support.client import Connection, Ended, exchange
from tests.support.gunicorn import Gateway, start_gateway, wait_for
from tests.support.messages import request, request_head

WORKERS = 4
Start = Callable[..., contextlib.AbstractContextManager[Gateway]]


@pytest.fixture(params=["gevent", "gthread"])
def start(request: pytest.FixtureRequest, issuer: IssuerServer) -> Start:
    """Start a gateway that believes the issuer."""

    @contextlib.contextmanager
    def start_with(**settings: str) -> Iterator[Gateway]:
        env = {
            "JWT_SECRET": "",
            "OIDC_ISSUERS": f"{issuer.url};audience=api",
            "RATE_LIMIT_FAILED_LOGINS": "",
            **settings,
        }
        with start_gateway(
            "tests.authentication.oidc.app:app",
            worker_class=request.param,
            workers=WORKERS,
            env=env,
        ) as running:
            assert wait_for(lambda: len(running.worker_pids()) == WORKERS)
            yield running

    return start_with


def field(token: str) -> bytes:
    """The header field of a token."""
    return b"Authorization: Bearer " + token.encode()


def ask(running: Gateway, token: str) -> tuple[int, Any]:
    """Status and body of an answer, by any worker."""
    reply = exchange(running.address, request(b"/things/worker", field(token)))
    return reply.status, json.loads(reply.body)


def everywhere(running: Gateway, token: str, *, known: bool = True) -> bool:
    """Whether every worker knows who this is and none denies it, or with `known=False` the other
    way round. They share one listening socket, so many are asked at once. That keys could not be
    had in time, as on a busy machine, decides nothing."""
    seen: set[int] = set()
    end = time.monotonic() + 20
    with ThreadPoolExecutor(16) as pool:
        while len(seen) < WORKERS and time.monotonic() < end:
            statuses = {status for status, _ in pool.map(lambda _: ask(running, token), range(16))}
            if statuses - {503} - {200 if known else 401}:
                return False
            answers = list(pool.map(lambda _: anybody(running, token), range(32)))
            seen |= {one["pid"] for one in answers if (one["subject"] is not None) == known}
    return len(seen) == WORKERS


def anybody(running: Gateway, token: str) -> Any:
    """Which worker answers, and whom it knows."""
    return json.loads(exchange(running.address, request(b"/things/open", field(token))).body)


def all_workers(running: Gateway, token: str) -> bool:
    """Whether every worker came to accept a token, whatever it answered meanwhile."""
    return wait_for(lambda: everywhere(running, token), 30)


def bogus(issuer: IssuerServer, number: int) -> bytes:
    """A request whose token names a key that there is not."""
    token = signed({"kid": f"bogus-{number}"}, claims(iss=issuer.url))
    return request_head(b"/things/worker", field(token))


def storm(running: Gateway, issuer: IssuerServer, count: int) -> set[int]:
    """What so many of them are answered, over kept connections."""

    def some(numbers: range) -> set[int]:
        statuses: set[int] = set()
        connection = Connection(running.address)
        for number in numbers:
            data = bogus(issuer, number)
            try:
                connection.send(data)
                statuses.add(connection.read_reply().status)
            except (Ended, OSError):  # a kept connection may be ended at any time
                connection.close()
                connection = Connection(running.address)
        connection.close()
        return statuses

    size = count // 10
    with ThreadPoolExecutor(10) as pool:
        parts = [range(start, start + size) for start in range(0, count, size)]
        return set().union(*pool.map(some, parts))


def test_one_fetch_for_all_workers_and_for_a_thousand_bogus_names(
    start: Start, issuer: IssuerServer
) -> None:
    with start() as running:
        assert everywhere(running, issuer.token())
        assert issuer.fetches == 1
        began = time.monotonic()
        assert storm(running, issuer, 1000) == {401}
        allowed = 1 + int((time.monotonic() - began) // 30)
        assert 1 <= issuer.fetches - 1 <= allowed
        # A worker that comes later learns the keys from the others.
        known = issuer.fetches
        gone = running.worker_pids()[0]
        os.kill(gone, signal.SIGKILL)
        assert wait_for(
            lambda: gone not in running.worker_pids() and len(running.worker_pids()) == WORKERS
        )
        assert everywhere(running, issuer.token())
        assert issuer.fetches - known <= int((time.monotonic() - began) // 30)
        assert "bogus" not in running.stderr_text()


def test_rotation(start: Start, issuer: IssuerServer) -> None:
    with start() as running:
        old, new = issuer.token(), issuer.token("ES256")
        assert everywhere(running, old)
        issuer.keys = [jwk(), jwk("ES256")]
        assert everywhere(running, new)  # none of them was asked too early
        assert everywhere(running, old)
        assert issuer.fetches == 2
        issuer.keys = [jwk("ES256")]
        assert everywhere(running, old)  # nobody has looked again


def test_a_key_that_left_is_refused_by_all_when_one_learned_of_it(
    start: Start, issuer: IssuerServer
) -> None:
    with start() as running:
        old, new = issuer.token(), issuer.token("ES256")
        assert everywhere(running, old)
        issuer.keys = [jwk("ES256")]
        assert ask(running, new)[0] == 200
        assert wait_for(lambda: everywhere(running, old, known=False), 20)
        assert ask(running, old)[0] == 401
        assert everywhere(running, new)
        assert issuer.fetches == 2


def test_an_issuer_that_goes_down_after_its_keys_were_fetched(
    start: Start, issuer: IssuerServer
) -> None:
    with start() as running:
        good = issuer.token()
        assert everywhere(running, good)
        issuer.outage = True
        status, body = ask(running, issuer.token("ES256"))
        assert (status, body["code"]) == (503, "authority_unavailable")
        assert everywhere(running, good)
        # All workers anew: they go on with what the others left.
        before = running.worker_pids()
        running.signal(signal.SIGHUP)
        assert wait_for(lambda: not set(before) & set(running.worker_pids()), 20)
        assert all_workers(running, issuer.token(sub="u2"))

        issuer.outage = False
        issuer.keys = [jwk(), jwk("ES256")]
        assert wait_for(lambda: ask(running, issuer.token("ES256"))[0] == 200, 40)
        assert "cannot be fetched" in running.stderr_text()
        assert "can be fetched again" in running.stderr_text()


def test_an_issuer_that_is_down_from_the_beginning(start: Start, issuer: IssuerServer) -> None:
    issuer.outage = True
    with start() as running:
        token = issuer.token()
        for _ in range(5):
            status, body = ask(running, token)
            assert (status, body["code"]) == (503, "authority_unavailable")
        assert exchange(running.address, request(b"/things/open", field(token))).status == 200
        assert exchange(running.address, request(b"/readyz")).status == 200
        issuer.outage = False
        assert all_workers(running, token)


def test_two_machines_that_share_a_redis(start: Start, issuer: IssuerServer) -> None:
    if BINARY is None:
        pytest.skip("there is no redis-server here")
    with start_redis() as redis, start(REDIS_URL=redis.url, REDIS_TIMEOUT="5") as one:
        assert everywhere(one, issuer.token())
        with start(REDIS_URL=redis.url, REDIS_TIMEOUT="5") as two:
            assert everywhere(two, issuer.token())
            assert issuer.fetches == 1
            issuer.keys = [jwk("ES256")]
            for running in (one, two):
                assert everywhere(running, issuer.token("ES256"))
            assert issuer.fetches == 2
            assert wait_for(lambda: everywhere(two, issuer.token(), known=False), 20)
